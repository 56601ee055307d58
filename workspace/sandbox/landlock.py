"""Landlock: a process limits permanently which files it may use (Documentation/userspace-api/landlock.rst).

A user's files are much more than sampling needs: tokens, keys, shared folders of others. The kernel refuses the process
all files but the named ones, and with them starting programs, TCP connections, signals to processes outside, and
reading their environment and memory. What it leaves to the owner of a file (permissions, times, attributes) is refused
by `seccomp`; whether a file exists, its size and its times can be asked. No privilege is needed. Landlock exists since
Linux 5.13 and has been extended since; what an older kernel does not support is omitted.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from workspace.sandbox import kernel

# The same on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# linux/landlock.h
_VERSION, _RULE_PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_FOLDER, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
# By the version that introduced them. Moving files to other folders (REFER, version 2) is refused even where it is not
# named. Before version 5 every ioctl of a device is allowed to whoever could open it.
_FIRST_FILE_RIGHTS = (1 << 13) - 1
_TRUNCATE_SINCE = 3
_TCP_SINCE, _TCP_BIND_AND_CONNECT = 4, 3
_IOCTL_SINCE, _IOCTL = 5, 1 << 15
_SCOPES_SINCE, _ABSTRACT_SOCKETS_AND_SIGNALS = 6, 3

#: Rights below a path: to list folders; to read files too; to make, change and remove them; to use devices.
LIST = _READ_FOLDER
READ = LIST | _READ_FILE
WRITE = READ | _WRITE_FILE | _TRUNCATE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE
USE_DEVICE = READ | _WRITE_FILE | _IOCTL

_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none, or where it is disabled."""
    try:
        return kernel.call("syscall", _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    except OSError:
        return 0


def restrict(allowed: Mapping[int, Iterable[Path]]) -> bool:
    """Refuse the calling thread, and those it starts, every file but those at and below these paths, by rights.

    Files cannot be moved to another folder, even where both may be written. Paths that do not exist are ignored; no
    file may be executed. Needs PR_SET_NO_NEW_PRIVS. Returns False, with nothing restricted, where the kernel has no
    Landlock; raises `OSError` where it has Landlock and refuses.
    """
    abi = version()
    if not abi:
        return False
    files = _FIRST_FILE_RIGHTS
    files |= _TRUNCATE if abi >= _TRUNCATE_SINCE else 0
    files |= _IOCTL if abi >= _IOCTL_SINCE else 0
    # struct landlock_ruleset_attr was extended: an older kernel takes a shorter one.
    attributes = struct.pack("Q", files)
    if abi >= _TCP_SINCE:
        attributes += struct.pack("Q", _TCP_BIND_AND_CONNECT)
    if abi >= _SCOPES_SINCE:
        attributes += struct.pack("Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset = kernel.call("syscall", _CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for rights, paths in allowed.items():
            for path in paths:
                _allow(ruleset, path, rights & files)
        kernel.call("syscall", _RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_A_FILE
        # struct landlock_path_beneath_attr is packed.
        rule = struct.pack("=Qi", rights, place)
        arguments = ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0)
        kernel.call("syscall", _ADD_RULE, *arguments)
    finally:
        # What the kernel makes up is known to Landlock by its entry in memory, which is forgotten when nothing uses it.
        if not path.is_relative_to("/proc"):
            os.close(place)
