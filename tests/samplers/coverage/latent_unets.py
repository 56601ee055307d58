"""Latent diffusion from words beside Stable Diffusion 1: SDXL, Kolors, LDM, the discrete and the many-sided ones."""

from collections.abc import Callable
from typing import Any

from demo.zoo.components import attentive, autoencoder, clip_text, expose
from demo.zoo.latent_unets import sdxl
from demo.zoo.stable_diffusion import unet
from tests.samplers.coverage.kind import Kind
from tests.samplers.coverage.stable_diffusion import components, ddim
from tests.samplers.coverage.tokenizers import chat_glm_tokenizer, gpt2_tokenizer, xlm_roberta_tokenizer


def sdxl_pag() -> Any:
    from diffusers import StableDiffusionXLPAGPipeline

    return StableDiffusionXLPAGPipeline(**sdxl().components)


def kolors(class_name: str) -> Callable[[], Any]:
    """SDXL that ChatGLM reads for."""

    def make() -> Any:
        import diffusers
        from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel

        tokenizer = chat_glm_tokenizer()
        base = sdxl()
        text_encoder = ChatGLMModel(
            ChatGLMConfig(
                num_layers=2,
                padded_vocab_size=tokenizer.vocab_size,
                hidden_size=32,
                ffn_hidden_size=64,
                kv_channels=8,
                num_attention_heads=4,
                add_qkv_bias=True,
                multi_query_attention=True,
                multi_query_group_num=2,
                original_rope=True,
            )
        )
        for parameter in text_encoder.parameters():
            parameter.data.normal_(std=0.2)
        return getattr(diffusers, class_name)(
            unet=unet(
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=32,
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + 32,
            ),
            vae=base.vae,
            scheduler=base.scheduler,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )

    return make


def latent_diffusion() -> Any:
    """The first of them: what reads is called bert."""
    from diffusers import LDMTextToImagePipeline
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    from demo.zoo.tokenizers import bert_tokenizer

    tokenizer = bert_tokenizer()
    bert = LDMBertModel(
        LDMBertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=77,
            encoder_layers=2,
            encoder_ffn_dim=64,
            encoder_attention_heads=4,
            head_dim=8,
            d_model=32,
        )
    )
    return LDMTextToImagePipeline(vqvae=autoencoder(), bert=bert, tokenizer=tokenizer, unet=unet(), scheduler=ddim())


def alt_diffusion() -> Any:
    """Stable Diffusion that XLM-RoBERTa reads for."""
    from diffusers import AltDiffusionPipeline
    from diffusers.pipelines.deprecated.alt_diffusion import RobertaSeriesModelWithTransformation
    from diffusers.pipelines.deprecated.alt_diffusion.modeling_roberta_series import RobertaSeriesConfig

    tokenizer = xlm_roberta_tokenizer()
    config = RobertaSeriesConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        project_dim=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
    )
    parts = components(text_encoder=RobertaSeriesModelWithTransformation(config), tokenizer=tokenizer)
    return AltDiffusionPipeline(**parts)


def versatile() -> Any:
    """A UNet for pictures and one for texts, of which the words' attention is lent to the other."""
    from diffusers import VersatileDiffusionTextToImagePipeline
    from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import UNetFlatConditionModel

    text_encoder, tokenizer = clip_text(projection=True)
    text_unet = UNetFlatConditionModel(
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlockFlat", "DownBlockFlat"),
        up_block_types=("UpBlockFlat", "CrossAttnUpBlockFlat"),
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    return VersatileDiffusionTextToImagePipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        image_unet=unet(),
        text_unet=text_unet,
        vae=autoencoder(),
        scheduler=ddim(),
    )


