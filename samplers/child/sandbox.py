"""Walls around the process that opens strangers' weights: no token, no network, no way into another process.

Three walls, of which each works alone. The environment is rid of secrets before the fork server starts
(`clean_environment`), so no token was ever in the child. On Linux a seccomp filter refuses every socket but local
(AF_UNIX) ones, io_uring (which opens sockets without the system call), and all calls that look into another process
of the same user; it cannot be taken off again. Everywhere, an audit hook refuses Python's sockets with a message that
says why.

The filter is written for x86-64 and arm64; elsewhere the audit hook is all there is.
"""

import ctypes
import errno
import os
import platform
import re
import resource
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Names of variables that hold secrets, or the way to the network (proxies, which may carry a password).
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|PRIVATE|(^|_)KEY($|_)|_PROXY$", re.IGNORECASE)

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_OFFLINE": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

# linux/prctl.h, linux/seccomp.h, linux/audit.h, linux/filter.h
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENT = 0, 4, 16
_X32_BIT = 0x40000000

# AUDIT_ARCH_*, the number of socket(2), and the numbers of ptrace, process_vm_readv, process_vm_writev;
# io_uring_setup and pidfd_getfd have the same number everywhere.
_MACHINES = {
    "x86_64": (0xC000003E, 41, (101, 310, 311)),
    "aarch64": (0xC00000B7, 198, (117, 270, 271)),
}
_IO_URING_SETUP, _PIDFD_GETFD = 425, 438


def cleaned(environment: dict[str, str], home: Path) -> dict[str, str]:
    """`environment` without secrets, set to work offline, with the empty folder `home` as Hugging Face's."""
    kept = {name: value for name, value in environment.items() if not _SECRET.search(name)}
    return {**kept, **_OFFLINE, "HF_HOME": str(home)}


@contextmanager
def clean_environment(home: Path) -> Iterator[None]:
    """Give this process the cleaned environment while the block runs, for the processes it starts there."""
    former = dict(os.environ)
    _replace_environment(cleaned(former, home))
    try:
        yield
    finally:
        _replace_environment(former)


def enter(home: Path) -> None:
    """Wall in the calling process, for good. Call before the first thread starts: the filter holds for the caller
    and what it starts.

    Raises `OSError` when Linux refuses the filter on a machine it is written for.
    """
    _replace_environment(cleaned(dict(os.environ), home))
    # A core dump would hold gigabytes of weights.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse_sockets)
    if sys.platform == "linux" and platform.machine() in _MACHINES:
        _install_filter(*_MACHINES[platform.machine()])


def _replace_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        raise PermissionError(errno.EACCES, "no network in the process that samples")


def _install_filter(arch: int, socket_call: int, into_others: tuple[int, ...]) -> None:
    refused = (*into_others, _IO_URING_SETUP, _PIDFD_GETFD)
    program = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    # Jumps count instructions from the next one; the program ends with: refuse, allow.
    tests = [(_AT_LEAST, _X32_BIT), *((_EQUAL, number) for number in refused)]
    for place, (test, number) in enumerate(tests):
        program.append((test, len(tests) - place + 2, 0, number))
    program += [
        (_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, _OFFSET_ARGUMENT),
        (_EQUAL, 1, 0, socket.AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    # struct sock_fprog: the number of instructions, padding, a pointer to them.
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1, None)
    _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header)


def _prctl(libc: Any, option: int, value: int, pointer: Any) -> None:
    zero = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), pointer, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox could not be set up: prctl({option}): {os.strerror(number)}")
