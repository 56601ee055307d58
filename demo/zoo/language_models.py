"""Transformers for flow matching with a language model as text encoder: Lumina 2, CogView4, Sana, Qwen, Z."""

from typing import Any

from demo.zoo.cards import SQUARE, card, snippet, snippet_with_settings, snippet_with_variables, table
from demo.zoo.components import attentive, expose, spread
from demo.zoo.flow_transformers import flow_scheduler, sixteen_channel_autoencoder
from demo.zoo.repository import Repository, generator
from demo.zoo.tokenizers import gemma_tokenizer, glm_tokenizer, qwen_tokenizer


def gemma_text() -> tuple[Any, Any]:
    """A Gemma 2 and its tokenizer. A token is a letter here, so the instructions before a prompt are a thousand tokens:
    one layer and two heads keep attention over them short."""
    from transformers import Gemma2Config, Gemma2Model

    tokenizer = gemma_tokenizer()
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
    )
    return spread(Gemma2Model(config)), tokenizer


def lumina_2() -> Any:
    """Lumina Image 2: Gemma 2 as text encoder, one stream for tokens and patches."""
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    text_encoder, tokenizer = gemma_text()
    return Lumina2Pipeline(
        transformer=attentive(
            Lumina2Transformer2DModel(
                sample_size=8,
                patch_size=2,
                in_channels=16,
                hidden_size=32,
                num_layers=2,
                num_refiner_layers=1,
                num_attention_heads=2,
                num_kv_heads=1,
                multiple_of=16,
                axes_dim_rope=(4, 6, 6),
                axes_lens=(300, 128, 128),
                cap_feat_dim=32,
            )
        ),
        scheduler=flow_scheduler(shift=6.0),
        vae=sixteen_channel_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def cogview_4() -> Any:
    """CogView4: GLM as text encoder; sizes are a condition."""
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel
    from transformers import GlmConfig, GlmModel

    tokenizer = glm_tokenizer()
    config = GlmConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return CogView4Pipeline(
        transformer=attentive(
            CogView4Transformer2DModel(
                patch_size=2,
                in_channels=16,
                out_channels=16,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=4,
                text_embed_dim=32,
                time_embed_dim=32,
                condition_dim=8,
                sample_size=8,
            )
        ),
        scheduler=flow_scheduler(
            base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True, time_shift_type="linear"
        ),
        vae=sixteen_channel_autoencoder(),
        text_encoder=spread(GlmModel(config)),
        tokenizer=tokenizer,
    )


def sana() -> Any:
    """Sana: linear attention over the latents of an autoencoder with a factor of 32."""
    from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel

    text_encoder, tokenizer = gemma_text()
    widths = (8, 8, 8, 16, 16, 16)
    blocks = ("ResBlock", "ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock", "EfficientViTBlock")
    scales: tuple[tuple[int, ...], ...] = ((), (), (), (), (5,), (5,))
    vae = AutoencoderDC(
        latent_channels=8,
        attention_head_dim=8,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6,
        encoder_qkv_multiscales=scales,
        decoder_qkv_multiscales=scales,
        upsample_block_type="interpolate",
        scaling_factor=0.41407,
    )
    expose(vae.decoder.conv_out)
    return SanaPipeline(
        transformer=attentive(
            SanaTransformer2DModel(
                sample_size=16,
                patch_size=1,
                in_channels=8,
                out_channels=8,
                num_layers=2,
                num_attention_heads=4,
                attention_head_dim=8,
                num_cross_attention_heads=4,
                cross_attention_head_dim=8,
                cross_attention_dim=32,
                caption_channels=32,
            )
        ),
        scheduler=flow_scheduler(shift=3.0),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def qwen_image() -> Any:
    """Qwen-Image: a vision-language model as text encoder, a video autoencoder with one frame."""
    import torch
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1_000_000.0}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": rope,
        },
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32},
    )
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    for name, parameter in vae.decoder.named_parameters():
        if name.endswith("bias"):  # larger than the signal in so small a decoder: every picture would be the same
            torch.nn.init.zeros_(parameter)
    expose(vae.decoder.conv_out)
    return QwenImagePipeline(
        transformer=attentive(
            QwenImageTransformer2DModel(
                patch_size=2,
                in_channels=16,
                out_channels=4,
                num_layers=2,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                axes_dims_rope=(4, 6, 6),
            )
        ),
        scheduler=flow_scheduler(use_dynamic_shifting=True, max_shift=0.9, max_image_seq_len=8192),
        vae=vae,
        text_encoder=spread(Qwen2_5_VLForConditionalGeneration(config)),
        tokenizer=tokenizer,
    )


