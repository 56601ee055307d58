"""Stable Diffusion and what was written around its components: PAG, SAG, panoramas, safe and semantic guidance, ..."""

from collections.abc import Callable
from typing import Any

from demo.zoo.components import autoencoder, clip_text
from demo.zoo.latent_unets import latent_consistency
from demo.zoo.safety import feature_extractor, safety_checker
from demo.zoo.stable_diffusion import scheduler, unet
from tests.samplers.coverage.kind import Kind, sized


def components(**replaced: Any) -> dict[str, Any]:
    """What all of Stable Diffusion share."""
    text_encoder, tokenizer = clip_text()
    return {
        "unet": unet(),
        "text_encoder": text_encoder,
        "tokenizer": tokenizer,
        "vae": autoencoder(),
        "scheduler": scheduler(),
        "safety_checker": safety_checker(),
        "feature_extractor": feature_extractor(),
        **replaced,
    }


def of(class_name: str, **replaced: Callable[[], Any]) -> Callable[[], Any]:
    """A pipeline of that class; `replaced` are makers of components that differ."""

    def make() -> Any:
        import diffusers

        parts = components(**{name: maker() for name, maker in replaced.items()})
        return getattr(diffusers, class_name)(**parts)

    return make


def ddim() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)


def parallel() -> Any:
    """Steps that are taken several at a time."""
    from diffusers import DDIMParallelScheduler

    return DDIMParallelScheduler.from_config(ddim().config)


def gated() -> Any:
    """A UNet with layers that attend to boxes."""
    return unet(attention_type="gated")


KINDS = {
    "LatentConsistencyModelPipeline": Kind(latent_consistency),
    "SemanticStableDiffusionPipeline": Kind(of("SemanticStableDiffusionPipeline")),
    # Boxes and what stands in them are literals: a card may give them, and ours does.
    "StableDiffusionGLIGENPipeline": Kind(
        of("StableDiffusionGLIGENPipeline", unet=gated),
        asked={"gligen_phrases": ["a cake"], "gligen_boxes": [[0.2, 0.6, 0.5, 0.8]]},
    ),
    "StableDiffusionModelEditingPipeline": Kind(of("StableDiffusionModelEditingPipeline")),
    "StableDiffusionPAGPipeline": Kind(of("StableDiffusionPAGPipeline")),
    "StableDiffusionPanoramaPipeline": Kind(of("StableDiffusionPanoramaPipeline", scheduler=ddim), asked=sized(64)),
    "StableDiffusionParadigmsPipeline": Kind(of("StableDiffusionParadigmsPipeline", scheduler=parallel)),
    "StableDiffusionPipeline": Kind(of("StableDiffusionPipeline")),
    "StableDiffusionPipelineSafe": Kind(of("StableDiffusionPipelineSafe")),
    "StableDiffusionSAGPipeline": Kind(of("StableDiffusionSAGPipeline")),
}
