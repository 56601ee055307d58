"""Transformers over latents whose prompts a Qwen reads, of whichever generation."""

from typing import Any

from demo.zoo import language_models as zoo
from demo.zoo.components import attentive, expose, spread
from demo.zoo.flow_transformers import flow_scheduler, sixteen_channel_autoencoder
from demo.zoo.tokenizers import qwen_tokenizer
from tests.samplers.coverage.components import PARTS_CHAT, around, flux_2_autoencoder, stirred
from tests.samplers.coverage.kind import Kind, sized


def qwen_3(kind: str = "Qwen3Model") -> tuple[Any, Any]:
    import transformers

    tokenizer = qwen_tokenizer()
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    return spread(getattr(transformers, kind)(config)), tokenizer


def _qwen_3_vl(kind: str, vocabulary: int, layers: int = 2) -> Any:
    import transformers

    config = transformers.Qwen3VLConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": layers,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "rope_parameters": {"mrope_section": [4, 2, 2], "rope_type": "default", "rope_theta": 1_000_000.0},
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [],
        },
    )
    return spread(getattr(transformers, kind)(config))


def _flux_2_transformer(joint_attention_dim: int, **config: Any) -> Any:
    from diffusers import Flux2Transformer2DModel

    return attentive(
        Flux2Transformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=joint_attention_dim,
            axes_dims_rope=(4, 4, 4, 4),
            **config,
        )
    )


def flux_2_klein() -> Any:
    """Flux 2 without guidance, several layers of Qwen 3 read for."""
    from diffusers import Flux2KleinPipeline

    text_encoder, tokenizer = qwen_3("Qwen3ForCausalLM")
    return Flux2KleinPipeline(
        scheduler=flow_scheduler(),
        vae=flux_2_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=_flux_2_transformer(32, guidance_embeds=False),
    )


def hunyuan_image() -> Any:
    """HunyuanImage 2.1: Qwen 2.5 VL reads, and ByT5 what is to be written in the picture; guidance is a component."""
    from diffusers import AutoencoderKLHunyuanImage, HunyuanImagePipeline, HunyuanImageTransformer2DModel
    from diffusers.guiders import AdaptiveProjectedMixGuidance
    from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

    qwen = zoo.qwen_image()
    vae = AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(32, 32, 32, 32),
        layers_per_block=1,
        spatial_compression_ratio=8,
        sample_size=64,
        scaling_factor=0.476986,
    )
    expose(vae.decoder.conv_out)
    text_encoder_2 = T5EncoderModel(T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))
    return HunyuanImagePipeline(
        scheduler=flow_scheduler(shift=7.0),
        vae=vae,
        text_encoder=qwen.text_encoder,
        tokenizer=qwen.tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=ByT5Tokenizer(),
        transformer=attentive(
            HunyuanImageTransformer2DModel(
                in_channels=4,
                out_channels=4,
                num_attention_heads=4,
                attention_head_dim=8,
                num_layers=1,
                num_single_layers=1,
                num_refiner_layers=1,
                patch_size=(1, 1),
                guidance_embeds=False,
                text_embed_dim=32,
                text_embed_2_dim=32,
                rope_axes_dim=(4, 4),
            )
        ),
        guider=AdaptiveProjectedMixGuidance(),
        ocr_guider=AdaptiveProjectedMixGuidance(),
    )


def krea_2() -> Any:
    """Krea 2: some layers of a Qwen 3 VL read."""
    from diffusers import Krea2Pipeline, Krea2Transformer2DModel

    qwen = zoo.qwen_image()
    text_encoder = _qwen_3_vl("Qwen3VLModel", len(qwen.tokenizer))
    return Krea2Pipeline(
        scheduler=flow_scheduler(use_dynamic_shifting=True, max_image_seq_len=6400),
        vae=qwen.vae,
        text_encoder=text_encoder,
        tokenizer=qwen.tokenizer,
        transformer=attentive(
            Krea2Transformer2DModel(
                in_channels=16,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=4,
                num_key_value_heads=2,
                intermediate_size=32,
                timestep_embed_dim=8,
                text_hidden_dim=32,
                num_text_layers=3,
                text_num_attention_heads=2,
                text_num_key_value_heads=1,
                text_intermediate_size=16,
                num_layerwise_text_blocks=1,
                num_refiner_text_blocks=1,
                axes_dims_rope=(4, 2, 2),
                rope_theta=1000.0,
            )
        ),
        text_encoder_select_layers=(0, 1, 2),
    )