def z_image() -> Any:
    """Z-Image: Qwen 3 as text encoder, one stream for tokens and patches."""
    import torch
    from diffusers import ZImagePipeline, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = qwen_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    transformer = attentive(
        ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 128, 128],
        )
    )
    with torch.no_grad():  # left uninitialised by the class: only training writes them
        transformer.x_pad_token.normal_(std=0.02)
        transformer.cap_pad_token.normal_(std=0.02)
    return ZImagePipeline(
        transformer=transformer,
        scheduler=flow_scheduler(shift=3.0),
        vae=sixteen_channel_autoencoder(),
        text_encoder=spread(Qwen3Model(config)),
        tokenizer=tokenizer,
    )


def repositories() -> list[Repository]:
    """All repositories of this family."""
    lumina, cogview = "lumen/Lumina-Image-2.0-small", "glm-garden/CogView4-nano"
    sana_512, qwen, z = "sun-lab/Sana_512px_diffusers", "tongs/Qwen-Image-Little", "tongs/Z-Image-Tiny"
    return [
        generator(
            lumina,
            lumina_2,
            card(
                {"license": "apache-2.0", "tags": ["text-to-image"], "library_name": "diffusers"},
                "# Lumina Image 2.0 small",
                snippet(lumina, "a lighthouse", num_inference_steps=3, guidance_scale=4.0, **SQUARE),
                table(("resolution", "steps", "cfg"), ("64x64", 3, 4.0)),
            ),
            downloads=17_540,
            likes=88,
            created_at="2025-01-22T09:00:00.000Z",
        ),
        generator(
            cogview,
            cogview_4,
            card(
                {"license": "apache-2.0", "language": ["zh", "en"], "pipeline_tag": "text-to-image"},
                "# CogView4 nano",
                snippet_with_variables(
                    cogview,
                    "A vibrant cherry red sports car",
                    pipeline="CogView4Pipeline",
                    num_inference_steps=3,
                    guidance_scale=3.5,
                    **SQUARE,
                ),
            ),
            downloads=9_902,
            likes=57,
            created_at="2025-03-03T03:00:00.000Z",
        ),
        generator(
            sana_512,
            sana,
            card(
                {
                    "license": "other",
                    "license_name": "nscl-v2-custom",
                    "tags": ["text-to-image", "Sana", "512px_based_image_size"],
                    "pipeline_tag": "text-to-image",
                },
                "# Sana 512px",
                "An autoencoder that shrinks by 32, and linear attention.",
                snippet(
                    sana_512,
                    "a cyberpunk cat",
                    pipeline="SanaPipeline",
                    num_inference_steps=2,
                    guidance_scale=4.5,
                    use_resolution_binning=False,
                    **SQUARE,
                ),
            ),
            downloads=14_420,
            likes=66,
            created_at="2024-12-10T00:00:00.000Z",
        ),
        generator(
            qwen,
            qwen_image,
            card(
                {"license": "apache-2.0", "language": ["en", "zh"], "library_name": "diffusers"},
                "# Qwen-Image Little",
                "Draws text, in principle.",
                snippet_with_settings(
                    qwen,
                    "a coffee shop entrance with a chalkboard sign",
                    negative_prompt=" ",
                    num_inference_steps=3,
                    true_cfg_scale=4.0,
                    **SQUARE,
                ),
            ),
            downloads=203_388,
            likes=702,
            created_at="2025-08-02T04:58:07.000Z",
        ),
        generator(
            z,
            z_image,
            card(
                {"license": "apache-2.0", "pipeline_tag": "text-to-image", "library_name": "diffusers"},
                "# Z-Image Tiny",
                "Single stream, few steps, no guidance needed.",
                snippet(
                    z,
                    "a street in the rain",
                    pipeline="ZImagePipeline",
                    num_inference_steps=3,
                    guidance_scale=0.0,
                    **SQUARE,
                ),
            ),
            downloads=98_005,
            likes=515,
            created_at="2025-11-25T12:00:00.000Z",
        ),
    ]
