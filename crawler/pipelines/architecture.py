"""The architecture, in the study's terms: LatDiff, PixDiff, GAN or Other, and what that is known from.

Decided from the components that model_index.json names, by their classes: something that decodes latents (an
autoencoder, a VQ model) means that diffusion happens in its space; a denoiser without one works on pixels. Only
where neither is found do words decide: the class's name and the tags.
"""

import re
from collections.abc import Iterable, Mapping

from crawler.catalog import Architecture

# Classes of diffusers that turn latents into pixels: AutoencoderKL, AutoencoderDC, VQModel, PaellaVQModel, ...
_DECODER = re.compile(r"Autoencoder|VQModel|VQGAN|VQVAE|ConsistencyDecoderVAE|VideoDecoder|Vae|VAE")
# Classes of diffusers that take noise away: UNet2DModel, StableCascadeUNet, SD3Transformer2DModel, ...
_DENOISER = re.compile(r"UNet|Unet|Transformer|DiT|UVit")
# A transformer that reads text is no denoiser.
_TEXT = re.compile(r"Tokenizer|Scheduler|Encoder|CLIP|T5|ForConditionalGeneration|ForCausalLM")
_GAN = re.compile(r"\bgan\b|gan\d*$|stylegan|biggan|generative-adversarial", re.IGNORECASE)


def architecture_of(
    components: Mapping[str, tuple[str, str]], class_name: str | None, tags: Iterable[str]
) -> tuple[Architecture, str]:
    """The architecture of a generator, and the evidence in words.

    `components` maps a component's name to library and class, as model_index.json states them; `class_name` is the
    pipeline's; both may be empty where there is no such file.
    """
    decoder = _first(components, _DECODER)
    denoiser = next(
        (f"{name} {cls}" for name, (_, cls) in components.items() if _DENOISER.search(cls) and not _TEXT.search(cls)),
        None,
    )
    # Some denoisers have names of their own (WuerstchenDiffNeXt); the scheduler says that there is one.
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
