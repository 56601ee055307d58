"""StyleGAN and ProGAN, converted to PyTorch: genforce/genforce. `code`: a clone.

The settings of synthesis are those of its synthesize.py.
"""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import noise_of
from _weights import weights


@functools.cache
def _generator(folder: Path, device: str, gan_type: str, resolution: int) -> Any:
    from models import build_generator

    saved = weights(folder, "*.pth")
    generator = build_generator(gan_type=gan_type, resolution=resolution)
    generator.load_state_dict(saved.get("generator_smooth", saved.get("generator")))
    return generator.eval().to(device)


def sample(
    seeds: list[int],
    folder: Path,
    device: str,
    gan_type: str,
    resolution: int,
    trunc_psi: float = 0.7,
    trunc_layers: int = 8,
) -> torch.Tensor:
    """`gan_type`: stylegan or pggan."""
    generator = _generator(folder, device, gan_type, resolution)
    latents = noise_of(seeds, (generator.z_space_dim,), device)
    truncation = {"trunc_psi": trunc_psi, "trunc_layers": trunc_layers, "randomize_noise": False}
    return generator(latents, **(truncation if gan_type == "stylegan" else {}))["image"].clamp(-1, 1)
