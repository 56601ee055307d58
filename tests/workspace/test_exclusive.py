"""What one process does at a time, wherever file locks are refused, and whatever a killed process left."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scale import scaled
from workspace import exclusive, recipe
from workspace.errors import CommunityForensicsError
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS

_HOLD = """
import sys
from workspace.exclusive import alone
from workspace.layout import Workspace
with alone(Workspace.open(sys.argv[1]), "building") as held:
    (held.folder / "large").write_bytes(b"litter")
    print(held.folder.name, flush=True)
    sys.stdin.read()
"""

_COUNT = """
import sys
from pathlib import Path
from workspace.exclusive import alone
from workspace.layout import Workspace
count = Path(sys.argv[2])
for _ in range(int(sys.argv[3])):
    with alone(Workspace.open(sys.argv[1]), "counting", 60):
        count.write_text(str(int(count.read_text()) + 1))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def _start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _hold(workspace: Workspace) -> tuple["subprocess.Popen[str]", Path]:
    process = _start(_HOLD, workspace.root)
    assert process.stdout is not None
    return process, workspace.locks / "building" / process.stdout.readline().strip()


@pytest.fixture(params=["flock works", "ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "flock works":
        return

    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, request.param), os.strerror(getattr(errno, request.param)))

    for name in ("flock", "lockf"):
        monkeypatch.setattr(fcntl, name, refuse)


@pytest.mark.usefixtures("flock")
def test_the_second_is_refused_in_one_line_that_says_who_is_at_work(workspace: Workspace) -> None:
    with alone(workspace, "building"):
        with pytest.raises(CommunityForensicsError) as refused, alone(workspace, "building", 0.05):
            pass
        with alone(workspace, "publishing", 0.05):
            pass
    message = str(refused.value)
    assert f"another process is at work (building: process {os.getpid()} on " in message
    assert f"in {workspace.root}: wait until it has ended" in message
    assert "\n" not in message
    assert refused.value.exit_code == 1


def test_nothing_is_left_in_the_workspace(workspace: Workspace) -> None:
    with alone(workspace, "building") as held:
        (held.folder / "part").write_bytes(b"x")
        with pytest.raises(CommunityForensicsError), alone(workspace, "building", 0):
            pass
        assert (held.folder / "part").exists()
    with pytest.raises(ZeroDivisionError), alone(workspace, "building"):
        print(1 / 0)
    assert list(workspace.root.iterdir()) == []


@pytest.mark.usefixtures("flock")
def test_an_old_lock_file_changes_nothing(workspace: Workspace) -> None:
    for content in ("", "12345\nanother-host\n"):
        (workspace.root / ".recipe.lock").write_text(content)
        recipe.pin(workspace, f"stage{len(content)}", {"images": 4})
        with alone(workspace, "building", 0.05):
            pass
    assert sorted(recipe.read(workspace)) == ["stage0", "stage19"]


def test_who_waits_comes_next(workspace: Workspace) -> None:
    process, _ = _hold(workspace)
    with process:
        assert process.stdin is not None
        process.stdin.close()
        with alone(workspace, "building"):
            pass


def test_the_right_of_a_killed_process_is_free_and_its_files_are_removed(workspace: Workspace) -> None:
    process, folder = _hold(workspace)
    with process:
        process.kill()
        process.wait()
        assert (folder / "large").exists()
        with alone(workspace, "building", 5) as held:
            assert list((workspace.locks / "building").glob("process-*")) == [held.folder]
    assert list(workspace.root.iterdir()) == []


def test_a_process_on_another_node_that_is_silent_for_long_loses_its_right_and_notices(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.process_folder._machine", lambda: "0" * 16)
    with alone(workspace, "building") as stopped:
        monkeypatch.setattr("workspace.process_folder._machine", lambda: "1" * 16)
        with pytest.raises(CommunityForensicsError), alone(workspace, "building", 0.05):
            pass
        stopped.check()
        long_ago = time.time() - SILENT_SECONDS - 30
        os.utime(stopped.folder, (long_ago, long_ago))
        with alone(workspace, "building", 5) as other:
            other.check()
            with pytest.raises(CommunityForensicsError, match="another one took over"):
                stopped.check()


def test_processes_exclude_each_other_and_each_has_its_turn(tmp_path: Path, workspace: Workspace) -> None:
    count, turns = tmp_path / "count", scaled(20, 200)
    count.write_text("0")
    processes = [_start(_COUNT, workspace.root, count, turns) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 3
    assert count.read_text() == str(3 * turns)
    assert list(workspace.root.iterdir()) == []


def test_a_folder_that_others_remove_meanwhile_is_made_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = exclusive.ProcessFolder, []

    def after_others(folder: Path, touch_seconds: float) -> exclusive.ProcessFolder:
        if not removed:
            folder.rmdir()
            removed.append(folder)
        return real(folder, touch_seconds=touch_seconds)

    monkeypatch.setattr(exclusive, "ProcessFolder", after_others)
    with alone(workspace, "building"):
        assert removed
