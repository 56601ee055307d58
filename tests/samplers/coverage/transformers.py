"""Transformers over latents that CLIP or T5 read for, and what was written around their components."""

from typing import Any

from demo.zoo.components import attentive, autoencoder, t5_text
from demo.zoo.diffusion_transformers import hunyuan_dit, pixart_alpha, pixart_sigma
from demo.zoo.flow_transformers import aura_flow, chroma, flow_scheduler, flux, stable_diffusion_3
from tests.samplers.coverage.components import around
from tests.samplers.coverage.kind import Kind, sized


def bria() -> Any:
    """Bria 3: Flux's transformer, T5's words without a pooled vector."""
    from diffusers import BriaPipeline, BriaTransformer2DModel

    text_encoder, tokenizer = t5_text()
    return BriaPipeline(
        transformer=attentive(
            BriaTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=8,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=None,
                axes_dims_rope=[0, 4, 4],
            )
        ),
        scheduler=flow_scheduler(),
        vae=autoencoder(channels=(8, 8), shift_factor=0, scaling_factor=0.13025),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        image_encoder=None,
        feature_extractor=None,
    )


def cogview_3() -> Any:
    """CogView3 Plus."""
    from diffusers import CogVideoXDDIMScheduler, CogView3PlusPipeline, CogView3PlusTransformer2DModel

    text_encoder, tokenizer = t5_text()
    return CogView3PlusPipeline(
        transformer=attentive(
            CogView3PlusTransformer2DModel(
                patch_size=2,
                in_channels=4,
                num_layers=1,
                attention_head_dim=8,
                num_attention_heads=2,
                out_channels=4,
                text_embed_dim=32,
                time_embed_dim=16,
                condition_dim=4,
                pos_embed_max_size=16,
                sample_size=8,
            )
        ),
        vae=autoencoder(),
        scheduler=CogVideoXDDIMScheduler(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


KINDS = {
    "AuraFlowPipeline": Kind(aura_flow, asked=sized(64)),
    "BriaPipeline": Kind(bria, asked=sized(64)),
    "ChromaPipeline": Kind(chroma, asked=sized(64)),
    "CogView3PlusPipeline": Kind(cogview_3, asked=sized(64)),
    "FluxKontextPipeline": Kind(
        around("FluxKontextPipeline", flux), asked=sized(64, max_area=64 * 64, max_sequence_length=64)
    ),
    "FluxPipeline": Kind(flux, asked=sized(64, max_sequence_length=64)),
    "HunyuanDiTPAGPipeline": Kind(
        around("HunyuanDiTPAGPipeline", hunyuan_dit), asked=sized(64, use_resolution_binning=False)
    ),
    "HunyuanDiTPipeline": Kind(hunyuan_dit, asked=sized(64, use_resolution_binning=False)),
    "PixArtAlphaPipeline": Kind(pixart_alpha, asked=sized(64, use_resolution_binning=False)),
    "PixArtSigmaPAGPipeline": Kind(
        around("PixArtSigmaPAGPipeline", pixart_sigma), asked=sized(64, use_resolution_binning=False)
    ),
    "PixArtSigmaPipeline": Kind(pixart_sigma, asked=sized(64, use_resolution_binning=False)),
    "StableDiffusion3PAGPipeline": Kind(around("StableDiffusion3PAGPipeline", stable_diffusion_3)),
    "StableDiffusion3Pipeline": Kind(stable_diffusion_3),
}
