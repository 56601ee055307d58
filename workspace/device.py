"""The device that networks compute on: chosen and tried at the start, and tried again after a failure.

An error inside a kernel of a GPU, such as an index out of range, or a GPU that is gone ends CUDA for the whole process:
from then on every call fails with the same error, whichever generator it is for (`torch.AcceleratorError`; CUDA calls
such errors sticky). Only another process can compute again.
"""

import os
from pathlib import Path

from workspace.errors import UsageError, in_one_line

#: Values of CUDA_VISIBLE_DEVICES with which a user, or SLURM for a job without GPUs, hides all of them.
_NONE_VISIBLE = frozenset({"", "-1", "NoDevFiles"})
#: What a machine has whose driver is loaded: NVIDIA's, and AMD's.
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"))


class DeviceError(UsageError):
    """A device cannot be used; the message says why, and what to do."""


def chosen_device(wanted: str) -> str:
    """The device; `auto` is the first GPU, or the CPU of a machine without one; `auto:3` the fourth GPU.

    Raises `DeviceError` where it does not compute: a build of torch may lack the kernels of a GPU that it finds, and a
    driver may refuse to start.
    """
    import torch

    device = wanted
    automatic, _, number = wanted.partition(":")
    if automatic == "auto":
        if not torch.cuda.is_available() and not _gpu_is_expected():
            return "cpu"
        # A launcher may show each of its processes one GPU only.
        device = f"cuda:{int(number or 0) % max(torch.cuda.device_count(), 1)}"
    try:
        if device != "cpu" and torch.device(device).type != "cuda":
            raise ValueError("it is neither cpu nor cuda:N")
        _compute(device)
    except Exception as error:
        other = "; --device cpu uses the CPU" if automatic == "auto" else ""
        raise DeviceError(f"--device {wanted} cannot be used: {in_one_line(error)}{other}") from error
    return device


def works(device: str) -> bool:
    """Whether this process can still compute on `device`."""
    try:
        _compute(device)
    except Exception:
        return False
    return True


def _compute(device: str) -> None:
    import torch

    if torch.ones(2, device=device).sum().item() != 2:
        raise RuntimeError("it computes 1 + 1 wrongly")


def _gpu_is_expected() -> bool:
    """Whether the machine has a driver of GPUs that torch is made for, and nobody hides them. Where torch finds none
    then, something is wrong, and images of the CPU would not be those of the other shards."""
    import torch

    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in _NONE_VISIBLE
    return torch.backends.cuda.is_built() and not hidden and any(driver.exists() for driver in _DRIVERS)
