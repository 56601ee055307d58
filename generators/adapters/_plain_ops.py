"""Operations that published code compiles, without a compiler, as the sampling process has none: those of rosinality's
stylegan2-pytorch in plain torch, under the name `op` that code made from it imports, and NVlabs's by their reference
implementations.

Formulas: Karras et al. 2020 (StyleGAN2), appendix B; the activation is scaled by the square root of 2.
"""

import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE, _SCALE = 0.2, 2**0.5


class FusedLeakyReLU(nn.Module):
    """A bias, a leaky rectifier, and a scale."""

    def __init__(self, channel: int, negative_slope: float = _SLOPE, scale: float = _SCALE) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))
        self.negative_slope, self.scale = negative_slope, scale

    def forward(self, values: Tensor) -> Tensor:
        """(images, channels, ...) -> the same."""
        return fused_leaky_relu(values, self.bias, self.negative_slope, self.scale)


def fused_leaky_relu(values: Tensor, bias: Tensor, negative_slope: float = _SLOPE, scale: float = _SCALE) -> Tensor:
    """The same as a function."""
    shifted = values + bias.view(1, -1, *[1] * (values.ndim - bias.ndim - 1))
    return functional.leaky_relu(shifted, negative_slope) * scale


def upfirdn2d(values: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Upsample with zeros, pad, filter with `kernel` (height, width), and take every `down`-th value."""
    images, channels, height, width = values.shape
    spread = values.new_zeros(images, channels, height, up, width, up)
    spread[:, :, :, 0, :, 0] = values
    padded = functional.pad(spread.reshape(images, channels, height * up, width * up), (*pad, *pad))
    weights = torch.flip(kernel, (0, 1))[None, None].to(values).expand(channels, 1, *kernel.shape)
    return functional.conv2d(padded, weights, groups=channels)[:, :, ::down, ::down]


def provide() -> None:
    """Put these in the place of the clone's package `op`."""
    module: Any = ModuleType("op")
    module.FusedLeakyReLU, module.fused_leaky_relu, module.upfirdn2d = FusedLeakyReLU, fused_leaky_relu, upfirdn2d
    sys.modules["op"] = module


def without_compiled_operations() -> None:
    """Let a clone with NVlabs's package `torch_utils.ops` use its reference implementations."""
    for name in ("bias_act", "upfirdn2d", "filtered_lrelu"):
        with suppress(ModuleNotFoundError):  # only StyleGAN3's code has filtered_lrelu
            importlib.import_module(f"torch_utils.ops.{name}")._init = lambda: False  # type: ignore[attr-defined]
