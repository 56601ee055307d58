"""Calls of the kernel for which Python has no function, by way of the C library."""

import ctypes
import functools
import os
from typing import Any

# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38


@functools.cache
def library() -> Any:
    """The C library, which keeps the error of a call."""
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a function of the C library. Raises `OSError` where it returns less than 0."""
    result: int = getattr(library(), name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def control_process(option: int, value: int, pointer: Any = None) -> None:
    """prctl(2) of the calling thread. Raises `OSError` where the kernel refuses."""
    zero = ctypes.c_ulong(0)
    call("prctl", ctypes.c_int(option), ctypes.c_ulong(value), zero if pointer is None else pointer, zero, zero)
