"""A disk that is full or read-only, or becomes full at any step, is one line, and what it holds stays as it was."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import captioning.cli
import crawler.cli
import manifests.cli
import manifests.exporting.cli
import samplers.cli
import samplers.status.cli
from localhub.process import HubProcess
from manifests.building import build
from manifests.options import BuildOptions, PublishOptions
from manifests.publishing.publish import publish_dataset
from manifests.stage import build_manifest
from tests.manifests.commands import run
from tests.manifests.making import Builder, fill
from tests.scale import weekly
from workspace.errors import CommunityForensicsError, disk_error
from workspace.layout import Workspace

STAGES: dict[str, tuple[Callable[[], None], list[str]]] = {
    "crawl": (crawler.cli.main, ["--limit", "5"]),
    "caption": (captioning.cli.main, ["--source", "photos=PHOTOS", "--device", "cpu", "--captioner", "CAPTIONER"]),
    "sample": (samplers.cli.main, ["--device", "cpu", "--safety-checker", f"org/checker@{40 * '0'}"]),
    "build": (manifests.cli.build_manifest, []),
    "publish": (manifests.cli.publish, ["org/name"]),
    "export": (manifests.exporting.cli.main, ["TREE", "--layout", "real-fake"]),
}
#: What only looks.
LOOKING: dict[str, tuple[Callable[[], None], list[str]]] = {
    "status": (samplers.status.cli.main, []),
    "dry run": (samplers.cli.main, ["--dry-run"]),
}


def _mount(*arguments: object) -> None:
    command = ["mount", *map(str, arguments)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")


def leave(disk: Path, free: int) -> None:
    """Fill a disk but for so many bytes."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    os.truncate(ballast, max(0, ballast.stat().st_size - free))


@pytest.fixture(scope="module", params=["No space left on device", "Read-only file system"])
def refusal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A workspace on a disk that is full, or read-only, and what the system says of it."""
    folder = tmp_path_factory.mktemp("disks")
    disk = folder / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", "size=8m", "none", disk)
    try:
        build(fill(Builder(Workspace.open(disk / "workspace"))).write())
        if request.param == "Read-only file system":
            _mount("-o", "remount,ro", disk)
        else:
            leave(disk, 0)
        yield disk / "workspace", request.param
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.mark.parametrize("stage", STAGES)
def test_a_disk_that_cannot_be_written_from_the_start_is_one_line(
    refusal: tuple[Path, str], hub: HubProcess, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, reason = refusal
    for name, value in hub.environment("hf_x").items():
        monkeypatch.setenv(name, value)
    photos = workspace.parent / "real" / "photos"
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()}
    entry_point, arguments = STAGES[stage]
    given = {"photos=PHOTOS": f"photos={photos}", "CAPTIONER": str(captioner())}
    given["TREE"] = str(workspace.parent / stage)
    options = [given.get(argument, argument) for argument in arguments]
    done = run(entry_point, *options, "--workspace", str(workspace))
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert reason in line
    assert "then run the same command again" in line
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("stage", LOOKING)
def test_on_a_disk_that_cannot_be_written_one_can_still_look(refusal: tuple[Path, str], stage: str) -> None:
    entry_point, arguments = LOOKING[stage]
    done = run(entry_point, *arguments, "--workspace", str(refusal[0]))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_copy_to_a_full_disk_names_the_file_that_cannot_be_written(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 100_000)
    leave(small_disk, 0)
    with pytest.raises(OSError, match="No space left") as failed:
        shutil.copyfile(tmp_path / "source", small_disk / "target")
    assert str(disk_error(failed.value)).startswith(f"{small_disk / 'target'} cannot be used (No space left on device)")


def captioner() -> Path:
    from demo.zoo.captioner import REPOSITORY

    return REPOSITORY


#: Free bytes with which a build ends at the joined rows, at the tables beside them, and at the report.
STEPS = (8_192, 61_440, 122_880)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", "size=8m", "none", disk)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_while_a_manifest_is_built_leaves_the_former_one_and_its_report(small_disk: Path) -> None:
    builder = fill(Builder(Workspace.open(small_disk / "workspace")))
    workspace = builder.write()
    build_manifest(workspace)

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for top in (workspace.manifest, workspace.report) for path in top.rglob("*")}

    former = files()
    another = BuildOptions(edition="public", license_allow=("family=openrail,none",))
    for free in STEPS:
        leave(small_disk, free)
        with pytest.raises((CommunityForensicsError, OSError)) as failed:
            build_manifest(workspace, another)
        error = disk_error(failed.value) if isinstance(failed.value, OSError) else failed.value
        assert "No space left on device" in str(error)
        assert "\n" not in str(error)
        assert files() == former, free
    (small_disk / "ballast").unlink()
    build_manifest(workspace, another)
    assert files().keys() - former.keys() == {workspace.manifest / "withheld.parquet"}


@weekly("test_disks.py::test_a_disk_that_fills_while_a_manifest_is_built_leaves_the_former_one_and_its_report")
def test_a_disk_that_fills_while_shards_are_packed_is_one_line_and_the_same_command_continues(
    small_disk: Path, hub: HubProcess
) -> None:
    workspace = fill(Builder(Workspace.open(small_disk / "workspace"))).write()
    build_manifest(workspace)
    former = {path: path.read_bytes() for path in workspace.manifest.rglob("*")}
    options = PublishOptions(endpoint=hub.endpoint, token="hf_disks")
    leave(small_disk, 81_920)
    with pytest.raises(OSError, match="No space left") as failed:
        publish_dataset(workspace, "org/disks", options)
    assert "No space left on device" in str(disk_error(failed.value))
    assert {path: path.read_bytes() for path in workspace.manifest.rglob("*")} == former
    (small_disk / "ballast").unlink()
    assert publish_dataset(workspace, "org/disks", options).changed
