"""The devices of this machine, and what `--devices` names of them."""

import os
import re
from pathlib import Path

from workspace.errors import UsageError

_CPUS = re.compile(r"cpu:([1-9][0-9]{0,3})", re.ASCII)
_GPUS = re.compile(r"[0-9]{1,4}(?:,[0-9]{1,4})*", re.ASCII)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device for device in named.split(",") if device not in ("", "-1", "NoDevFiles")]
    return [str(number) for number in range(sum(1 for _ in Path("/dev").glob("nvidia[0-9]*")))]


def check_devices(text: str) -> None:
    """Raise `UsageError` for a text that names no devices, whatever this machine has."""
    if text != "all" and not _CPUS.fullmatch(text) and not _GPUS.fullmatch(text):
        raise UsageError(
            f"--devices {text!r} is not of a known form: all (GPUs of this machine), 0,2 (the first and the third), or "
            "cpu:4 (four processes on the CPU)"
        )
    if text != "all" and _GPUS.fullmatch(text) and len(set(_numbers(text))) < len(_numbers(text)):
        raise UsageError(f"--devices {text}: a GPU is named twice")


def devices_of(text: str) -> tuple[str, ...]:
    """The devices that `--devices` names, as torch does: cuda:0, cuda:2; for cpu:4 four times cpu.

    GPUs are counted as CUDA does, among those of CUDA_VISIBLE_DEVICES. Raises `UsageError` as `check_devices`, where
    there is no GPU, and for one that does not exist.
    """
    check_devices(text)
    if match := _CPUS.fullmatch(text):
        return ("cpu",) * int(match[1])
    gpus = len(visible_gpus())
    if not gpus:
        raise UsageError(
            f"--devices {text}: this machine has no GPU, or CUDA_VISIBLE_DEVICES hides them; --devices cpu:2 is two "
            "processes on the CPU"
        )
    numbers = range(gpus) if text == "all" else _numbers(text)
    if missing := [number for number in numbers if number >= gpus]:
        raise UsageError(
            f"--devices {text}: there is no GPU {missing[0]}; this machine has {gpus}, counted from 0 (of those in "
            "CUDA_VISIBLE_DEVICES, if it is set)"
        )
    return tuple(f"cuda:{number}" for number in numbers)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
