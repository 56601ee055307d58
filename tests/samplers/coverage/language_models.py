"""Transformers over latents whose prompts a language model other than Qwen reads."""

from typing import Any

from demo.zoo import language_models as zoo
from demo.zoo.components import attentive, autoencoder, clip_text, expose, spread, t5_text
from demo.zoo.flow_transformers import flow_scheduler
from demo.zoo.tokenizers import gemma_tokenizer, qwen_tokenizer
from tests.samplers.coverage.components import PARTS_CHAT, around, flux_2_autoencoder, stirred
from tests.samplers.coverage.kind import Kind, sized
from tests.samplers.coverage.tokenizers import mistral_tokenizer


def ernie() -> Any:
    """ERNIE-Image without the model that rewrites prompts."""
    from diffusers import ErnieImagePipeline, ErnieImageTransformer2DModel
    from transformers import Ministral3Config, Ministral3Model

    tokenizer = mistral_tokenizer()
    config = Ministral3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    return ErnieImagePipeline(
        transformer=stirred(
            ErnieImageTransformer2DModel(
                hidden_size=32,
                num_attention_heads=2,
                num_layers=2,
                ffn_hidden_size=64,
                in_channels=16,
                out_channels=16,
                text_in_dim=32,
                rope_axes_dim=(4, 6, 6),
            )
        ),
        vae=flux_2_autoencoder(),
        text_encoder=spread(Ministral3Model(config)),
        tokenizer=tokenizer,
        scheduler=flow_scheduler(),
        pe=None,
        pe_tokenizer=None,
    )


def hidream() -> Any:
    """HiDream: four text encoders, experts in the transformer."""
    from diffusers import HiDreamImagePipeline, HiDreamImageTransformer2DModel
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaTokenizer

    text_encoder, tokenizer = clip_text(projection=True)
    text_encoder_2, tokenizer_2 = clip_text(projection=True)
    text_encoder_3, tokenizer_3 = t5_text()
    tokenizer_4 = mistral_tokenizer(LlamaTokenizer)
    config = LlamaConfig(
        vocab_size=len(tokenizer_4),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    return HiDreamImagePipeline(
        scheduler=flow_scheduler(),
        vae=autoencoder(channels=(8,), scaling_factor=0.3611, shift_factor=0.1159),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        text_encoder_3=text_encoder_3,
        tokenizer_3=tokenizer_3,
        text_encoder_4=spread(LlamaForCausalLM(config)),
        tokenizer_4=tokenizer_4,
        transformer=attentive(
            HiDreamImageTransformer2DModel(
                patch_size=8,
                in_channels=4,
                out_channels=4,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=8,
                num_attention_heads=4,
                caption_channels=[32, 16],
                text_emb_dim=64,
                num_routed_experts=4,
                num_activated_experts=2,
                axes_dims_rope=(4, 2, 2),
                max_resolution=(128, 128),
                llama_layers=(0, 1),
            )
        ),
    )


def lumina() -> Any:
    """Lumina Next: Gemma reads."""
    from diffusers import LuminaNextDiT2DModel, LuminaPipeline
    from transformers import GemmaConfig, GemmaForCausalLM

    tokenizer = gemma_tokenizer()
    config = GemmaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=8,
    )
    return LuminaPipeline(
        transformer=stirred(
            LuminaNextDiT2DModel(
                sample_size=8,
                patch_size=2,
                in_channels=4,
                hidden_size=32,
                num_layers=2,
                num_attention_heads=2,
                num_kv_heads=1,
                multiple_of=16,
                cross_attention_dim=32,
            )
        ),
        vae=autoencoder(),
        scheduler=flow_scheduler(),
        text_encoder=spread(GemmaForCausalLM(config)),
        tokenizer=tokenizer,
    )


