"""Seccomp: system calls that the kernel permanently refuses this process and all that it starts.

Refused are every socket but local (AF_UNIX) ones, io_uring, which opens sockets without the system call, and all calls
that read another process of the same user. The filter is written for x86-64 and arm64.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
from typing import Any

# linux/prctl.h, linux/seccomp.h, linux/audit.h, linux/filter.h
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
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


def refuse_sockets() -> bool:
    """Install the filter for the calling thread and those it starts; False on a machine that it is not written for.

    Needs PR_SET_NO_NEW_PRIVS. Raises `OSError` when the kernel refuses it.
    """
    if platform.machine() not in _MACHINES:
        return False
    _install_filter(*_MACHINES[platform.machine()])
    return True


def _install_filter(arch: int, socket_call: int, into_others: tuple[int, ...]) -> None:
    refused = (*into_others, _IO_URING_SETUP, _PIDFD_GETFD)
    program = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    # A jump counts instructions from the next one; the program ends with: refuse, allow.
    tests = [(_AT_LEAST, _X32_BIT), *((_EQUAL, number) for number in refused)]
    for position, (test, number) in enumerate(tests):
        program.append((test, len(tests) - position + 2, 0, number))
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
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header)


def _prctl(option: int, value: int, pointer: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), pointer, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox could not be set up: prctl({option}): {os.strerror(number)}")
