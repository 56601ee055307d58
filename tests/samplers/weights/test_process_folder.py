import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samplers.weights.scratch import SILENT_SECONDS, Slot
from workspace.errors import UsageError

_HOLD = """
import sys
from pathlib import Path
from samplers.weights.scratch import Slot
slot = Slot(Path(sys.argv[1]))
(slot.path / "weights").write_bytes(b"litter")
print(slot.path.name, flush=True)
if sys.argv[2:] == ["turn"]:
    slot.turn.__enter__()
    print("turn", flush=True)
sys.stdin.read()
"""

_COUNT = """
import sys
from pathlib import Path
from samplers.weights.scratch import Slot
with Slot(Path(sys.argv[1])) as slot:
    for _ in range(int(sys.argv[3])):
        with slot.turn:
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
        assert process.stdout.readline() == "turn\n"
    return process, name


def _slots(weights: Path) -> set[str]:
    return {path.name for path in weights.glob("slot-*")}


def _elsewhere(name: str) -> str:
    """The name of a slot, as a process in another container or on another host would give it."""
    place = name.split("-")[1]
    return name.replace(place, "0" * len(place))


def _begun_before(name: str) -> str:
    """The name of a slot of a process that had the number of this one's, and began a day earlier."""
    parts = name.split("-")
    return "-".join((*parts[:3], str(int(parts[3]) - 86_400), *parts[4:]))


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    with Slot(tmp_path) as slot:
        (slot.path / "deep").mkdir()
        (slot.path / "deep" / "file").write_bytes(b"")
        (slot.pool / "content").write_bytes(b"")
        assert list(slot.home.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_what_all_share_goes_with_the_last(tmp_path: Path) -> None:
    process, _ = _hold(tmp_path)
    with process:
        with Slot(tmp_path) as slot:
            (slot.pool / "content").write_bytes(b"")
        assert (tmp_path / "pool" / "content").exists()
        process.kill()
        process.wait()
        with Slot(tmp_path):
            assert (tmp_path / "pool" / "content").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reaped", [True, False])
def test_two_processes_never_share_a_slot_and_a_dead_ones_is_cleared(tmp_path: Path, reaped: bool) -> None:
    process, name = _hold(tmp_path)
    with process:
        with Slot(tmp_path) as beside:
            assert beside.path.name != name
            assert (tmp_path / name / "weights").exists()
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
        assert (tmp_path / name / "weights").exists()
        with Slot(tmp_path) as after:
            assert _slots(tmp_path) == {after.path.name}
            assert [path.name for path in after.path.iterdir()] == ["home"]


@pytest.mark.parametrize("unknown", [_elsewhere, _begun_before, lambda _: "slot-0"])
def test_where_nobody_can_see_the_process_its_silence_tells(tmp_path: Path, unknown: Callable[[str], str]) -> None:
    process, name = _hold(tmp_path)
    with process:
        other = (tmp_path / name).rename(tmp_path / unknown(name))
        with Slot(tmp_path) as slot:
            assert _slots(tmp_path) == {slot.path.name, other.name}
        moved = other.stat().st_mtime - SILENT_SECONDS
        os.utime(other, (moved + 30, moved + 30))
        with Slot(tmp_path) as slot:
            assert _slots(tmp_path) == {slot.path.name, other.name}
        os.utime(other, (moved - 30, moved - 30))
        with Slot(tmp_path) as slot:
            assert _slots(tmp_path) == {slot.path.name}
        process.kill()


def test_a_process_that_runs_is_not_dead_however_long_it_is_silent(tmp_path: Path) -> None:
    process, name = _hold(tmp_path)
    with process:
        os.utime(tmp_path / name, (0, 0))
        with Slot(tmp_path) as slot:
            assert _slots(tmp_path) == {slot.path.name, name}
        process.kill()


def test_processes_take_turns(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    processes = [_run(_COUNT, tmp_path / "weights", tmp_path / "count", 60) for _ in range(4)]
    assert [process.wait(100) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()
    assert (tmp_path / "count").read_text() == "240"
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_turn_ends_with_its_process(tmp_path: Path) -> None:
    process, _ = _hold(tmp_path, "turn")
    waiting = _run(_HOLD, tmp_path)
    with process, waiting:
        try:
            while len(_slots(tmp_path)) < 2:
                time.sleep(0.01)
            assert list((tmp_path / "turn").iterdir()) != []
            process.kill()
            process.wait()
            # Now it comes to its turn, and clears the other's slot.
            assert waiting.stdout is not None
            name = waiting.stdout.readline().strip()
            assert _slots(tmp_path) == {name}
        finally:
            process.kill()
            waiting.kill()


def test_a_folder_that_cannot_be_used_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--weights-dir .* cannot be used"):
        Slot(tmp_path / "file" / "weights")


def test_a_slot_that_is_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_bytes(b"")
    os.utime(tmp_path / "elsewhere", (0, 0))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "slot-0").symlink_to(tmp_path / "elsewhere")
    with Slot(tmp_path / "weights"):
        pass
    assert (tmp_path / "elsewhere" / "precious").exists()
