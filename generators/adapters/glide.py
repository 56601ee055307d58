"""GLIDE (filtered): the package glide-text2im, `pip install git+https://github.com/openai/glide-text2im`.

Beside it are base.pt and upsample.pt; the settings are those of its notebook text2im.
"""

import functools
from pathlib import Path
from typing import Any

import torch
from _own_noise import noise_of, own_noise
from glide_text2im import model_creation

_UPSAMPLE_STEPS, _UPSAMPLE_TEMPERATURE = "fast27", 0.997


@functools.cache
def _loaded(folder: Path, device: str, steps: int) -> Any:
    base = {**model_creation.model_and_diffusion_defaults(), "timestep_respacing": str(steps)}
    larger = {
        **model_creation.model_and_diffusion_defaults_upsampler(),
        "timestep_respacing": _UPSAMPLE_STEPS,
    }
    found = []
    for options, name in ((base, "base.pt"), (larger, "upsample.pt")):
        model, diffusion = model_creation.create_model_and_diffusion(**{**options, "use_fp16": False})
        model.load_state_dict(torch.load(folder / name, map_location="cpu", weights_only=True))
        found.append((model.eval().to(device), diffusion, options))
    return found


def _tokens(model: Any, prompts: list[str], length: int, device: str) -> dict[str, torch.Tensor]:
    padded = [model.tokenizer.padded_tokens_and_mask(model.tokenizer.encode(text), length) for text in prompts]
    return {
        "tokens": torch.tensor([tokens for tokens, _ in padded], device=device),
        "mask": torch.tensor([mask for _, mask in padded], dtype=torch.bool, device=device),
    }


def sample(
    seeds: list[int],
    prompts: list[str],
    folder: Path,
    device: str,
    num_inference_steps: int = 100,
    guidance_scale: float = 3.0,
) -> torch.Tensor:
    """64 pixels from the prompts, and 256 from these."""
    (model, diffusion, options), (model_up, diffusion_up, options_up) = _loaded(folder, device, num_inference_steps)
    count = len(seeds)

    def guided(x: torch.Tensor, steps: torch.Tensor, **inputs: Any) -> torch.Tensor:
        half = x[:count]
        predicted = model(torch.cat([half, half]), steps, **inputs)
        noise, rest = predicted[:, :3], predicted[:, 3:]
        with_text, without = noise[:count], noise[count:]
        noise = without + guidance_scale * (with_text - without)
        return torch.cat([torch.cat([noise, noise]), rest], dim=1)

    # The second half of the batch has an empty text.
    inputs = _tokens(model, [*prompts, *[""] * count], options["text_ctx"], device)
    sides = (options["image_size"],) * 2
    model.del_cache()
    with own_noise(seeds):
        small = diffusion.p_sample_loop(
            guided, (2 * count, 3, *sides), device=device, clip_denoised=True, model_kwargs=inputs
        )[:count]
    model.del_cache()
    inputs = _tokens(model_up, prompts, options_up["text_ctx"], device)
    inputs["low_res"] = ((small + 1) * 127.5).round() / 127.5 - 1
    sides = (options_up["image_size"],) * 2
    noise = noise_of(seeds, (3, *sides), device) * _UPSAMPLE_TEMPERATURE
    model_up.del_cache()
    with own_noise(seeds):
        images = diffusion_up.ddim_sample_loop(
            model_up, noise.shape, noise=noise, device=device, clip_denoised=True, model_kwargs=inputs
        )
    model_up.del_cache()
    return images
