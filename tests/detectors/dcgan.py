"""A real generator for tests: faces of a DCGAN (Radford et al. 2016), from a package of PyPI.

`gan-face-generate` (MIT) was trained on DigiFace-1M, rendered faces. Only its weights are used, as tensors alone: the
network is the DCGAN of its description, and the package is not imported.
"""

import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

PACKAGE = "gan_face_generate"

_LATENT, _WIDTH = 100, 64


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None


def faces(number: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Generated faces of 64 x 64 pixels: uint8 of shape (number, 64, 64, 3)."""
    import torch
    from torch import nn

    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    state = torch.load(Path(spec.origin).parent / "weights.tar", map_location="cpu", weights_only=True)
    layers: list[nn.Module] = []
    widths = [_LATENT, *(_WIDTH * factor for factor in (8, 4, 2, 1)), 3]
    for place, (before, after) in enumerate(itertools.pairwise(widths)):
        stride, padding = (1, 0) if place == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False))
        layers += [nn.Tanh()] if after == 3 else [nn.BatchNorm2d(after), nn.ReLU()]
    network = nn.ModuleDict({"main": nn.Sequential(*layers)})
    network.load_state_dict(state["netG_state_dict"])
    network.eval()
    latent = torch.randn(number, _LATENT, 1, 1, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        made = network["main"](latent)
    return ((made + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
