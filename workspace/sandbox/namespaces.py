"""A network namespace without interfaces: where the kernel allows it, a layer in addition to the seccomp filter.

Root may create one directly. Other users create a user namespace around it, which many systems allow and some do not.
In it the process keeps its user and groups for the files of this machine and for graphics devices. Root does not use a
user namespace: it would lose its access to other users' files. The capabilities that come with a namespace are dropped
with the others (`privileges`).
"""

import os
from contextlib import suppress
from pathlib import Path

from workspace.sandbox import kernel, privileges

# linux/sched.h
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


def leave_the_network() -> bool:
    """Move the calling process, of one thread, into a network namespace of its own; returns whether the kernel allowed
    it."""
    user, group = os.getuid(), os.getgid()
    try:
        kernel.call("unshare", _NEW_NETWORK if user == 0 else _NEW_USER | _NEW_NETWORK)
    except OSError:
        return False
    if user == 0:
        return True
    # Without a map its user would be shown as nobody, which does no harm: so failing to write it is ignored.
    with suppress(OSError):
        # A process that is hidden, as after a change of user, may not write its own.
        privileges.hide(False)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True
