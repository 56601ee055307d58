"""DeepFloyd IF, its first two or three stages, with diffusers. Its pipelines are in folders beside it: `stage-1`,
`stage-2` and, for 1024 pixels, `stage-3` (stabilityai/stable-diffusion-x4-upscaler).

    hf download DeepFloyd/IF-I-XL-v1.0 --local-dir stage-1      # and IF-II-L-v1.0 as stage-2
"""

import functools
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline


@functools.cache
def _stages(folder: Path, device: str) -> list[Any]:
    found: list[Any] = []
    for path in sorted(folder.glob("stage-*")):
        # The text is encoded by the first stage for all.
        others = {"text_encoder": None} if path.name == "stage-2" else {}
        dtype = torch.float32 if device == "cpu" else torch.float16
        stage = DiffusionPipeline.from_pretrained(
            path, safety_checker=None, watermarker=None, local_files_only=True, dtype=dtype, **others
        )
        stage.set_progress_bar_config(disable=True)
        found.append(stage.to(device))
    return found


def sample(
    seeds: list[int],
    prompts: list[str],
    folder: Path,
    device: str,
    num_inference_steps: int = 100,
    guidance_scale: float = 7.0,
) -> Any:
    """Later stages have the settings of their own pipelines."""
    first, *others = _stages(folder, device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    words, no_words = first.encode_prompt(prompts)
    encoded = {"prompt_embeds": words, "negative_prompt_embeds": no_words}
    images = first(
        **encoded,
        generator=generators,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        output_type="pt",
    ).images
    for number, stage in enumerate(others):
        given = encoded if number == 0 else {"prompt": prompts}
        images = stage(image=images, **given, generator=generators, output_type="pt").images
    # Pipelines of pixels give tensors from -1 to 1, the upscaler from 0 to 1.
    return (images.float() + 1) / 2 if len(others) < 2 else images.float()
