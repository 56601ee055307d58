"""Drops privileges: no program started later gets more, and root keeps only its access to other users' files.

Landlock and seccomp require the first. The second is for containers, where a process often runs as root: with all its
capabilities root could read other processes in spite of Landlock, and undo the restrictions.
"""

import ctypes
import os
import struct

# linux/prctl.h, linux/capability.h
_PR_SET_NO_NEW_PRIVS = 38
_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _FOWNER = 1 << 1, 1 << 3


def drop() -> None:
    """Drop every privilege of the calling thread except the access to other users' files, if it has that.

    Raises `OSError` when the kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    _check(library.prctl(ctypes.c_int(_PR_SET_NO_NEW_PRIVS), ctypes.c_ulong(1), zero, zero, zero), "prctl")
    header = ctypes.create_string_buffer(struct.pack("Ii", _VERSION_3, 0))
    # Two of struct __user_cap_data_struct, for 64 capabilities: effective, permitted, inheritable.
    held = ctypes.create_string_buffer(24)
    _check(library.capget(header, held), "capget")
    kept = struct.unpack("6I", held.raw)[1] & (_DAC_OVERRIDE | _FOWNER) if os.getuid() == 0 else 0
    _check(library.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)), "capset")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox could not be set up: {call}: {os.strerror(number)}")
