"""StyleSwin: microsoft/StyleSwin. `code`: a clone; it needs the package timm."""

import functools
from pathlib import Path
from typing import Any

import _plain_ops
import torch
from _own_noise import noise_of
from _weights import weights

_plain_ops.provide()
#: Defaults of its train_styleswin.py.
_STYLE, _LAYERS = 512, 8


@functools.cache
def _generator(folder: Path, device: str, size: int, channel_multiplier: int) -> Any:
    from models.generator import Generator

    generator = Generator(size, _STYLE, _LAYERS, channel_multiplier=channel_multiplier)
    generator.load_state_dict(weights(folder, "*.pt", trusted=True)["g_ema"])
    return generator.eval().to(device)


def sample(seeds: list[int], folder: Path, device: str, size: int, channel_multiplier: int) -> torch.Tensor:
    """`channel_multiplier`: 2 for its models of 256 pixels, 1 for those of 1024."""
    generator = _generator(folder, device, size, channel_multiplier)
    return generator(noise_of(seeds, (_STYLE,), device))[0].clamp(-1, 1)
