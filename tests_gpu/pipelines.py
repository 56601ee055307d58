"""Pipelines with random weights: tiny ones of the demo's zoo, and two as large as people sample.

Random weights compute for as long and take as much memory as trained ones. On a CPU the large ones are tiny too.
"""

import json
from pathlib import Path
from typing import Any

import torch

from demo.zoo.building import quiet_libraries
from demo.zoo.components import attentive, expose, spread
from demo.zoo.flow_transformers import flow_scheduler
from demo.zoo.flow_transformers import flux as zoo_flux
from demo.zoo.repository import seeded
from demo.zoo.safety import feature_extractor, safety_checker
from demo.zoo.stable_diffusion import base_unet, pipeline, scheduler
from demo.zoo.tokenizers import clip_tokenizer, t5_tokenizer

#: The VAE of Stable Diffusion and, with sixteen channels, of Flux.
_VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}


def checker(folder: Path, device: str) -> None:
    """A safety checker; on a GPU as large as the one that is used (CLIP ViT-L/14), which flags nothing."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil

    if device == "cpu":
        safety_checker().save_pretrained(folder)
        feature_extractor().save_pretrained(folder)
        return
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
    }
    with torch.device(device), seeded("checker"):
        made = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768))
    with torch.no_grad():
        made.concept_embeds.normal_()
        made.special_care_embeds.normal_()
    made.save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)


def tiny(folder: Path) -> Path:
    """Stable Diffusion, tiny, in float32."""
    return _saved(pipeline(base_unet()), folder)


def tiny_flux(folder: Path) -> Path:
    """Flux, tiny, in bfloat16."""
    with seeded("flux"):
        made = zoo_flux()
    return _saved(made.to(torch.bfloat16), folder)


def asserting(folder: Path) -> Path:
    """Stable Diffusion whose tokenizer has more tokens than its text encoder has rows: on a CPU an IndexError, in a
    kernel of a GPU an assertion that fails. Repositories of this kind are on the Hub."""
    made = pipeline(base_unet())
    embedding = made.text_encoder.get_input_embeddings()
    made.text_encoder.set_input_embeddings(torch.nn.Embedding.from_pretrained(embedding.weight[:8].detach()))
    made.text_encoder.config.vocab_size = 8
    return _saved(made, folder)


def stable_diffusion(folder: Path, device: str) -> Path:
    """As large as Stable Diffusion 1.5 (860 million weights in its U-Net), in float16."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

    if device == "cpu":
        return tiny(folder)
    with torch.device(device), seeded("Stable Diffusion 1.5"):
        vae = AutoencoderKL(latent_channels=4, **_VAE)
        expose(vae.decoder.conv_out)
        made = StableDiffusionPipeline(
            unet=attentive(UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)),
            vae=vae,
            text_encoder=_clip(),
            tokenizer=clip_tokenizer(),
            scheduler=scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return _saved(made.to(torch.float16), folder)


def flux(folder: Path, device: str) -> Path:
    """The widths of Flux with 2 of its 19 double and 4 of its 38 single blocks, and 8 of the 24 layers of its T5, in
    bfloat16: two models of about the same size, so that it matters whether both are on the device."""
    from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel
    from transformers import T5Config, T5EncoderModel

    if device == "cpu":
        return tiny_flux(folder)
    tokenizer = t5_tokenizer()
    t5 = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 8, "num_heads": 64}
    former = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device), seeded("Flux"):
            vae = AutoencoderKL(
                latent_channels=16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1159, **_VAE
            )
            expose(vae.decoder.conv_out)
            transformer = FluxTransformer2DModel(num_layers=2, num_single_layers=4, guidance_embeds=True)
            text_encoder_2 = T5EncoderModel(T5Config(vocab_size=len(tokenizer), feed_forward_proj="gated-gelu", **t5))
            text_encoder = _clip()
    finally:
        torch.set_default_dtype(former)
    made = FluxPipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer(),
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer,
        scheduler=flow_scheduler(shift=3.0, use_dynamic_shifting=True),
    )
    return _saved(made.to(torch.bfloat16), folder)


def size_of(folder: Path) -> dict[str, int]:
    """Sizes to ask the pipeline in `folder` for: tiny ones of Flux make 1024 × 1024 by default too, which takes a CPU
    minutes."""
    index = json.loads((folder / "model_index.json").read_text())
    transformer = folder / "transformer" / "config.json"
    is_tiny = transformer.exists() and json.loads(transformer.read_text())["num_layers"] == 1
    return {"height": 64, "width": 64} if is_tiny and index["_class_name"] == "FluxPipeline" else {}


def _clip() -> Any:
    """As large as CLIP's ViT-L/14 text encoder, for the zoo's tokenizer."""
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return spread(CLIPTextModel(config))


def _saved(made: Any, folder: Path) -> Path:
    with quiet_libraries():
        made.save_pretrained(folder)
    # As repositories name it, with or without torchvision.
    index = folder / "model_index.json"
    content = json.loads(index.read_text().replace("CLIPImageProcessorPil", "CLIPImageProcessor"))
    index.write_text(json.dumps(content))
    del made
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return folder
