"""A tiny pipeline of each family of single-file checkpoints, made once, and its files without weights."""

import shutil
from pathlib import Path
from typing import Any

import torch

from demo.zoo.components import clip_text
from demo.zoo.flow_transformers import flux, stable_diffusion_3
from demo.zoo.latent_unets import sdxl
from demo.zoo.repository import seeded
from demo.zoo.stable_diffusion import base_unet, pipeline


def stable_diffusion_2() -> Any:
    """Linear projections in its attention, as SD 2 has them, and v-prediction."""
    from diffusers import DDIMScheduler

    from demo.zoo.stable_diffusion import unet

    scheduler = DDIMScheduler(
        prediction_type="v_prediction", beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    )
    return pipeline(unet(use_linear_projection=True), text_encoder=clip_text()[0], scheduler=scheduler)


def third() -> Any:
    """SD 3, whose first text encoder has no projection in its files."""
    made = stable_diffusion_3()
    with torch.no_grad():
        made.text_encoder.text_projection.weight.copy_(torch.eye(32))
    return made


FAMILIES = {
    "sd1": lambda: pipeline(base_unet()),
    "sd2": stable_diffusion_2,
    "sdxl": sdxl,
    "sd3": third,
    "flux": flux,
}


def made(family: str) -> Any:
    with seeded(family):
        return FAMILIES[family]()


def without_weights(folder: Path, to: Path, kept: tuple[str, ...] = ()) -> Path:
    """A copy of a pipeline's folder; weights of the components in `kept` only."""
    shutil.copytree(folder, to)
    for path in to.rglob("*.safetensors"):
        if path.parent.name not in kept:
            path.unlink()
    shutil.rmtree(to / "safety_checker", ignore_errors=True)
    return to
