"""Drops privileges: no program started later gets more, and root keeps only its access to other users' files.

Landlock and seccomp require the first. The second is for containers, where a process often runs as root: with all its
capabilities root could read other processes in spite of Landlock, and undo the restrictions.
"""

import ctypes
import os
import struct

from workspace.sandbox import kernel

# linux/capability.h
_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _FOWNER = 1 << 1, 1 << 3


def drop() -> None:
    """Drop every privilege of the calling thread except the access to other users' files, if it has that.

    Raises `OSError` when the kernel refuses.
    """
    kernel.control_process(kernel.PR_SET_NO_NEW_PRIVS, 1)
    header = ctypes.create_string_buffer(struct.pack("Ii", _VERSION_3, 0))
    # Two of struct __user_cap_data_struct, for 64 capabilities: effective, permitted, inheritable.
    held = ctypes.create_string_buffer(24)
    kernel.call("capget", header, held)
    kept = struct.unpack("6I", held.raw)[1] & (_DAC_OVERRIDE | _FOWNER) if os.getuid() == 0 else 0
    kernel.call("capset", header, struct.pack("6I", kept, kept, 0, 0, 0, 0))


def hide(hidden: bool) -> None:
    """Hide the process's memory from other processes of the same user, and from programs that collect core dumps."""
    kernel.control_process(kernel.PR_SET_DUMPABLE, int(not hidden))
