"""Limits of the sampling process: its memory, and no core dumps.

The kernel counts private writable memory (RLIMIT_DATA), which a process can really fill. Address space that a graphics
driver only reserves does not count, nor do files that are mapped for reading. At the limit an allocation fails, so a
generator that needs too much gets an error in its own call, and the system does not kill any process.
"""

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Of the machine's memory: the rest is for the supervisor, and for the page cache that weights are read through.
_SHARE = 0.9
_CGROUPS = Path("/sys/fs/cgroup")


def default_memory() -> int | None:
    """Bytes that a sampling process may use by default: a share of the machine's memory or, where that is less, of the
    memory of its job; None where the system does not tell."""
    amounts = [amount for amount in (_machine(), *_job()) if amount]
    return int(min(amounts) * _SHARE) if amounts else None


def limit(memory: int | None) -> bool:
    """Limit the calling process to `memory` bytes; returns whether it is limited. None: no further limit."""
    # A core dump would contain gigabytes of weights.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is None or sys.platform != "linux":
        return False
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    if highest != resource.RLIM_INFINITY:
        memory = min(memory, highest)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, highest))
    return True


@contextmanager
def room_for(folders: Iterable[Path | None]) -> Iterator[None]:
    """Raise the limit by the size of the files in `folders` while the block loads them: torch maps them as writable, so
    they count, although the mapped memory is the page cache's."""
    memory, highest = resource.getrlimit(resource.RLIMIT_DATA)
    if memory == resource.RLIM_INFINITY:
        yield
        return
    more = sum(path.stat().st_size for folder in folders if folder for path in folder.rglob("*") if path.is_file())
    raised = memory + more if highest == resource.RLIM_INFINITY else min(memory + more, highest)
    resource.setrlimit(resource.RLIMIT_DATA, (raised, highest))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, highest))


def _machine() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _job() -> list[int]:
    """Bytes that the control groups around this process may use, as batch systems and containers set them."""
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                found += _amount(folder / name)
    return found


def _amount(file: Path) -> list[int]:
    try:
        return [int(file.read_text(encoding="ascii"))]
    except (OSError, ValueError):
        # It does not exist, or is "max".
        return []
