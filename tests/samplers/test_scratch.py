import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from samplers.scratch import Slot
from workspace.errors import UsageError

_HOLD = """
import sys
from pathlib import Path
from samplers.scratch import Slot
slot = Slot(Path(sys.argv[1]))
(slot.path / "weights").write_bytes(b"litter")
print(slot.path.name, flush=True)
sys.stdin.read()
"""


def _hold(weights: Path) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(weights)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    with Slot(tmp_path) as slot:
        (slot.path / "deep").mkdir()
        (slot.path / "deep" / "file").write_bytes(b"")
        assert list(slot.home.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_two_processes_never_share_a_slot_and_a_dead_ones_is_cleared(tmp_path: Path) -> None:
    process, name = _hold(tmp_path)
    with process:
        with Slot(tmp_path) as beside:
            assert beside.path.name != name
            assert (tmp_path / name / "weights").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / name / "weights").exists()
        with Slot(tmp_path) as after:
            assert [path.name for path in tmp_path.iterdir()] == [after.path.name]
            assert [path.name for path in after.path.iterdir()] == ["home"]


def test_a_folder_that_cannot_be_used_is_refused_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--weights-dir .* cannot be used"):
        Slot(tmp_path / "file" / "weights")


def test_a_slot_that_is_a_link_to_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_bytes(b"")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "slot-0").symlink_to(tmp_path / "elsewhere")
    with Slot(tmp_path / "weights") as slot:
        assert slot.path.name == "slot-1"
    assert (tmp_path / "elsewhere" / "precious").exists()
