"""The filter itself: what it answers, on both kinds of machine, and that the kernel takes it."""

import ctypes
import errno
import multiprocessing
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.sandbox import isolation, seccomp
from workspace.sandbox.call_numbers import NEWEST, call_numbers
from workspace.sandbox.system_calls import REFUSED, conditional

MACHINES = ("x86_64", "aarch64")
PROCESS = 4321
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _answer(machine: str, call: str | int, *arguments: int, graphics: bool = False, arch: int | None = None) -> int:
    """What the filter's program comes to, run as the kernel runs it."""
    numbers = call_numbers(machine)
    program = seccomp.program(machine, PROCESS, graphics)
    assert numbers is not None
    assert program is not None
    number = numbers[call] if isinstance(call, str) else call
    data = {0: number, 4: _ARCHITECTURES[machine] if arch is None else arch}
    data |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate([*arguments, *[0] * 6][:6])}
    value, position = 0, 0
    while True:
        code, true, false, operand = program[position]
        position += 1
        match code:
            case 0x20:
                value = data[operand]
            case 0x54:
                value &= operand
            case 0x15:
                position += true if value == operand else false
            case 0x25:
                position += true if value > operand else false
            case 0x06:
                return operand
            case _:
                raise AssertionError(code)


def _error(number: int) -> int:
    return _ERRNO | number


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("graphics", [False, True])
def test_every_refused_call_gets_its_error(machine: str, graphics: bool) -> None:
    numbers = call_numbers(machine) or {}
    for error, names in REFUSED:
        for name in names.split():
            if name in numbers:
                assert _answer(machine, name, 1, 2, 3, graphics=graphics) == _error(error), name


@given(st.sampled_from(MACHINES), st.integers(0, NEWEST), st.booleans())
def test_every_other_call_is_allowed(machine: str, number: int, graphics: bool) -> None:
    numbers = call_numbers(machine) or {}
    named = {name for _, names in REFUSED for name in names.split()} | conditional(1, graphics).keys()
    if number not in {numbers.get(name) for name in named}:
        assert _answer(machine, number, graphics=graphics) == _ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("call", "arguments", "error"),
    [
        ("kill", (PROCESS, 9), 0),
        ("kill", (1, 9), errno.EPERM),
        ("kill", (-1, 9), errno.EPERM),
        ("prlimit64", (0, 2), 0),
        ("prlimit64", (PROCESS, 2), 0),
        ("prlimit64", (77, 2), errno.EPERM),
        ("clone", (0x3D0F00,), 0),
        ("clone", (0x11,), errno.EPERM),
        ("clone", (0x3D0F00 | 0x10000000,), errno.EPERM),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_STREAM | 0x80000), 0),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_DGRAM), errno.EACCES),
        ("socketpair", (socket.AF_INET, socket.SOCK_STREAM), errno.EACCES),
        ("ioctl", (3, 0x5401), 0),
        ("ioctl", (3, 0xC020462A), 0),
        ("ioctl", (3, 0x40086602), errno.EPERM),
        ("ioctl", (3, 0x5412), errno.EPERM),
        ("fcntl", (3, 1030), 0),
        ("fcntl", (3, 8), errno.EPERM),
        ("mmap", (0, 4096, 3, 0x22), 0),
        ("mmap", (0, 4096, 3, 0x01), 0),
        ("mmap", (0, 4096, 3, 0x21), errno.EPERM),
        ("setpriority", (0, 0, 5), 0),
        ("setpriority", (0, 7, 5), errno.EPERM),
        ("setpriority", (2, 0, 5), errno.EPERM),
        ("prctl", (15, 0), 0),
        ("prctl", (1, 0), errno.EPERM),
        ("socket", (socket.AF_UNIX, socket.SOCK_SEQPACKET), errno.EACCES),
        ("bind", (3,), errno.EACCES),
    ],
)
def test_some_calls_depend_on_their_arguments(machine: str, call: str, arguments: tuple[int, ...], error: int) -> None:
    assert _answer(machine, call, *arguments) == (_error(error) if error else _ALLOW)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_graphics_driver_may_share_memory_and_listen_but_not_connect(machine: str) -> None:
    for call, arguments in (
        ("socket", (socket.AF_UNIX, socket.SOCK_SEQPACKET | 0x80000)),
        ("bind", (3,)),
        ("accept4", (3,)),
        ("mmap", (0, 4096, 3, 0x21)),
        ("memfd_create", (0,)),
    ):
        assert _answer(machine, call, *arguments, graphics=True) == _ALLOW, call
    for call, arguments in (
        ("socket", (socket.AF_UNIX, socket.SOCK_STREAM)),
        ("socket", (socket.AF_INET, socket.SOCK_SEQPACKET)),
        ("connect", (3,)),
    ):
        assert _answer(machine, call, *arguments, graphics=True) == _error(errno.EACCES), call


@pytest.mark.attack
@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_kind_of_machine_are_no_way_around(machine: str) -> None:
    assert _answer(machine, 20, arch=0x40000003) == _KILL
    assert _answer(machine, 0x40000000 + 41) == _error(errno.ENOSYS)
    assert _answer(machine, NEWEST + 1) == _error(errno.ENOSYS)


def test_a_machine_that_it_is_not_written_for_gets_no_filter() -> None:
    assert seccomp.program("riscv64", PROCESS, graphics=False) is None


def _libseccomp() -> Callable[[int, bytes], int]:
    try:
        resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
    except (OSError, AttributeError):
        pytest.skip("libseccomp, which knows all numbers, is not installed")
    resolve.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    return lambda arch, name: int(resolve(arch, name))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_libseccomp(machine: str) -> None:
    resolve, numbers = _libseccomp(), call_numbers(machine) or {}
    known = {name: resolve(_ARCHITECTURES[machine], name.encode()) for name in numbers}
    # A negative number: it is newer than the installed library.
    assert {name: number for name, number in known.items() if number >= 0}.items() <= numbers.items()
    assert sum(number >= 0 for number in known.values()) > 100
    named = {name for _, names in REFUSED for name in names.split()} | conditional(1, False).keys()
    absent = {name for name in named - numbers.keys() if resolve(_ARCHITECTURES[machine], name.encode()) >= 0}
    assert absent == set()


def _call_as_32_bits(home: Path) -> None:
    import mmap

    isolation.enter(home, kept=[])
    # mov eax, 20 (getpid of 32 bits); int 0x80; ret
    code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0)


@pytest.mark.attack
@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="it is code of x86-64")
def test_a_call_of_32_bits_ends_the_process(tmp_path: Path) -> None:
    process = multiprocessing.get_context("forkserver").Process(target=_call_as_32_bits, args=(tmp_path,))
    with isolation.clean_environment(tmp_path):
        process.start()
    process.join()
    assert process.exitcode == -signal.SIGSYS
