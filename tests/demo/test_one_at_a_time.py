from pathlib import Path

import pytest

from demo.__main__ import demo, zoo_version
from workspace.errors import CommunityForensicsError
from workspace.exclusive import alone
from workspace.layout import Workspace


def test_a_second_demo_in_a_folder_is_refused_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / zoo_version()
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    with alone(Workspace(root), "demo"):
        with pytest.raises(CommunityForensicsError, match=r"another process is at work \(demo: process"):
            demo(tmp_path)
        assert sorted(path.name for path in root.iterdir()) == [".locks", "workspace"]