def ovis() -> Any:
    """Ovis-Image: Qwen 3 reads."""
    from diffusers import OvisImagePipeline, OvisImageTransformer2DModel

    text_encoder, tokenizer = qwen_3()
    return OvisImagePipeline(
        scheduler=flow_scheduler(),
        vae=sixteen_channel_autoencoder(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=attentive(
            OvisImageTransformer2DModel(
                patch_size=1,
                in_channels=64,
                out_channels=64,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=32,
                axes_dims_rope=(4, 6, 6),
            )
        ),
    )


def ideogram_4() -> Any:
    """Ideogram 4: thirteen layers of a Qwen 3 VL read; a second transformer knows no words."""
    from diffusers import Ideogram4Pipeline, Ideogram4Transformer2DModel
    from diffusers.pipelines.ideogram4.pipeline_ideogram4 import QWEN3_VL_ACTIVATION_LAYERS as LAYERS

    def transformer() -> Any:
        return stirred(
            Ideogram4Transformer2DModel(
                in_channels=16,
                num_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                intermediate_size=64,
                adaln_dim=32,
                llm_features_dim=32 * len(LAYERS),
                mrope_section=(4, 2, 2),
            )
        )

    tokenizer = qwen_tokenizer()
    tokenizer.chat_template = PARTS_CHAT
    return Ideogram4Pipeline(
        scheduler=flow_scheduler(),
        vae=flux_2_autoencoder(),
        text_encoder=_qwen_3_vl("Qwen3VLModel", len(tokenizer), max(LAYERS) + 1),
        tokenizer=tokenizer,
        transformer=transformer(),
        unconditional_transformer=transformer(),
    )


def z_image_omni() -> Any:
    """Z-Image that may be shown pictures, and need not be."""
    import torch
    from diffusers import ZImageOmniPipeline, ZImageTransformer2DModel
    from transformers import Siglip2ImageProcessorPil, Siglip2VisionConfig, Siglip2VisionModel

    base = zoo.z_image()
    transformer = attentive(
        ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            siglip_feat_dim=32,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 128, 128],
        )
    )
    with torch.no_grad():  # left uninitialised by the class: only training writes them
        for token in (transformer.x_pad_token, transformer.cap_pad_token, transformer.siglip_pad_token):
            token.normal_(std=0.02)
    vision = Siglip2VisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_patches=16, patch_size=8
    )
    return ZImageOmniPipeline(
        scheduler=base.scheduler,
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        transformer=transformer,
        siglip=Siglip2VisionModel(vision),
        siglip_processor=Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
    )


_KLEIN = sized(64, text_encoder_out_layers=[1], max_sequence_length=64)

KINDS = {
    "Flux2KleinKVPipeline": Kind(
        around("Flux2KleinKVPipeline", flux_2_klein),
        asked=sized(64, text_encoder_out_layers=[1], max_sequence_length=64),
    ),
    "Flux2KleinPipeline": Kind(flux_2_klein, asked=_KLEIN),
    "HunyuanImagePipeline": Kind(hunyuan_image, asked=sized(64)),
    "Ideogram4Pipeline": Kind(ideogram_4, asked=sized(64, guidance_schedule=[7.0, 3.0], max_sequence_length=64)),
    "Krea2Pipeline": Kind(krea_2, asked=sized(64)),
    "OvisImagePipeline": Kind(ovis, asked=sized(64)),
    "QwenImagePipeline": Kind(zoo.qwen_image, asked=sized(64)),
    "ZImageOmniPipeline": Kind(z_image_omni, asked=sized(64)),
    "ZImagePipeline": Kind(zoo.z_image, asked=sized(64)),
}
