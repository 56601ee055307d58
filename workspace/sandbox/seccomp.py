"""Seccomp: system calls that the kernel permanently refuses this process and all that it starts.

Which ones, and why, is in `system_calls`; here the list becomes the program that the kernel runs at each call. A call
in the manner of another kind of machine (32 bits) ends the process; one of x32, and one that is newer than the list,
does not exist for it. The filter is written for x86-64 and arm64.
"""

import ctypes
import errno
import os
import platform
import struct
from typing import TypeAlias

from workspace.sandbox import kernel
from workspace.sandbox.call_numbers import NEWEST, call_numbers
from workspace.sandbox.system_calls import REFUSED, Condition, conditional

# linux/seccomp.h, linux/audit.h, linux/filter.h
_SECCOMP_MODE_FILTER = 2
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _AND, _EQUAL, _ABOVE, _RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
# struct seccomp_data: the number, the kind of machine, an address, then the arguments, of 8 bytes each.
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16

#: AUDIT_ARCH_* of <linux/audit.h>; both kinds of machine store the lower half of an argument first.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

#: What an instruction does, where a test jumps to if it holds and if not (both counted from the next instruction), and
#: its operand.
Instruction: TypeAlias = tuple[int, int, int, int]


def restrict(graphics: bool) -> bool:
    """Install the filter for the calling thread and those it starts; False on a machine that it is not written for.

    `graphics`: the driver of a graphics device runs in the process. Needs PR_SET_NO_NEW_PRIVS. Raises `OSError` when
    the kernel refuses it.
    """
    code = program(platform.machine(), os.getpid(), graphics)
    if code is None:
        return False
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in code))
    # struct sock_fprog: the number of instructions, padding, a pointer to them.
    header = ctypes.create_string_buffer(struct.pack("HP", len(code), ctypes.addressof(buffer)))
    kernel.control_process(kernel.PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header)
    return True


def program(machine: str, process: int, graphics: bool) -> list[Instruction] | None:
    """The filter for the process of this number; None for a kind of machine that it is not written for."""
    numbers = call_numbers(machine)
    if numbers is None:
        return None
    code = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_ABOVE, 0, 1, NEWEST),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for name, (error, conditions) in conditional(process, graphics).items():
        block = _block(error, conditions)
        code += [(_EQUAL, 0, len(block), numbers[name]), *block]
    for error, names in REFUSED:
        for name in names.split():
            # A machine without a call has no number for it.
            if name in numbers:
                code += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ERRNO | error)]
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _block(error: int, conditions: tuple[Condition, ...]) -> list[Instruction]:
    """Refuse the call with `error` where one of the conditions holds, else allow it."""
    refuse = (_RETURN, 0, 0, _ERRNO | error)
    if not conditions:
        return [refuse]
    block: list[Instruction] = []
    for condition in conditions:
        values = condition.values
        block += [(_LOAD, 0, 0, _OFFSET_ARGUMENTS + 8 * condition.argument), (_AND, 0, 0, condition.mask)]
        for place, value in enumerate(values):
            # To the refusal after the last value or, where only these are allowed, past it.
            block.append((_EQUAL, len(values) - place - (not condition.only), 0, value))
        if not condition.only:
            # No value is equal.
            last_test, jump, _, value = block.pop()
            block.append((last_test, jump, 1, value))
        block.append(refuse)
    return [*block, (_RETURN, 0, 0, _ALLOW)]
