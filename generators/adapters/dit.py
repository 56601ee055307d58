"""DiT-XL/2: facebookresearch/DiT. `code`: a clone; it needs the package timm. Beside it are the weights and the folder
`vae`, stabilityai/sd-vae-ft-mse."""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import noise_of, own_noise
from _weights import weights
from diffusers import AutoencoderKL

#: Of the latents of Stable Diffusion's autoencoder.
_SCALE = 0.18215
_NO_CLASS = 1000


@functools.cache
def _loaded(folder: Path, device: str, image_size: int, model: str) -> tuple[Any, Any]:
    from models import DiT_models

    saved = weights(folder, "*.pt", trusted=True)
    transformer = DiT_models[model](input_size=image_size // 8, num_classes=_NO_CLASS)
    transformer.load_state_dict(saved.get("ema", saved))
    vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True)
    return transformer.eval().to(device), vae.to(device)


def sample(
    seeds: list[int],
    classes: list[int],
    folder: Path,
    device: str,
    image_size: int = 256,
    model: str = "DiT-XL/2",
    num_inference_steps: int = 250,
    guidance_scale: float = 4.0,
) -> torch.Tensor:
    """The defaults are those of its sample.py, whose option for the guidance is --cfg-scale."""
    from diffusion import create_diffusion

    transformer, vae = _loaded(folder, device, image_size, model)
    noise = noise_of(seeds, (4, image_size // 8, image_size // 8), device)
    labels = torch.tensor([*classes, *[_NO_CLASS] * len(seeds)], device=device)
    with own_noise(seeds):
        latents = create_diffusion(str(num_inference_steps)).p_sample_loop(
            transformer.forward_with_cfg,
            (2 * len(seeds), *noise.shape[1:]),
            torch.cat([noise, noise]),
            clip_denoised=False,
            model_kwargs={"y": labels, "cfg_scale": guidance_scale},
            device=device,
        )
    return vae.decode(latents[: len(seeds)] / _SCALE).sample.clamp(-1, 1)
