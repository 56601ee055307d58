"""Text-conditional transformers for flow matching, with CLIP or T5 text encoders: SD3, Flux, Chroma, AuraFlow."""

from typing import Any

from demo.zoo.cards import SQUARE, card, snippet, snippet_with_settings, snippet_with_variables
from demo.zoo.components import attentive, autoencoder, clip_text, spread, t5_text
from demo.zoo.repository import Repository, generator
from demo.zoo.tokenizers import t5_tokenizer


def flow_scheduler(**config: Any) -> Any:
    """The scheduler of the family: Euler steps along the flow."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**config)


def sixteen_channel_autoencoder() -> Any:
    """The VAE of SD3, Flux and similar models: sixteen latent channels, no quantisation."""
    return autoencoder(
        latent_channels=16,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.3611,
        shift_factor=0.1159,
    )


def stable_diffusion_3() -> Any:
    """SD3: three text encoders, a joint transformer."""
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    text_encoder, tokenizer = clip_text(projection=True)
    text_encoder_2, tokenizer_2 = clip_text(projection=True)
    text_encoder_3, tokenizer_3 = t5_text(64)
    return StableDiffusion3Pipeline(
        transformer=attentive(
            SD3Transformer2DModel(
                sample_size=8,
                patch_size=2,
                in_channels=16,
                out_channels=16,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=4,
                joint_attention_dim=64,
                caption_projection_dim=32,
                pooled_projection_dim=64,
                pos_embed_max_size=16,
            )
        ),
        scheduler=flow_scheduler(shift=3.0),
        vae=sixteen_channel_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        text_encoder_3=text_encoder_3,
        tokenizer_3=tokenizer_3,
    )


def flux() -> Any:
    """Flux: CLIP for the pooled embedding, T5 for the tokens, guidance as an input (the `dev` model)."""
    from diffusers import FluxPipeline, FluxTransformer2DModel

    text_encoder, tokenizer = clip_text()
    text_encoder_2, tokenizer_2 = t5_text()
    return FluxPipeline(
        transformer=attentive(
            FluxTransformer2DModel(
                patch_size=1,
                in_channels=64,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                pooled_projection_dim=32,
                guidance_embeds=True,
                axes_dims_rope=(4, 6, 6),
            )
        ),
        scheduler=flow_scheduler(shift=3.0, use_dynamic_shifting=True),
        vae=sixteen_channel_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
    )


def chroma() -> Any:
    """Chroma: Flux without CLIP, its modulation computed by a small network."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    text_encoder, tokenizer = t5_text()
    return ChromaPipeline(
        transformer=attentive(
            ChromaTransformer2DModel(
                patch_size=1,
                in_channels=64,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                axes_dims_rope=(4, 6, 6),
                approximator_num_channels=16,
                approximator_hidden_dim=32,
                approximator_layers=1,
            )
        ),
        scheduler=flow_scheduler(),
        vae=sixteen_channel_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def aura_flow() -> Any:
    """AuraFlow: a multilingual T5 and a large joint transformer, here a small one."""
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel
    from transformers import UMT5Config, UMT5EncoderModel

    tokenizer = t5_tokenizer()
    config = UMT5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    return AuraFlowPipeline(
        transformer=attentive(
            AuraFlowTransformer2DModel(
                sample_size=8,
                patch_size=2,
                in_channels=4,
                out_channels=4,
                num_mmdit_layers=1,
                num_single_dit_layers=1,
                attention_head_dim=8,
                num_attention_heads=4,
                joint_attention_dim=32,
                caption_projection_dim=32,
                pos_embed_max_size=4096,
            )
        ),
        scheduler=flow_scheduler(shift=1.73),
        vae=autoencoder(scaling_factor=0.13025, mid_block_add_attention=False),
        text_encoder=spread(UMT5EncoderModel(config)),
        tokenizer=tokenizer,
    )


def repositories() -> list[Repository]:
    """All repositories of this family."""
    sd3, flux_dev = "tiny-labs/stable-diffusion-3-pocket", "blackwood/FLUX.1-nano-dev"
    chroma_mini, aura = "blackwood/Chroma-mini", "aurora-group/AuraFlow-tiny"
    return [
        generator(
            sd3,
            stable_diffusion_3,
            card(
                {
                    "license": "other",
                    "license_name": "stabilityai-ai-community",
                    "license_link": "LICENSE.md",
                    "tags": ["text-to-image", "stable-diffusion", "diffusion-single-file"],
                    "inference": True,
                    "library_name": "diffusers",
                    "language": ["en"],
                    "pipeline_tag": "text-to-image",
                },
                "# SD3 Pocket",
                "MMDiT with three text encoders.",
                snippet(
                    sd3,
                    "a capybara holding a sign that reads hello",
                    pipeline="StableDiffusion3Pipeline",
                    num_inference_steps=4,
                    guidance_scale=4.5,
                ),
            ),
            downloads=152_903,
            likes=388,
            created_at="2024-06-12T16:00:00.000Z",
        ),
        generator(
            flux_dev,
            flux,
            card(
                {
                    "language": ["en"],
                    "license": "other",
                    "license_name": "flux-1-dev-non-commercial-license",
                    "license_link": "LICENSE.md",
                    "extra_gated_prompt": "By clicking Agree you accept the licence.",
                    "tags": ["text-to-image", "image-generation", "flux"],
                },
                "# FLUX.1 nano [dev]",
                "A rectified flow transformer with guidance distillation.",
                snippet_with_variables(
                    flux_dev,
                    "A cat holding a sign",
                    pipeline="FluxPipeline",
                    guidance_scale=3.5,
                    num_inference_steps=4,
                    max_sequence_length=64,
                    **SQUARE,
                ),
            ),
            downloads=640_118,
            likes=1_204,
            created_at="2024-08-01T10:00:00.000Z",
        ),
        generator(
            chroma_mini,
            chroma,
            card(
                {"license": "apache-2.0", "base_model": flux_dev, "pipeline_tag": "text-to-image"},
                "# Chroma mini",
                "De-distilled: real negative prompts and real guidance.",
                snippet_with_settings(
                    chroma_mini,
                    "a tidal pool at dusk",
                    pipeline="ChromaPipeline",
                    negative_prompt="low quality",
                    guidance_scale=3.0,
                    num_inference_steps=3,
                    **SQUARE,
                ),
            ),
            downloads=12_066,
            likes=73,
            created_at="2025-05-30T07:10:00.000Z",
        ),
        generator(
            aura,
            aura_flow,
            card(
                {"license": "apache-2.0", "tags": ["text-to-image"]},
                "# AuraFlow tiny",
                "Fully open, flow based.",
                snippet(
                    aura, "close-up portrait of a majestic iguana", num_inference_steps=3, guidance_scale=3.5, **SQUARE
                ),
            ),
            downloads=5_210,
            likes=44,
            created_at="2024-07-11T15:00:00.000Z",
        ),
    ]