def unidiffuser() -> Any:
    """One transformer for pictures, texts, or both."""
    import torch
    from diffusers import DPMSolverMultistepScheduler, UniDiffuserModel, UniDiffuserPipeline, UniDiffuserTextDecoder
    from transformers import CLIPImageProcessorPil

    from demo.zoo.latent_unets import kandinsky_2_prior

    text_encoder, clip_tokenizer = clip_text()
    text_tokenizer = gpt2_tokenizer()
    text_decoder = UniDiffuserTextDecoder(
        prefix_length=77,
        prefix_inner_dim=32,
        prefix_hidden_dim=32,
        vocab_size=len(text_tokenizer),
        n_positions=128,
        n_embd=32,
        n_layer=1,
        n_head=2,
    )
    # Its input and output embeddings are one tensor, which diffusers refuses to write as safetensors: two equal ones.
    text_decoder.transformer.lm_head.weight = torch.nn.Parameter(text_decoder.transformer.lm_head.weight.clone())
    return UniDiffuserPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder,
        image_encoder=kandinsky_2_prior()["image_encoder"],
        clip_image_processor=CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        clip_tokenizer=clip_tokenizer,
        text_decoder=text_decoder,
        text_tokenizer=text_tokenizer,
        unet=attentive(
            UniDiffuserModel(
                text_dim=32,
                clip_img_dim=32,
                num_text_tokens=77,
                num_attention_heads=2,
                attention_head_dim=8,
                in_channels=4,
                out_channels=4,
                num_layers=2,
                norm_num_groups=4,
                sample_size=8,
                patch_size=2,
                activation_fn="gelu",
                num_embeds_ada_norm=1000,
                norm_type="layer_norm",
                block_type="unidiffuser",
                use_timestep_embedding=False,
                norm_elementwise_affine=True,
                use_patch_pos_embed=False,
                ff_final_dropout=True,
                use_data_type_embedding=False,
            )
        ),
        scheduler=DPMSolverMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
    )


def vq_diffusion() -> Any:
    """Discrete diffusion over codes; its call takes one random generator only."""
    from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
    from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import (
        LearnedClassifierFreeSamplingEmbeddings,
    )

    text_encoder, tokenizer = clip_text()
    tokenizer.model_max_length = 16
    return VQDiffusionPipeline(
        vqvae=VQModel(
            block_out_channels=(16, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=3,
            num_vq_embeddings=12,
            vq_embed_dim=3,
            norm_num_groups=8,
        ),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=Transformer2DModel(
            attention_bias=True,
            cross_attention_dim=32,
            attention_head_dim=32,
            num_attention_heads=1,
            num_vector_embeds=12,
            num_embeds_ada_norm=12,
            norm_num_groups=8,
            sample_size=8,
            activation_fn="geglu-approximate",
        ),
        scheduler=VQDiffusionScheduler(12),
        learned_classifier_free_sampling_embeddings=LearnedClassifierFreeSamplingEmbeddings(learnable=False),
    )


def amused() -> Any:
    """Masked prediction of codes, many at a time."""
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel

    text_encoder, tokenizer = clip_text(projection=True)
    return AmusedPipeline(
        transformer=attentive(
            UVit2DModel(
                hidden_size=16,
                use_bias=False,
                cond_embed_dim=32,
                micro_cond_encode_dim=2,
                micro_cond_embed_dim=10,
                encoder_hidden_size=32,
                vocab_size=32,
                codebook_size=16,
                in_channels=16,
                block_out_channels=16,
                num_res_blocks=1,
                downsample=True,
                upsample=True,
                block_num_heads=2,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=32,
            )
        ),
        scheduler=AmusedScheduler(mask_token_id=31),
        vqvae=_codes(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def _codes() -> Any:
    import torch
    from diffusers import VQModel

    model = VQModel(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        num_vq_embeddings=16,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    expose(model.decoder.conv_out)
    with torch.no_grad():
        model.quantize.embedding.weight.normal_()
    return model


KINDS = {
    "AltDiffusionPipeline": Kind(alt_diffusion, libraries={"text_encoder": "alt_diffusion"}),
    "AmusedPipeline": Kind(amused, asked={"height": 64, "width": 64}),
    "KolorsPAGPipeline": Kind(kolors("KolorsPAGPipeline")),
    "KolorsPipeline": Kind(kolors("KolorsPipeline")),
    "LDMTextToImagePipeline": Kind(latent_diffusion),
    "StableDiffusionXLPAGPipeline": Kind(sdxl_pag),
    "StableDiffusionXLPipeline": Kind(sdxl),
    "UniDiffuserPipeline": Kind(unidiffuser, libraries={"text_decoder": "unidiffuser", "unet": "unidiffuser"}),
    "VQDiffusionPipeline": Kind(
        vq_diffusion, 16, libraries={"learned_classifier_free_sampling_embeddings": "vq_diffusion"}
    ),
    "VersatileDiffusionTextToImagePipeline": Kind(versatile, libraries={"text_unet": "versatile_diffusion"}),
}
