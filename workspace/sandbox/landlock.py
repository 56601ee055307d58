"""Landlock: a process limits permanently which files it may use (Documentation/userspace-api/landlock.rst).

A user's files are much more than sampling needs: tokens, keys, shared folders of others. The kernel refuses the process
all files but the named ones, and with them starting programs, TCP connections, signals to processes outside, and
reading their environment and memory. No privilege is needed. Landlock exists since Linux 5.13 and has been extended
since; what an older kernel does not support is omitted.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# The same on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

# linux/landlock.h
_VERSION, _RULE_PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_FOLDER, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_REMOVE_FOLDER, _REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
# By the version that introduced them. Moving files to other folders (REFER, version 2) is refused even where it is not
# named; ioctl on devices (IOCTL_DEV, version 5) is not restricted: only the named devices can be opened.
_FIRST_FILE_RIGHTS = (1 << 13) - 1
_TCP_SINCE, _TCP_BIND_AND_CONNECT = 4, 3
_TRUNCATE_SINCE = 3
_SCOPES_SINCE, _ABSTRACT_SOCKETS_AND_SIGNALS = 6, 3

_READ = _READ_FILE | _READ_FOLDER
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_FOLDER | _REMOVE_FILE | _MAKE_FOLDER | _MAKE_FILE
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none, or where it is disabled."""
    found: int = _library().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    return max(0, found)


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Refuse the calling thread, and those it starts, every file but those at and below these paths.

    Paths that do not exist are ignored; no file may be executed. Needs PR_SET_NO_NEW_PRIVS. Returns False, with nothing
    restricted, where the kernel has no Landlock; raises `OSError` where it has Landlock and refuses.
    """
    abi = version()
    if not abi:
        return False
    files = _FIRST_FILE_RIGHTS | (_TRUNCATE if abi >= _TRUNCATE_SINCE else 0)
    # struct landlock_ruleset_attr was extended: an older kernel takes a shorter one.
    attributes = struct.pack("Q", files)
    if abi >= _TCP_SINCE:
        attributes += struct.pack("Q", _TCP_BIND_AND_CONNECT)
    if abi >= _SCOPES_SINCE:
        attributes += struct.pack("Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
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
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(place)


def _call(number: int, *arguments: Any) -> int:
    result: int = _library().syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"the sandbox could not be set up: Landlock, call {number}: {os.strerror(code)}")
    return result


def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)
