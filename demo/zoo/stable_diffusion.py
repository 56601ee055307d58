"""Stable Diffusion 1.5 and the fine-tunes people make of it: another UNet, all other files byte for byte the base's."""

from collections.abc import Callable
from typing import Any

from demo.zoo.cards import card, snippet, snippet_with_variables, table
from demo.zoo.parts import autoencoder, clip_text
from demo.zoo.repository import Repository, generator, seeded
from demo.zoo.safety import feature_extractor, safety_checker

BASE = "tiny-labs/stable-diffusion-v1-5"
LATENT_SIDE = 8


def unet(**config: Any) -> Any:
    """A UNet of SD 1.5's shape, a thousandth as wide."""
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "sample_size": LATENT_SIDE,
        "block_out_channels": (24, 48),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**settings | config)


def base_unet() -> Any:
    """The base's UNet, from which its fine-tunes and adapters start."""
    with seeded(BASE):
        return unet()


def scheduler() -> Any:
    """The scheduler that SD 1.5 ships."""
    from diffusers import PNDMScheduler

    return PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
        set_alpha_to_one=False,
    )


def pipeline(unet: Any, **replaced: Any) -> Any:
    """A Stable Diffusion pipeline around `unet`, of the components that all share unless `replaced`."""
    from diffusers import StableDiffusionPipeline

    with seeded("what all of Stable Diffusion share"):
        text_encoder, tokenizer = clip_text()
        components = {
            "text_encoder": text_encoder,
            "tokenizer": tokenizer,
            "vae": autoencoder(),
            "scheduler": scheduler(),
            "safety_checker": safety_checker(),
            "feature_extractor": feature_extractor(),
        }
    return StableDiffusionPipeline(unet=unet, **components | replaced)


def finetuned(start: Any, amount: float) -> Any:
    """`start` with every weight moved by `amount` of its tensor's own spread: what training on a style does."""
    import torch

    with torch.no_grad():
        for parameter in start.parameters():
            if parameter.numel() > 1:
                parameter.add_(torch.randn_like(parameter) * parameter.std() * amount)
    return start


def _finetune(amount: float) -> Callable[[], Any]:
    return lambda: pipeline(finetuned(base_unet(), amount))


def repositories() -> list[Repository]:
    """The base and its community."""
    return [
        generator(
            BASE,
            lambda: pipeline(base_unet()),
            _BASE_CARD,
            downloads=1_900_000,
            likes=820,
            created_at="2023-08-30T10:12:00.000Z",
        ),
        generator(
            "tiny-labs/inkpunk-style",
            _finetune(0.8),
            _INKPUNK_CARD,
            downloads=48_211,
            likes=97,
            created_at="2023-11-24T02:00:00.000Z",
        ),
    ]


_BASE_CARD = card(
    {
        "license": "creativeml-openrail-m",
        "tags": ["stable-diffusion", "stable-diffusion-diffusers", "text-to-image"],
        "pipeline_tag": "text-to-image",
        "inference": True,
    },
    "# Tiny Stable Diffusion v1-5",
    """
    A latent text-to-image diffusion model of the v1-5 architecture with random weights, a thousandth of the size.
    It draws coloured patches, quickly.
    """,
    "## Usage",
    snippet_with_variables(
        BASE,
        "a photograph of an astronaut riding a horse",
        pipeline="StableDiffusionPipeline",
        num_inference_steps=3,
        guidance_scale=7.5,
    ),
    table(("component", "parameters"), ("UNet", "0.3 M"), ("VAE", "60 k"), ("text encoder", "40 k")),
)

_INKPUNK_CARD = card(
    {
        "license": "creativeml-openrail-m",
        "language": ["en"],
        "tags": ["stable-diffusion", "text-to-image", "diffusers"],
        "base_model": BASE,
    },
    "# Inkpunk Style",
    "Finetuned on drawings. Put **zooinkpunk** into your prompt.",
    snippet("tiny-labs/inkpunk-style", "zooinkpunk, a cat in the rain", num_inference_steps=3, guidance_scale=7),
)
