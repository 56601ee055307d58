import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samplers.weights.process_folder import ProcessFolder
from workspace.errors import UsageError
from workspace.process_folder import SILENT_SECONDS

_HOLD = """
import sys
from pathlib import Path
from samplers.weights.process_folder import ProcessFolder
folder = ProcessFolder(Path(sys.argv[1]))
(folder.path / "weights").write_bytes(b"litter")
print(folder.path.name, flush=True)
if sys.argv[2:] == ["lock"]:
    folder.lock.__enter__()
    print("lock", flush=True)
sys.stdin.read()
"""

_COUNT = """
import sys
from pathlib import Path
from samplers.weights.process_folder import ProcessFolder
with ProcessFolder(Path(sys.argv[1])) as folder:
    for _ in range(int(sys.argv[3])):
        with folder.lock:
            count = int(Path(sys.argv[2]).read_text())
            Path(sys.argv[2]).write_text(str(count + 1))
"""


def _run(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _hold(weights: Path, *arguments: str) -> tuple["subprocess.Popen[str]", str]:
    process = _run(_HOLD, weights, *arguments)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    if arguments:
        assert process.stdout.readline() == "lock\n"
    return process, name


def _folders(weights: Path) -> set[str]:
    return {path.name for path in weights.glob("process-*")}


def _elsewhere(name: str) -> str:
    """The name of a folder, as a process in another container or on another host would give it."""
    machine = name.split("-")[1]
    return name.replace(machine, "0" * len(machine))


def _begun_before(name: str) -> str:
    """The name of a folder of a process of the same number that began a day earlier."""
    parts = name.split("-")
    return "-".join((*parts[:3], str(int(parts[3]) - 86_400), *parts[4:]))


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    with ProcessFolder(tmp_path) as folder:
        (folder.path / "deep").mkdir()
        (folder.path / "deep" / "file").write_bytes(b"")
        (folder.pool / "content").write_bytes(b"")
        assert list(folder.home.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_shared_pool_is_removed_with_the_last_process(tmp_path: Path) -> None:
    process, _ = _hold(tmp_path)
    with process:
        with ProcessFolder(tmp_path) as folder:
            (folder.pool / "content").write_bytes(b"")
        assert (tmp_path / "pool" / "content").exists()
        process.kill()
        process.wait()
        with ProcessFolder(tmp_path):
            assert (tmp_path / "pool" / "content").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reaped", [True, False])
def test_two_processes_never_share_a_folder_and_that_of_a_dead_one_is_removed(tmp_path: Path, reaped: bool) -> None:
    process, name = _hold(tmp_path)
    with process:
        with ProcessFolder(tmp_path) as beside:
            assert beside.path.name != name
            assert (tmp_path / name / "weights").exists()
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
        assert (tmp_path / name / "weights").exists()
        with ProcessFolder(tmp_path) as after:
            assert _folders(tmp_path) == {after.path.name}
            assert [path.name for path in after.path.iterdir()] == ["home"]


@pytest.mark.parametrize("unknown", [_elsewhere, _begun_before, lambda _: "process-0"])
def test_a_process_that_cannot_be_seen_is_dead_when_it_is_silent(tmp_path: Path, unknown: Callable[[str], str]) -> None:
    process, name = _hold(tmp_path)
    with process:
        other = (tmp_path / name).rename(tmp_path / unknown(name))
        with ProcessFolder(tmp_path) as folder:
            assert _folders(tmp_path) == {folder.path.name, other.name}
        moved = other.stat().st_mtime - SILENT_SECONDS
        os.utime(other, (moved + 30, moved + 30))
        with ProcessFolder(tmp_path) as folder:
            assert _folders(tmp_path) == {folder.path.name, other.name}
        os.utime(other, (moved - 30, moved - 30))
        with ProcessFolder(tmp_path) as folder:
            assert _folders(tmp_path) == {folder.path.name}
        process.kill()


def test_a_running_process_is_not_dead_however_long_it_is_silent(tmp_path: Path) -> None:
    process, name = _hold(tmp_path)
    with process:
        os.utime(tmp_path / name, (0, 0))
        with ProcessFolder(tmp_path) as folder:
            assert _folders(tmp_path) == {folder.path.name, name}
        process.kill()


def test_only_one_process_holds_the_lock(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    processes = [_run(_COUNT, tmp_path / "weights", tmp_path / "count", 60) for _ in range(4)]
    assert [process.wait(100) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    assert (tmp_path / "count").read_text() == "240"
    assert list((tmp_path / "weights").iterdir()) == []


def test_whoever_holds_the_lock_may_acquire_it_again_and_holds_it_to_the_last_end(tmp_path: Path) -> None:
    with ProcessFolder(tmp_path) as one, ProcessFolder(tmp_path) as other:
        with one.lock:
            with one.lock, pytest.raises(TimeoutError), other.lock.within(0.05):
                pass
            with pytest.raises(TimeoutError), other.lock.within(0.05):
                pass
        with other.lock.within(1):
            pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    process, _ = _hold(tmp_path, "lock")
    waiting = _run(_HOLD, tmp_path)
    with process, waiting:
        try:
            while len(_folders(tmp_path)) < 2:
                time.sleep(0.01)
            assert list((tmp_path / "lock").iterdir()) != []
            process.kill()
            process.wait()
            # Now it comes to its turn, and clears the other's folder.
            assert waiting.stdout is not None
            name = waiting.stdout.readline().strip()
            assert _folders(tmp_path) == {name}
        finally:
            process.kill()
            waiting.kill()


def test_a_folder_that_cannot_be_used_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--weights-dir .* cannot be used"):
        ProcessFolder(tmp_path / "file" / "weights")


def test_a_process_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_bytes(b"")
    os.utime(tmp_path / "elsewhere", (0, 0))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "process-0").symlink_to(tmp_path / "elsewhere")
    with ProcessFolder(tmp_path / "weights"):
        pass
    assert (tmp_path / "elsewhere" / "precious").exists()
