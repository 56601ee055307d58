"""The demo's text-conditional digits, called as a program instead of by its repository."""

import functools
from pathlib import Path

import numpy as np
import torch
from diffusers import IFPipeline


@functools.cache
def _pipeline(folder: Path, device: str) -> IFPipeline:
    pipeline = IFPipeline.from_pretrained(folder / "if-digits", safety_checker=None, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def sample(
    seeds: list[int],
    prompts: list[str],
    folder: Path,
    device: str,
    num_inference_steps: int = 4,
    guidance_scale: float = 3.0,
) -> np.ndarray:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return _pipeline(folder, device)(
        prompts,
        generator=generators,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        output_type="np",
    ).images
