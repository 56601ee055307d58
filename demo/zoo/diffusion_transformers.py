"""Transformers over latents that predict noise: DiT, PixArt-alpha, PixArt-sigma, Hunyuan-DiT."""

from typing import Any

from demo.zoo.cards import SQUARE, card, snippet, snippet_with_variables
from demo.zoo.components import attentive, autoencoder, spread, t5_text
from demo.zoo.repository import Repository, generator
from demo.zoo.safety import feature_extractor, safety_checker
from demo.zoo.tokenizers import bert_tokenizer


def _pixart_transformer(**config: Any) -> Any:
    from diffusers import PixArtTransformer2DModel

    return attentive(
        PixArtTransformer2DModel(
            num_layers=2,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=4,
            in_channels=4,
            out_channels=8,
            cross_attention_dim=32,
            caption_channels=32,
            attention_bias=True,
            activation_fn="gelu-approximate",
            num_embeds_ada_norm=1000,
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            norm_eps=1e-6,
            **config,
        )
    )


def _dpm_solver() -> Any:
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02, solver_order=2)


def pixart_alpha() -> Any:
    """PixArt-alpha at 256 pixels, the smallest of its resolution bins."""
    from diffusers import PixArtAlphaPipeline

    text_encoder, tokenizer = t5_text()
    return PixArtAlphaPipeline(
        transformer=_pixart_transformer(sample_size=32),
        vae=autoencoder(channels=(8, 8, 16, 16)),
        scheduler=_dpm_solver(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def pixart_sigma() -> Any:
    """PixArt-sigma: SDXL's VAE, longer prompts."""
    from diffusers import PixArtSigmaPipeline

    text_encoder, tokenizer = t5_text()
    return PixArtSigmaPipeline(
        transformer=_pixart_transformer(sample_size=32, use_additional_conditions=False),
        vae=autoencoder(channels=(8, 8, 16, 16), scaling_factor=0.13025),
        scheduler=_dpm_solver(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def hunyuan_dit() -> Any:
    """Hunyuan-DiT: a bilingual BERT and T5, and Stable Diffusion's safety checker."""
    from diffusers import DDPMScheduler, HunyuanDiT2DModel, HunyuanDiTPipeline
    from transformers import BertConfig, BertModel

    tokenizer = bert_tokenizer()
    text_encoder = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=128,
        )
    )
    text_encoder_2, tokenizer_2 = t5_text()
    return HunyuanDiTPipeline(
        transformer=attentive(
            HunyuanDiT2DModel(
                sample_size=8,
                num_layers=2,
                patch_size=4,
                attention_head_dim=8,
                num_attention_heads=4,
                hidden_size=32,
                in_channels=4,
                cross_attention_dim=32,
                cross_attention_dim_t5=32,
                pooled_projection_dim=32,
                activation_fn="gelu-approximate",
            )
        ),
        vae=autoencoder(channels=(4, 4, 8, 8), scaling_factor=0.13025, mid_block_add_attention=False),
        scheduler=DDPMScheduler(
            beta_start=0.00085,
            beta_end=0.03,
            beta_schedule="scaled_linear",
            prediction_type="v_prediction",
            steps_offset=1,
        ),
        text_encoder=spread(text_encoder),
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        safety_checker=safety_checker(),
        feature_extractor=feature_extractor(),
    )


def dit() -> Any:
    """DiT: conditioned on a class of ImageNet; the pipeline has the names of the classes."""
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        sample_size=8,
        num_layers=2,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=4,
        in_channels=4,
        out_channels=8,
        num_embeds_ada_norm=1000,
    )
    names = {"0": "tench, Tinca tinca", "1": "goldfish, Carassius auratus", "2": "great white shark", "8": "hen"}
    return DiTPipeline(transformer=attentive(transformer), vae=autoencoder(), scheduler=DDIMScheduler(), id2label=names)


def repositories() -> list[Repository]:
    """All repositories of this family."""
    alpha, sigma = "pixart-petite/PixArt-Alpha-256", "pixart-petite/PixArt-Sigma-256"
    hunyuan, classes = "tongs/HunyuanDiT-v1.2-Mini", "tiny-labs/DiT-tiny-256"
    return [
        generator(
            alpha,
            pixart_alpha,
            card(
                {"license": "openrail++", "tags": ["text-to-image", "Pixart-α"]},
                "# PixArt-α, 256 px",
                snippet(alpha, "a small cactus with a happy face", num_inference_steps=3, guidance_scale=4.5),
            ),
            downloads=33_018,
            likes=140,
            created_at="2023-11-04T15:48:39.000Z",
        ),
        generator(
            sigma,
            pixart_sigma,
            card(
                {"license": "openrail++", "tags": ["text-to-image", "PixArt-Σ"], "base_model": alpha},
                "# PixArt-Σ, 256 px",
                "Weak-to-strong training from α; prompts of up to 300 tokens.",
                snippet_with_variables(
                    sigma, "a small cactus with a happy face", num_inference_steps=3, guidance_scale=4.5
                ),
            ),
            downloads=28_777,
            likes=81,
            created_at="2024-04-12T08:00:00.000Z",
        ),
        generator(
            hunyuan,
            hunyuan_dit,
            card(
                {
                    "license": "other",
                    "license_name": "tencent-hunyuan-community",
                    "license_link": "https://example.org/LICENSE.txt",
                    "language": ["en", "zh"],
                },
                "# HunyuanDiT mini",
                snippet(
                    hunyuan,
                    "an astronaut riding a horse",
                    pipeline="HunyuanDiTPipeline",
                    num_inference_steps=3,
                    guidance_scale=5.0,
                    use_resolution_binning=False,
                    **SQUARE,
                ),
            ),
            downloads=6_611,
            likes=38,
            created_at="2024-06-17T10:00:00.000Z",
        ),
        generator(
            classes,
            dit,
            card(
                {"license": "cc-by-nc-4.0", "tags": ["class-conditional", "imagenet"], "library_name": "diffusers"},
                "# DiT, tiny",
                f"""
                ```python
                import torch
                from diffusers import DiTPipeline

                pipe = DiTPipeline.from_pretrained("{classes}")
                class_ids = pipe.get_label_ids(["goldfish, Carassius auratus"])
                output = pipe(class_labels=class_ids, num_inference_steps=4, generator=torch.manual_seed(33))
                ```
                """,
            ),
            downloads=9_120,
            likes=31,
            created_at="2023-01-17T20:00:00.000Z",
        ),
    ]
