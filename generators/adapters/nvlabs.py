"""StyleGAN2 and StyleGAN3 (NVlabs/stylegan3), StyleGAN-XL, ProjectedGAN and SAN: pickles of one format.

`code`: a clone of the model's own repository. Each image's latent is that of the repository's own script for the same
seed (`numpy.random.RandomState`), so that a seed is the seed of its `gen_images.py`, reduced to 32 bits.
"""

import functools
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from _own_noise import own_noise
from _plain_ops import without_compiled_operations
from _weights import one_file
from packaging.version import parse


@functools.cache
def _generator(folder: Path, device: str) -> Any:
    # Of setuptools, which has it no more; the clones use one function of it.
    sys.modules.setdefault("pkg_resources", SimpleNamespace(parse_version=parse))  # type: ignore[arg-type]
    import legacy

    without_compiled_operations()
    with one_file(folder, "*.pkl").open("rb") as content:
        return legacy.load_network_pkl(content)["G_ema"].eval().requires_grad_(False).to(device)


def sample(
    seeds: list[int], folder: Path, device: str, truncation_psi: float = 1.0, noise_mode: str = "const"
) -> torch.Tensor:
    """Unconditional models."""
    return _images(seeds, None, folder, device, truncation_psi, noise_mode)


def sample_classes(
    seeds: list[int],
    classes: list[int],
    folder: Path,
    device: str,
    truncation_psi: float = 1.0,
    noise_mode: str = "const",
) -> torch.Tensor:
    """Class-conditional models."""
    return _images(seeds, classes, folder, device, truncation_psi, noise_mode)


def _images(
    seeds: list[int],
    classes: list[int] | None,
    folder: Path,
    device: str,
    truncation_psi: float,
    noise_mode: str,
) -> torch.Tensor:
    generator = _generator(folder, device)
    drawn = [np.random.RandomState(seed % 2**32).randn(generator.z_dim) for seed in seeds]
    latents = torch.from_numpy(np.stack(drawn)).float().to(device)
    labels = torch.zeros(len(seeds), generator.c_dim, device=device)
    if classes is not None:
        labels[range(len(seeds)), classes] = 1
    # FastGAN, the generator of ProjectedGAN, adds noise in its layers, whatever the noise mode.
    with own_noise(seeds):
        return generator(latents, labels, truncation_psi=truncation_psi, noise_mode=noise_mode).clamp(-1, 1)