def glm_image() -> Any:
    """GLM-Image: a language model draws a sketch of tokens, a transformer the picture; its call takes one generator."""
    from diffusers import GlmImagePipeline, GlmImageTransformer2DModel
    from transformers import (
        ByT5Tokenizer,
        GlmImageConfig,
        GlmImageForConditionalGeneration,
        GlmImageImageProcessorPil,
        GlmImageProcessor,
        T5Config,
        T5EncoderModel,
    )

    marks = {"image_token": "<|image|>", "grid_bos_token": "<sop>", "grid_eos_token": "<eop>", "bos_token": "<bos>"}
    words = qwen_tokenizer(padding_side="left", extra_special_tokens=marks)
    codes = 16
    # The codes of the sketch come first among the ids, the words' after them.
    encoder = GlmImageForConditionalGeneration(
        GlmImageConfig(
            text_config={
                "vocab_size": 512,
                "vision_vocab_size": codes,
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "max_position_embeddings": 1024,
                "pad_token_id": words.pad_token_id,
                "eos_token_id": 511,
                "rope_parameters": {"mrope_section": [4, 2, 2], "rope_type": "default", "rope_theta": 10_000.0},
            },
            vision_config={
                "depth": 1,
                "hidden_size": 32,
                "num_heads": 2,
                "image_size": 32,
                "patch_size": 8,
                "intermediate_size": 32,
            },
            vq_config={"embed_dim": 32, "num_embeddings": codes, "latent_channels": 32},
            image_token_id=words.convert_tokens_to_ids("<|image|>"),
            image_start_token_id=words.bos_token_id,
            image_end_token_id=510,
        )
    )
    byte_encoder = T5EncoderModel(T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))
    return GlmImagePipeline(
        tokenizer=ByT5Tokenizer(),
        processor=GlmImageProcessor(GlmImageImageProcessorPil(), words, chat_template=PARTS_CHAT),
        text_encoder=byte_encoder,
        vision_language_encoder=encoder,
        vae=autoencoder(latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
        transformer=attentive(
            GlmImageTransformer2DModel(
                patch_size=2,
                in_channels=4,
                out_channels=4,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=2,
                text_embed_dim=32,
                time_embed_dim=16,
                condition_dim=8,
                prior_vq_quantizer_codebook_size=codes,
            )
        ),
        scheduler=flow_scheduler(),
    )


def bria_fibo() -> Any:
    """Fibo: every layer of SmolLM 3 reads, a video autoencoder of Wan's writes one frame."""
    from diffusers import AutoencoderKLWan, BriaFiboPipeline, BriaFiboTransformer2DModel
    from transformers import SmolLM3Config, SmolLM3ForCausalLM

    tokenizer = mistral_tokenizer()
    config = SmolLM3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    vae = AutoencoderKLWan(
        base_dim=8,
        decoder_base_dim=8,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        out_channels=12,
        in_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        temperal_downsample=[False, True, True],
        is_residual=True,
    )
    expose(vae.decoder.conv_out, (0.0,) * 12)
    return BriaFiboPipeline(
        scheduler=flow_scheduler(),
        vae=vae,
        text_encoder=spread(SmolLM3ForCausalLM(config)),
        tokenizer=tokenizer,
        transformer=attentive(
            BriaFiboTransformer2DModel(
                patch_size=1,
                in_channels=16,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=64,
                text_encoder_dim=32,
                pooled_projection_dim=None,
                axes_dims_rope=[0, 8, 8],
            )
        ),
    )


def sana_sprint() -> Any:
    """Sana distilled to two steps."""
    from diffusers import SanaSprintPipeline, SanaTransformer2DModel, SCMScheduler

    sana = zoo.sana()
    return SanaSprintPipeline(
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
                qk_norm="rms_norm_across_heads",
                guidance_embeds=True,
            )
        ),
        vae=sana.vae,
        scheduler=SCMScheduler(),
        text_encoder=sana.text_encoder,
        tokenizer=sana.tokenizer,
    )


_SMALL = {"use_resolution_binning": False, "complex_human_instruction": ["Draw: "]}

KINDS = {
    "BriaFiboPipeline": Kind(bria_fibo, asked=sized(64, negative_prompt="blurry")),
    "CogView4Pipeline": Kind(zoo.cogview_4, asked=sized(64)),
    "ErnieImagePipeline": Kind(ernie, asked=sized(64)),
    "GlmImagePipeline": Kind(glm_image, asked=sized(64)),
    # Whatever it is asked for, it makes 128 x 128 latents: hence an autoencoder that shrinks by nothing.
    "HiDreamImagePipeline": Kind(hidream, 128, asked=sized(64, max_sequence_length=77)),
    "Lumina2Pipeline": Kind(zoo.lumina_2, asked=sized(64)),
    "LuminaPipeline": Kind(lumina, asked=sized(64, negative_prompt="blurry")),
    "SanaPAGPipeline": Kind(around("SanaPAGPipeline", zoo.sana), asked=sized(64, **_SMALL)),
    "SanaPipeline": Kind(zoo.sana, asked=sized(64, **_SMALL)),
    "SanaSprintPipeline": Kind(sana_sprint, asked=sized(64, **_SMALL)),
}
