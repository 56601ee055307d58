"""What ties the process to the one that started it: it ends with it, and holds nothing of it that was inherited."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from workspace.sandbox import kernel

#: Standard input, output and error.
_STANDARD = frozenset({0, 1, 2})


def leave_the_session() -> None:
    """Make the process the first of a session of its own: without a terminal, and its group can be killed as one."""
    with suppress(PermissionError):  # it is that already
        os.setsid()


def die_with_the_parent(parent: int) -> None:
    """Let the kernel kill the process when the thread that started it ends; `parent` is the number of its process."""
    kernel.control_process(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before.
        os._exit(1)


def let_go_of_descriptors(kept: Iterable[int]) -> None:
    """Replace every open file, pipe and socket by the null device, but for the standard ones and those in `kept`.

    A forked process inherits pipes that steer other processes, such as the one by which the resource tracker is told
    what to delete. The numbers remain in use: whoever closes one later closes nothing else.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    numbers = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    for number in numbers:
        if number not in {*kept, *_STANDARD, null}:
            # The one that listed them is closed already.
            with suppress(OSError):
                os.fstat(number)
                os.dup2(null, number, inheritable=False)
