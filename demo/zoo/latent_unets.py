"""Text-conditional latent diffusion with a UNet, beyond Stable Diffusion 1.5: SDXL, latent consistency, Kandinsky."""

from typing import Any

from demo.zoo.cards import SQUARE, card, snippet, snippet_with_settings, snippet_with_variables
from demo.zoo.components import autoencoder, clip_text, expose, t5_text
from demo.zoo.repository import Repository, generator
from demo.zoo.safety import feature_extractor, safety_checker
from demo.zoo.stable_diffusion import unet


def sdxl() -> Any:
    """SDXL: two text encoders, and the size of the image as a condition."""
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


def _movq() -> Any:
    """Kandinsky's autoencoder: MoVQ, whose normalisation is modulated by the codes."""
    from diffusers import VQModel

    model = VQModel(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
        up_block_types=("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=64,
        norm_num_groups=4,
        norm_type="spatial",
    )
    expose(model.decoder.conv_out)
    return model


def kandinsky_2_prior() -> dict[str, Any]:
    """The components of Kandinsky 2.2's prior, which makes an image embedding of a text embedding."""
    import torch
    from diffusers import PriorTransformer, UnCLIPScheduler
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    text_encoder, tokenizer = clip_text(projection=True)
    prior = PriorTransformer(num_attention_heads=4, attention_head_dim=8, num_layers=2, embedding_dim=32)
    with torch.no_grad():  # zero until training measures the embeddings' spread; zero would forget the prompt
        prior.clip_std.fill_(1.0)
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        projection_dim=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
    )
    return {
        "prior": prior,
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample=True, clip_sample_range=5.0
        ),
        "image_processor": CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    }


def _kandinsky_2_decoder() -> dict[str, Any]:
    """UNet and scheduler of Kandinsky 2.2's decoder, which makes an image of an image embedding."""
    from diffusers import DDPMScheduler

    decoder = unet(
        out_channels=8,
        block_out_channels=(16, 32),
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        addition_embed_type="image",
        encoder_hid_dim=32,
        encoder_hid_dim_type="image_proj",
        resnet_time_scale_shift="scale_shift",
    )
    scheduler = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, variance_type="learned_range", clip_sample=True, clip_sample_range=2.0
    )
    return {"unet": decoder, "scheduler": scheduler}


def kandinsky_2() -> Any:
    """Kandinsky 2.2, prior and decoder in one repository."""
    from diffusers import KandinskyV22CombinedPipeline

    decoder = _kandinsky_2_decoder()
    prior = {f"prior_{name}": component for name, component in kandinsky_2_prior().items()}
    return KandinskyV22CombinedPipeline(**decoder, movq=_movq(), **prior)


def kandinsky_2_decoder() -> Any:
    """Kandinsky 2.2, the decoder alone."""
    from diffusers import KandinskyV22Pipeline

    return KandinskyV22Pipeline(**_kandinsky_2_decoder(), movq=_movq())


def kandinsky_3() -> Any:
    """Kandinsky 3: no prior, T5 as text encoder."""
    from diffusers import DDPMScheduler, Kandinsky3Pipeline, Kandinsky3UNet

    text_encoder, tokenizer = t5_text()
    return Kandinsky3Pipeline(
        unet=Kandinsky3UNet(
            time_embedding_dim=32,
            groups=4,
            attention_head_dim=8,
            layers_per_block=2,
            block_out_channels=(16, 32),
            cross_attention_dim=32,
            encoder_hid_dim=32,
        ),
        scheduler=DDPMScheduler(
            beta_start=0.0001, beta_end=0.02, beta_schedule="squaredcos_cap_v2", clip_sample=True, clip_sample_range=2.0
        ),
        movq=_movq(),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
    )


def repositories() -> list[Repository]:
    """All repositories of this family."""
    anime, lcm = "tiny-labs/sdxl-anime-mix", "tiny-labs/dreamy-lcm"
    prior, decoder = "moscow-miniatures/kandinsky-2-2-prior", "moscow-miniatures/kandinsky-2-2-decoder"
    combined, third = "moscow-miniatures/kandinsky-2-2-combined", "moscow-miniatures/kandinsky-3"
    return [
        generator(
            anime,
            sdxl,
            card(
                {
                    "license": "openrail++",
                    "tags": ["text-to-image", "stable-diffusion", "stable-diffusion-xl", "anime", "diffusers"],
                    "pipeline_tag": "text-to-image",
                },
                "# SDXL Anime Mix",
                "A merge of merges. VAE baked in, no refiner. Works with `Euler a`, too.",
                "### Diffusers",
                snippet_with_settings(
                    anime,
                    "1girl, tiny village, masterpiece",
                    pipeline="StableDiffusionXLPipeline",
                    negative_prompt="lowres, blurry",
                    num_inference_steps=3,
                    guidance_scale=6.0,
                ),
            ),
            downloads=311_420,
            likes=450,
            created_at="2023-10-18T14:20:11.000Z",
        ),
        generator(
            lcm,
            latent_consistency,
            card(
                {"license": "mit", "tags": ["text-to-image", "lcm"], "library_name": "diffusers", "inference": False},
                "# Dreamy LCM",
                "Distilled to four steps. Guidance is an input of the UNet here, so 8 costs no more than 1.",
                snippet(lcm, "self-portrait oil painting", num_inference_steps=4, guidance_scale=8.0),
            ),
            downloads=87_114,
            likes=204,
            created_at="2023-11-02T08:00:00.000Z",
        ),
        generator(
            combined,
            kandinsky_2,
            card(
                {"license": "apache-2.0", "tags": ["text-to-image", "kandinsky"]},
                "# Kandinsky 2.2, prior and decoder",
                "```python\nfrom diffusers import AutoPipelineForText2Image\n\n"
                f'pipe = AutoPipelineForText2Image.from_pretrained("{combined}")\n'
                'prompt = "portrait of a young woman, blue eyes, cinematic"\n'
                "image = pipe(prompt=prompt, prior_num_inference_steps=2, num_inference_steps=3, "
                "prior_guidance_scale=1.0, guidance_scale=4.0, height=64, width=64).images[0]\n```",
            ),
            downloads=21_877,
            likes=61,
            created_at="2023-07-07T18:30:00.000Z",
        ),
        generator(
            decoder,
            kandinsky_2_decoder,
            card(
                # diffusers loads the other half from the repository named here.
                {"license": "apache-2.0", "prior": [prior], "tags": ["text-to-image", "kandinsky"], "inference": False},
                "# Kandinsky 2.2, the decoder",
                "```python\nfrom diffusers import AutoPipelineForText2Image\n\n"
                f'pipe = AutoPipelineForText2Image.from_pretrained("{decoder}")\n'
                'prompt = "portrait of a young woman, blue eyes, cinematic"\n'
                "image = pipe(prompt=prompt, prior_num_inference_steps=2, num_inference_steps=3, "
                "prior_guidance_scale=1.0, height=64, width=64).images[0]\n```",
            ),
            downloads=41_903,
            likes=97,
            created_at="2023-07-06T18:30:00.000Z",
        ),
        generator(
            third,
            kandinsky_3,
            card(
                {"license": "apache-2.0", "tags": ["text-to-image"], "inference": False, "datasets": ["private"]},
                "# Kandinsky 3",
                snippet_with_variables(
                    third,
                    "a racoon reading in a library",
                    pipeline="AutoPipelineForText2Image",
                    num_inference_steps=3,
                    guidance_scale=3.0,
                    **SQUARE,
                ),
            ),
            downloads=8_340,
            likes=119,
            created_at="2023-11-22T12:00:00.000Z",
        ),
    ]
