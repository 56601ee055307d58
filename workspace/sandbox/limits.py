"""Limits of the process: its memory, its threads, the number and size of its files; no core dumps.

The kernel counts private writable memory (RLIMIT_DATA), which a process can really fill. Address space that a graphics
driver only reserves does not count, nor do files that are mapped for reading. At the limit an allocation fails, so a
generator that needs too much gets an error in its own call, and the system does not kill any process.
"""

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Of the machine's memory: the rest is for the supervisor, and for the page cache that weights are read through.
_SHARE = 0.9
#: Bytes of a file that it writes: many times a part with the images in it.
LARGEST_FILE = 1 << 33
#: Files that it has open, and threads: many times what libraries use on the largest machines.
MOST_FILES, MOST_THREADS = 8192, 4096
#: Bytes that a process needs beside what it has when it is limited: stacks of threads, and room to report an error.
_LEAST = 64 << 20
_CGROUPS = Path("/sys/fs/cgroup")


def default_memory() -> int | None:
    """Bytes that a sampling process may use by default: a share of the machine's memory or, where that is less, of the
    memory of its job; None where the system does not tell."""
    amounts = [amount for amount in (_machine(), *_job()) if amount]
    return int(min(amounts) * _SHARE) if amounts else None


def limit_memory(memory: int | None, mapped: int | None) -> bool:
    """Limit the calling process to `memory` bytes; returns whether it is limited. None: no further limit.

    It may raise that by `mapped` bytes at most, for files that it maps (`room_for`); None: without a bound. Ends the
    process, with the reason on standard error, for a limit with which it could not go on.
    """
    if sys.platform != "linux":
        return False
    # Where the limit does not reach, as for memory that a driver shares, the system ends this process before any other.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if memory is None:
        return False
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    needed = _used() + _LEAST
    if _lower(memory, highest) < needed:
        # At this limit a thread dies before it runs, and whoever starts it waits for ever.
        raise SystemExit(
            f"--max-memory {memory / 1e9:g} (GB) is too little: the process needs {needed / 1e9 + 0.005:.2f} before it "
            "loads anything; give it some GB more than that"
        )
    most = _lower(memory + mapped, highest) if mapped is not None else highest
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(memory, most), most))
    return True


def limit_counts(alone: bool) -> bool:
    """Limit how many files and threads the calling process has, and their sizes; no core dumps.

    `alone`: the kernel counts the threads of this process without the user's others.
    """
    limits = {
        # A core dump would contain gigabytes of weights.
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_NOFILE: MOST_FILES,
        resource.RLIMIT_NPROC: MOST_THREADS if alone else MOST_THREADS + _threads_of_the_user(),
    }
    if sys.platform == "linux":
        limits |= {resource.RLIMIT_MSGQUEUE: 0, resource.RLIMIT_NICE: 0, resource.RLIMIT_RTPRIO: 0}
    for kind, most in limits.items():
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (_lower(most, soft), _lower(most, hard)))
    return True


def _lower(limit: int, other: int) -> int:
    return limit if other == resource.RLIM_INFINITY else min(limit, other)


def _threads_of_the_user() -> int:
    """How many threads the processes of this user have, which count with those of this process."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        # It may end meanwhile.
        with suppress(OSError):
            if process.stat().st_uid == os.getuid():
                found += sum(1 for _ in (process / "task").iterdir())
    return found


@contextmanager
def room_for(folders: Iterable[Path | None]) -> Iterator[None]:
    """Raise the limit by the size of the files in `folders` while the block loads them: torch maps them as writable, so
    they count, although the mapped memory is the page cache's."""
    memory, highest = resource.getrlimit(resource.RLIMIT_DATA)
    if memory == resource.RLIM_INFINITY:
        yield
        return
    more = sum(path.stat().st_size for folder in folders if folder for path in folder.rglob("*") if path.is_file())
    resource.setrlimit(resource.RLIMIT_DATA, (_lower(memory + more, highest), highest))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, highest))


def _used() -> int:
    """Bytes that count for the limit now."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), 0)


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
