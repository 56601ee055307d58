"""A file or folder that may not be read any more is one line; it is neither left out, nor made again, nor replaced."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifests.building import build
from manifests.options import BuildOptions
from samplers.sample import read_samples
from samplers.storage.progress import progress_of
from tests.manifests.making import Builder, fill
from tests.other_user import other_user
from workspace.errors import disk_error
from workspace.layout import Workspace


@pytest.fixture(scope="module")
def built() -> Iterator[Workspace]:
    # pytest's own folder is closed to other users, and closed again whenever another pytest starts.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        workspace = fill(Builder(Workspace.open(Path(folder) / "workspace"))).write()
        build(workspace)
        for path in (workspace.root, *workspace.root.rglob("*")):
            path.chmod(0o777)
        yield workspace


@pytest.fixture(params=["sample part", "folder of samples", "folder of a generator", "catalogue", "image", "prompts"])
def lost(built: Workspace, request: pytest.FixtureRequest) -> Iterator[Path]:
    """What of the workspace nobody but root may read."""
    part = next(iter(sorted(built.samples.glob("*/part-*.parquet"))))
    path = {
        "sample part": part,
        "folder of samples": built.samples,
        "folder of a generator": part.parent,
        "catalogue": built.catalog,
        "image": next(iter(sorted(built.images.glob("*/*.png")))),
        "prompts": next(iter(sorted(built.prompts.iterdir()))),
    }[request.param]
    path.chmod(0)
    yield path
    path.chmod(0o777)


def _files(workspace: Workspace) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(workspace.root.rglob("*")) if path.is_file()}


def test_a_build_ends_with_the_name_of_what_it_may_not_read_and_the_former_manifest_stays(
    built: Workspace, lost: Path
) -> None:
    before = _files(built)
    with other_user(), pytest.raises(PermissionError) as refused:
        build(built, BuildOptions(verify="full"))

    line = str(disk_error(refused.value))
    assert str(lost) in line
    assert "Permission denied" in line
    assert "change its permissions" in line
    assert _files(built) == before


def test_rows_that_may_not_be_read_are_no_progress_and_no_damage(built: Workspace) -> None:
    part = next(iter(sorted(built.samples.glob("*/part-*.parquet"))))
    name = part.parent.name.replace("--", "/")
    for path in (part, part.parent):
        path.chmod(0)
        try:
            for read in (progress_of, read_samples):
                with other_user(), pytest.raises(PermissionError) as refused:
                    read(built, name)
                assert str(path) in str(refused.value)
        finally:
            path.chmod(0o777)
    assert not progress_of(built, name).damaged
