"""GANformer: dorarad/gansformer. `code`: its folder pytorch_version; it needs the packages that its TOML file names."""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import noise_of, own_noise
from _plain_ops import without_compiled_operations
from _weights import one_file


@functools.cache
def _generator(folder: Path, device: str) -> Any:
    import loader

    without_compiled_operations()
    with one_file(folder, "*.pkl").open("rb") as content:
        return loader.load_network_pkl(content)["Gs"].eval().requires_grad_(False).to(device)


def sample(seeds: list[int], folder: Path, device: str, truncation_psi: float = 0.7) -> torch.Tensor:
    """The default truncation is that of its generate.py."""
    generator = _generator(folder, device)
    latents = noise_of(seeds, generator.input_shape[1:], device)
    # Its layers add noise.
    with own_noise(seeds):
        return generator(latents, truncation_psi=truncation_psi)[0].clamp(-1, 1)
