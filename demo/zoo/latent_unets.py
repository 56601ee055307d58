"""Text-conditional latent diffusion with a UNet, beyond Stable Diffusion 1.5: SDXL and latent consistency."""

from typing import Any

from demo.zoo.cards import card, snippet, snippet_with_settings
from demo.zoo.parts import autoencoder, clip_text
from demo.zoo.repository import Repository, generator
from demo.zoo.safety import feature_extractor, safety_checker
from demo.zoo.stable_diffusion import unet

_SDXL = "tiny-labs/sdxl-anime-mix"
_LCM = "tiny-labs/dreamy-lcm"


def sdxl() -> Any:
    """SDXL: two text encoders, and the picture's size as a condition."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    text_encoder, tokenizer = clip_text()
    text_encoder_2, tokenizer_2 = clip_text(projection=True)
    return StableDiffusionXLPipeline(
        unet=unet(
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=64,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
        ),
        vae=autoencoder(scaling_factor=0.13025, force_upcast=False),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
    )


def latent_consistency() -> Any:
    """A latent consistency model: guidance is an input of the UNet, a few steps are enough."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    text_encoder, tokenizer = clip_text()
    return LatentConsistencyModelPipeline(
        unet=unet(time_cond_proj_dim=16),
        vae=autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        safety_checker=safety_checker(),
        feature_extractor=feature_extractor(),
    )


def repositories() -> list[Repository]:
    """The family."""
    return [
        generator(_SDXL, sdxl, _SDXL_CARD, downloads=311_420, likes=450, created_at="2023-10-18T14:20:11.000Z"),
        generator(
            _LCM, latent_consistency, _LCM_CARD, downloads=87_114, likes=204, created_at="2023-11-02T08:00:00.000Z"
        ),
    ]


_SDXL_CARD = card(
    {
        "license": "openrail++",
        "tags": ["text-to-image", "stable-diffusion", "stable-diffusion-xl", "anime", "diffusers"],
        "pipeline_tag": "text-to-image",
    },
    "# SDXL Anime Mix",
    "A merge of merges. VAE baked in, no refiner.",
    "### Diffusers",
    snippet_with_settings(
        _SDXL,
        "1girl, tiny village, masterpiece",
        pipeline="StableDiffusionXLPipeline",
        negative_prompt="lowres, blurry",
        num_inference_steps=3,
        guidance_scale=6.0,
    ),
)

_LCM_CARD = card(
    {"license": "mit", "tags": ["text-to-image", "lcm"], "library_name": "diffusers", "inference": False},
    "# Dreamy LCM",
    "Distilled to four steps. Do not use classifier-free guidance above 8.",
    snippet(_LCM, "self-portrait oil painting", num_inference_steps=4, guidance_scale=8.0, lcm_origin_steps=50),
)
