"""CIPS: saic-mdal/CIPS. `code`: a clone. The settings are those of its notebook."""

import functools
from pathlib import Path
from typing import Any

import _plain_ops
import torch
from _own_noise import noise_of
from _weights import weights

_plain_ops.provide()
_STYLE, _HIDDEN, _LAYERS = 512, 512, 8


@functools.cache
def _generator(folder: Path, device: str, network: str, size: int) -> Any:
    import model

    built = getattr(model, network)(
        size=size, hidden_size=_HIDDEN, style_dim=_STYLE, n_mlp=_LAYERS, activation=None, channel_multiplier=2
    )
    built.load_state_dict(weights(folder, "*.pt"))
    return built.eval().to(device)


def sample(
    seeds: list[int], folder: Path, device: str, network: str = "CIPSskip", size: int = 256, side: int = 256
) -> torch.Tensor:
    """`network`: CIPSskip, or CIPSres for landscapes; `side`: of the image, whose coordinates are from -1 to 1."""
    from tensor_transforms import convert_to_coord_format

    built = _generator(folder, device, network, size)
    coordinates = convert_to_coord_format(len(seeds), side, side, device, integer_values=False)
    return built(coordinates, [noise_of(seeds, (_STYLE,), device)])[0].clamp(-1, 1)
