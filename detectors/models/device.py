"""The device that detectors compute on, and the precision."""

import os
from functools import cache

from workspace.device import chosen_device as tried
from workspace.terminal import say


def chosen_device(wanted: str = "auto") -> str:
    """The device, as `workspace.device.chosen_device`; that `auto` found no GPU is said once. Raises
    `DeviceError` for one that does not compute."""
    device = tried(wanted)
    if wanted.startswith("auto") and device == "cpu":
        _say_slow()
    return device


@cache
def _say_slow() -> None:
    if os.environ.get("RANK", "0") == "0":  # of several processes of one command the first one
        say("no GPU was found: networks compute on the CPU, which may be slow (--dry-run says how slow)", err=True)


def precision_of(setting: str, device: str) -> str:
    """no, bf16 or fp16, as accelerate names them; auto is bf16 on a GPU that computes it, else no."""
    import torch

    if setting != "auto":
        return setting
    return "bf16" if device.startswith("cuda") and torch.cuda.is_bf16_supported() else "no"
