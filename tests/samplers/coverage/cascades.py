"""Several diffusions in a row: a prior that imagines an embedding, a decoder that paints it."""

from typing import Any

from demo.zoo.components import autoencoder, clip_text
from demo.zoo.latent_unets import kandinsky_2, kandinsky_2_prior, kandinsky_3
from demo.zoo.stable_diffusion import unet
from tests.samplers.coverage.components import stirred
from tests.samplers.coverage.kind import Kind, sized
from tests.samplers.coverage.tokenizers import xlm_roberta_tokenizer


def kandinsky_1() -> Any:
    """Kandinsky 2.1: a multilingual CLIP reads for the decoder, too."""
    from diffusers import DDIMScheduler, KandinskyCombinedPipeline
    from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

    tokenizer = xlm_roberta_tokenizer()
    text_encoder = MultilingualCLIP(
        MCLIPConfig(
            transformerDimSize=32,
            imageDimSize=32,
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
        )
    )
    return KandinskyCombinedPipeline(
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet(
            out_channels=8,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            addition_embed_type="text_image",
            encoder_hid_dim=32,
            encoder_hid_dim_type="text_image_proj",
            resnet_time_scale_shift="scale_shift",
        ),
        scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1),
        movq=kandinsky_2().movq,
        **{f"prior_{name}": component for name, component in kandinsky_2_prior().items()},
    )


def _prior() -> Any:
    import torch
    from diffusers import PriorTransformer

    prior = PriorTransformer(num_attention_heads=4, attention_head_dim=8, num_layers=2, embedding_dim=32)
    with torch.no_grad():  # zero until training measures the embeddings' spread; zero would forget the prompt
        prior.clip_std.fill_(1.0)
    return prior


def unclip() -> Any:
    """Karlo: pixels, enlarged twice."""
    from diffusers import UnCLIPPipeline, UnCLIPScheduler, UNet2DModel
    from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel

    text_encoder, tokenizer = clip_text(projection=True)
    decoder = unet(
        sample_size=16,
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        resnet_time_scale_shift="scale_shift",
        class_embed_type="identity",
    )

    def enlarging() -> Any:
        return UNet2DModel(
            sample_size=32,
            layers_per_block=1,
            down_block_types=("ResnetDownsampleBlock2D",) * 2,
            up_block_types=("ResnetUpsampleBlock2D",) * 2,
            block_out_channels=(16, 32),
            norm_num_groups=8,
            in_channels=6,
            out_channels=3,
        )

    return UnCLIPPipeline(
        prior=_prior(),
        decoder=decoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_proj=UnCLIPTextProjModel(clip_embeddings_dim=32, time_embed_dim=64, cross_attention_dim=32),
        super_res_first=enlarging(),
        super_res_last=enlarging(),
        prior_scheduler=UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0
        ),
        decoder_scheduler=UnCLIPScheduler(variance_type="learned_range"),
        super_res_scheduler=UnCLIPScheduler(variance_type="fixed_small_log"),
    )


def stable_unclip() -> Any:
    """Karlo's prior before a Stable Diffusion that takes image embeddings."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableUnCLIPPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    prior_text_encoder, prior_tokenizer = clip_text(projection=True)
    text_encoder, tokenizer = clip_text()
    return StableUnCLIPPipeline(
        prior_tokenizer=prior_tokenizer,
        prior_text_encoder=prior_text_encoder,
        prior=_prior(),
        prior_scheduler=DDPMScheduler(variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0),
        image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=32),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        unet=unet(class_embed_type="projection", projection_class_embeddings_input_dim=64),
        scheduler=DDIMScheduler(prediction_type="v_prediction", set_alpha_to_one=False, steps_offset=1),
        vae=autoencoder(),
    )


def _paella() -> Any:
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    return PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=16, embed_dim=16)


def stable_cascade() -> Any:
    """Stable Cascade: a prior over a picture shrunk by 42."""
    from diffusers import DDPMWuerstchenScheduler, StableCascadeCombinedPipeline, StableCascadeUNet

    text_encoder, tokenizer = clip_text(projection=True)
    prior_text_encoder, prior_tokenizer = clip_text(projection=True)
    blocks = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
    common: dict[str, Any] = {
        "conditioning_dim": 32,
        "block_out_channels": (16, 16),
        "num_attention_heads": (2, 2),
        "down_num_layers_per_block": (1, 1),
        "up_num_layers_per_block": (1, 1),
        "down_blocks_repeat_mappers": (1, 1),
        "up_blocks_repeat_mappers": (1, 1),
        "block_types_per_layer": (blocks, blocks),
        "clip_text_pooled_in_channels": 32,
        "dropout": (0.0, 0.0),
    }
    return StableCascadeCombinedPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        decoder=StableCascadeUNet(in_channels=4, out_channels=4, patch_size=2, switch_level=None, **common),
        scheduler=DDPMWuerstchenScheduler(),
        vqgan=_paella(),
        prior_prior=StableCascadeUNet(
            in_channels=16,
            out_channels=16,
            clip_text_in_channels=32,
            clip_image_in_channels=32,
            switch_level=(False,),
            **common,
        ),
        prior_text_encoder=prior_text_encoder,
        prior_tokenizer=prior_tokenizer,
        prior_scheduler=DDPMWuerstchenScheduler(),
        prior_feature_extractor=None,
        prior_image_encoder=None,
    )


def wuerstchen() -> Any:
    """Stable Cascade's forerunner."""
    from diffusers import DDPMWuerstchenScheduler, WuerstchenCombinedPipeline
    from diffusers.pipelines.deprecated.wuerstchen import WuerstchenDiffNeXt, WuerstchenPrior

    text_encoder, tokenizer = clip_text()
    prior_text_encoder, prior_tokenizer = clip_text()
    return WuerstchenCombinedPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        decoder=stirred(
            WuerstchenDiffNeXt(
                c_cond=32,
                c_hidden=[32],
                nhead=[-1],
                blocks=[1],
                level_config=["CT"],
                clip_embd=32,
                inject_effnet=[True],
                effnet_embd=2,
            )
        ),
        scheduler=DDPMWuerstchenScheduler(),
        vqgan=_paella(),
        prior_tokenizer=prior_tokenizer,
        prior_text_encoder=prior_text_encoder,
        prior_prior=stirred(WuerstchenPrior(c_in=2, c=16, depth=2, c_cond=32, c_r=8, nhead=2)),
        prior_scheduler=DDPMWuerstchenScheduler(),
    )


_TWO_STEPS = {"prior_num_inference_steps": 2}

KINDS = {
    "Kandinsky3Pipeline": Kind(kandinsky_3, asked=sized(64)),
    "KandinskyCombinedPipeline": Kind(kandinsky_1, asked=sized(64, **_TWO_STEPS)),
    "KandinskyV22CombinedPipeline": Kind(kandinsky_2, asked=sized(64, **_TWO_STEPS)),
    "StableCascadeCombinedPipeline": Kind(stable_cascade, 128, sized(128, **_TWO_STEPS), {"vqgan": "wuerstchen"}),
    "StableUnCLIPPipeline": Kind(stable_unclip, asked=_TWO_STEPS),
    "UnCLIPPipeline": Kind(
        unclip,
        32,
        {**_TWO_STEPS, "decoder_num_inference_steps": 2, "super_res_num_inference_steps": 2},
        {"text_proj": "unclip"},
    ),
    "WuerstchenCombinedPipeline": Kind(
        wuerstchen,
        128,
        sized(128, **_TWO_STEPS),
        dict.fromkeys(("decoder", "prior_prior", "vqgan"), "wuerstchen"),
    ),
}
