"""A mistake is one line that says what to do."""

from pathlib import Path

import pytest

import community_forensics as cf


def test_a_workspace_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    for read in (cf.status, cf.build_manifest, cf.read_manifest):
        with pytest.raises(cf.UsageError, match="does not exist"):
            read(tmp_path / "nowhere")
    workspace = cf.Workspace.open(tmp_path / "workspace")
    with pytest.raises(cf.UsageError, match="cf-build-manifest"):
        cf.read_manifest(workspace)
