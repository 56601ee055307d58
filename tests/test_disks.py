"""A disk that is full or read-only from the start is one line in every stage, and what it holds stays as it was."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import captioning.cli
import crawler.cli
import manifests.cli
import samplers.cli
from localhub.process import HubProcess
from manifests.building import build
from tests.manifests.commands import run
from tests.manifests.making import Builder, fill
from workspace.layout import Workspace

STAGES: dict[str, tuple[Callable[[], None], list[str]]] = {
    "crawl": (crawler.cli.main, ["--limit", "5"]),
    "caption": (captioning.cli.main, ["--source", "photos=PHOTOS", "--device", "cpu", "--captioner", "CAPTIONER"]),
    "sample": (samplers.cli.main, ["--device", "cpu", "--safety-checker", f"org/checker@{40 * '0'}"]),
    "build": (manifests.cli.build_manifest, []),
    "publish": (manifests.cli.publish, ["org/name"]),
}


def _mount(*arguments: object) -> None:
    command = ["mount", *map(str, arguments)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")


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
            with (disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
                while True:
                    ballast.write(b"\0" * 4096)
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
    options = [given.get(argument, argument) for argument in arguments]
    done = run(entry_point, *options, "--workspace", str(workspace))
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert reason in line
    assert "then run the same command again" in line
    assert {path: path.stat().st_mtime_ns for path in workspace.rglob("*") if path.is_file()} == before


def captioner() -> Path:
    from demo.zoo.captioner import REPOSITORY

    return REPOSITORY
