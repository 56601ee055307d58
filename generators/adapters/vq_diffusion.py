"""VQ-Diffusion with the pipeline of diffusers, whose weights are pickles. Beside it is the folder `vq-diffusion-ithq`:

hf download microsoft/vq-diffusion-ithq --local-dir vq-diffusion-ithq
"""

import functools
from pathlib import Path
from typing import Any

import torch
from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import LearnedClassifierFreeSamplingEmbeddings
from transformers import CLIPTextModel, CLIPTokenizer

_CLASSES = {
    "vqvae": VQModel,
    "text_encoder": CLIPTextModel,
    "tokenizer": CLIPTokenizer,
    "transformer": Transformer2DModel,
    "scheduler": VQDiffusionScheduler,
    "learned_classifier_free_sampling_embeddings": LearnedClassifierFreeSamplingEmbeddings,
}


@functools.cache
def _pipeline(folder: Path, device: str) -> Any:
    # Part by part: its index names a class where it was before diffusers moved its deprecated pipelines.
    parts = {
        name: cls.from_pretrained(folder / "vq-diffusion-ithq" / name, local_files_only=True)
        for name, cls in _CLASSES.items()
    }
    pipeline = VQDiffusionPipeline(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def sample(
    seeds: list[int],
    prompts: list[str],
    folder: Path,
    device: str,
    num_inference_steps: int = 100,
    guidance_scale: float = 5.0,
    truncation_rate: float = 1.0,
) -> Any:
    """One image at a time: the pipeline draws all images of a call from one generator."""
    return [
        _pipeline(folder, device)(
            prompt,
            generator=torch.Generator(device).manual_seed(seed),
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            truncation_rate=truncation_rate,
            output_type="np",
        ).images[0]
        for seed, prompt in zip(seeds, prompts, strict=True)
    ]
