"""A network of one's own, with nothing on it: where the kernel allows, it is another wall beside the filter's.

Root may make one at once. Anyone else makes a user namespace around it, which many systems allow and some do not.
There the process stays who it was, to the files of this machine and to graphics devices, groups included. Root does
not take that way: in a user namespace it would lose its power over other users' files. The powers that come with a
namespace are given back with the others (`privileges`).
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

# linux/sched.h
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


def leave_the_network() -> bool:
    """Move the calling process, of one thread, into a network namespace of its own; whether the kernel allowed it."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(ctypes.c_int(_NEW_NETWORK)) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if user == 0 or library.unshare(ctypes.c_int(_NEW_USER | _NEW_NETWORK)) != 0:
        return False
    # Without a map it would be called nobody; harmless, so where it may not be written nothing is lost.
    with suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True
