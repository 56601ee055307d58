"""Diffusion over pixels, and latent diffusion that is asked for nothing or for a class."""

from typing import Any

from demo.zoo import unconditional
from demo.zoo.components import t5_text
from demo.zoo.diffusion_transformers import dit
from demo.zoo.stable_diffusion import unet
from tests.samplers.coverage.kind import Kind


def ddpm() -> Any:
    from diffusers import DDPMPipeline, DDPMScheduler

    return DDPMPipeline(unet=unconditional.ddim().unet, scheduler=DDPMScheduler(prediction_type="v_prediction"))


def karras_ve() -> Any:
    from diffusers import KarrasVePipeline, KarrasVeScheduler

    return KarrasVePipeline(unet=unconditional.ddim().unet, scheduler=KarrasVeScheduler())


def score_sde_ve() -> Any:
    from diffusers import ScoreSdeVePipeline, ScoreSdeVeScheduler

    return ScoreSdeVePipeline(unet=unconditional.ddim().unet, scheduler=ScoreSdeVeScheduler())


def deepfloyd() -> Any:
    """The first stage of IF; the others enlarge its picture."""
    from diffusers import DDPMScheduler, IFPipeline

    text_encoder, tokenizer = t5_text()
    return IFPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        unet=unet(
            sample_size=64,
            in_channels=3,
            out_channels=6,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            encoder_hid_dim=32,
            addition_embed_type="text",
            addition_embed_type_num_heads=2,
            cross_attention_norm="group_norm",
            resnet_time_scale_shift="scale_shift",
            act_fn="gelu",
        ),
        scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2", thresholding=True, variance_type="learned_range"),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


KINDS = {
    "ConsistencyModelPipeline": Kind(unconditional.consistency, 32),
    "DDIMPipeline": Kind(unconditional.ddim, 32),
    "DDPMPipeline": Kind(ddpm, 32),
    "DiTPipeline": Kind(dit),
    "IFPipeline": Kind(deepfloyd),
    "KarrasVePipeline": Kind(karras_ve, 32, libraries={"scheduler": "diffusers"}),
    "LDMPipeline": Kind(unconditional.latent_diffusion),
    "PNDMPipeline": Kind(unconditional.pndm, 32),
    "ScoreSdeVePipeline": Kind(score_sde_ve, 32),
}
