import subprocess
import sys
from pathlib import Path

import pytest

from workspace.sandbox import limits

_SCRIPT = """
import mmap, resource, sys
from pathlib import Path
from workspace.sandbox import limits

def fits(count):
    try:
        mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE).close()
        return True
    except OSError:
        return False

assert limits.limit_memory(1 << 30, 1 << 30) and limits.limit_counts(alone=False)
folder = Path(sys.argv[1])
inside = outside = None
outside = fits(3 << 29)
with limits.room_for([folder, None]):
    inside = fits(3 << 29)
assert resource.getrlimit(resource.RLIMIT_DATA) == (1 << 30, 1 << 31)
with limits.room_for([folder] * 100):
    assert resource.getrlimit(resource.RLIMIT_DATA) == (1 << 31, 1 << 31)
print(fits(1 << 29), outside, inside, fits(3 << 29), resource.getrlimit(resource.RLIMIT_CORE))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is Linux's")
def test_memory_is_limited_and_weights_are_added_while_they_load(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["True", "False", "True", "False", "(0,", "0)"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is Linux's")
@pytest.mark.parametrize("memory", [1, 10 << 20, 60 << 20])
def test_a_limit_with_which_no_thread_starts_ends_the_process_with_one_line(memory: int) -> None:
    code = f"from workspace.sandbox import limits; limits.limit_memory({memory}, None)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"--max-memory {memory / 1e9:g} (GB) is too little: the process needs 0.")


def test_the_default_is_a_share_of_the_machines_memory() -> None:
    memory = limits.default_memory()
    assert memory is not None
    assert 2**28 < memory < 2**46
