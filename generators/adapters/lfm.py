"""Latent Flow Matching, its models with a DiT: VinAIResearch/LFM. `code`: a clone; it needs the packages timm and
torchdiffeq. Beside it are the weights and the folder `vae`, stabilityai/sd-vae-ft-mse."""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import noise_of
from _weights import weights
from diffusers import AutoencoderKL

_SCALE = 0.18215
_TOLERANCE = 1e-5


@functools.cache
def _loaded(folder: Path, device: str, image_size: int, model: str) -> tuple[Any, Any]:
    from models.DiT import DiT_models

    saved = weights(folder, "*.pth")
    network = DiT_models[model](img_resolution=image_size // 8, in_channels=4, label_dropout=0.0, num_classes=1)
    # They were saved from a model on several devices.
    network.load_state_dict({name.removeprefix("module."): value for name, value in saved.items()})
    vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True)
    return network.eval().to(device), vae.to(device)


def sample(
    seeds: list[int], folder: Path, device: str, image_size: int = 256, model: str = "DiT-L/2"
) -> list[torch.Tensor]:
    """From noise at 1 to the image at 0 with its adaptive solver, whose steps depend on all images of a call: so one at
    a time."""
    from torchdiffeq import odeint

    network, vae = _loaded(folder, device, image_size, model)
    images = []
    for seed in seeds:
        noise = noise_of([seed], (4, image_size // 8, image_size // 8), device)
        latents = odeint(
            network,
            noise,
            torch.tensor([1.0, 0.0], device=device),
            method="dopri5",
            atol=_TOLERANCE,
            rtol=_TOLERANCE,
            options={"dtype": torch.float64},
        )[-1]
        images.append(vae.decode(latents.float() / _SCALE).sample[0].clamp(-1, 1))
    return images
