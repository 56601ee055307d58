"""The architecture of a generator in the study's terms: LatDiff, PixDiff, GAN or Other, with the evidence.

The classes of the components in model_index.json decide: with a decoder of latents (an autoencoder, a VQ model) it is
latent diffusion, with a denoiser and no decoder it is diffusion of pixels. If neither exists, the name of the pipeline
class and the tags decide.
"""

import re
from collections.abc import Iterable, Mapping

from crawler.catalog import Architecture

# Classes of diffusers that decode latents to pixels: AutoencoderKL, AutoencoderDC, VQModel, PaellaVQModel, ...
_DECODER = re.compile(r"Autoencoder|VQModel|VQGAN|VQVAE|ConsistencyDecoderVAE|VideoDecoder|Vae|VAE")
# Classes of diffusers that remove noise: UNet2DModel, StableCascadeUNet, SD3Transformer2DModel, ...
_DENOISER = re.compile(r"UNet|Unet|Transformer|DiT|UVit")
# Transformers for text are not denoisers.
_TEXT = re.compile(r"Tokenizer|Scheduler|Encoder|CLIP|T5|ForConditionalGeneration|ForCausalLM")
_GAN = re.compile(r"\bgan\b|gan\d*$|stylegan|biggan|generative-adversarial", re.IGNORECASE)


def architecture_of(
    components: Mapping[str, tuple[str, str]], class_name: str | None, tags: Iterable[str]
) -> tuple[Architecture, str]:
    """The architecture of a generator, and the evidence in words.

    `components` as `crawler.model_index` reads them, `class_name` of the pipeline; without a model_index.json they are
    empty and None.
    """
    decoder = _first(components, _DECODER)
    denoiser = next(
        (f"{name} {cls}" for name, (_, cls) in components.items() if _DENOISER.search(cls) and not _TEXT.search(cls)),
        None,
    )
    # Some denoisers have other names (WuerstchenDiffNeXt); a scheduler implies that there is one.
    denoiser = denoiser or _first(components, re.compile("Scheduler"))
    if denoiser is not None and decoder is not None:
        return "LatDiff", f"{denoiser} works in the latent space of {decoder}"
    if denoiser is not None:
        return "PixDiff", f"{denoiser} and no component that decodes latents"
    gan = next((word for word in (class_name or "", *tags) if _GAN.search(word)), None)
    if gan is not None:
        return "GAN", f"{gan!r} names an adversarial network"
    if components:
        return "Other", "no component that denoises: " + ", ".join(cls for _, cls in components.values())
    return "Other", "no model_index.json that names components"


def _first(components: Mapping[str, tuple[str, str]], pattern: re.Pattern[str]) -> str | None:
    return next((f"{name} {cls}" for name, (_, cls) in components.items() if pattern.search(cls)), None)
