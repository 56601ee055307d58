"""The cost of a generator: an estimate from its catalogue row and the recipe alone, before a byte is downloaded.

Generators are assigned to shards by it, so it must be the same on every node at any time: it uses no clock, no device
and no measurement. Only ratios matter for that. The unit is the second of a nominal device (`FLOPS`); times that are
shown to a person are corrected by what was measured (`pace`).

An image costs its denoising steps and its decoding. A step is a pass over all weights of the denoiser at every position
of the latent image (two passes with classifier-free guidance), or the time to launch the kernels, whichever is longer.
The decoder works on every pixel. The number of weights follows from the bytes of the files. Text encoder and safety
checker are below 1 % and neglected. Loading costs the bytes. The constants reproduce the measured shares: 25 steps of
Stable Diffusion 1.5 spend 94 % of the arithmetic in the denoiser, four steps without guidance (LCM) 56 %, Flux 99 %.
"""

from dataclasses import dataclass, replace

from crawler.catalog import CatalogEntry, Hyperparameters, denoiser_files, own_weights

#: Operations a second of the nominal device: one on which Stable Diffusion 1.5 makes an image in 25 steps in a second,
#: within the 0.4 to 1.2 s of the GPUs that campaigns are planned for.
FLOPS = 40e12
#: Bytes a second at which files in the page cache are loaded as a pipeline, about the speed of reading them.
LOAD_BYTES = 1e9
#: Seconds to launch one pass of a denoiser, however small it is: about 2,000 kernels of 10 microseconds. So tiny
#: models with a thousand steps are not cheaper than large ones.
PASS_SECONDS = 0.02
#: One latent encodes 8 x 8 pixels.
_PIXELS_A_LATENT = 64
#: Positions of its input at which one weight is used, as a share. A U-Net has most weights where the image is small:
#: 0.8e12 operations for 0.86e9 weights at 4,096 latents (Stable Diffusion 1.5). A transformer uses all of them at every
#: patch of 2 x 2.
_UNET_POSITIONS, _TRANSFORMER_POSITIONS = 0.8e12 / (2 * 0.86e9 * 4096), 1 / 4
#: Operations a pixel of decoding latents: 2.5e12 for 512 x 512 (Stable Diffusion's autoencoder).
_DECODER_FLOP = 2.5e12 / 512**2

#: Defaults of most pipelines, where the catalogue names no value.
_STEPS = 50
_SIDE_OF_UNET, _SIDE_OF_TRANSFORMER, _SIDE_OF_PIXELS = 512, 1024, 64

#: Architectures without a decoder of latent images.
_IN_PIXELS = ("PixDiff", "GAN")
#: Pipelines that take the guidance scale as an input and need no second pass for it.
_GUIDED_IN_ONE_PASS = ("Flux", "LatentConsistencyModel")
#: Bytes of a weight where the variant does not tell: U-Nets are published in float32, transformers in bfloat16.
_FULL, _HALF = 4, 2


@dataclass(frozen=True)
class Cost:
    """Seconds of the nominal device."""

    load: float
    """To load it, once."""
    image: float
    """To sample one image."""

    def seconds(self, images: int) -> float:
        """To load it and sample `images`; 0 for no images."""
        return self.load + self.image * images if images else 0.0


def with_settings(entry: CatalogEntry, settings: Hyperparameters) -> CatalogEntry:
    """The row with other hyperparameters; itself where they are its own, as those of most of thousands are."""
    return entry if settings is entry.hyperparameters else replace(entry, hyperparameters=settings)


def cost_of(entry: CatalogEntry, *, batch_size: int) -> Cost:
    """The cost of one generator, its row with the user's settings applied; `batch_size` is the recipe's."""
    loaded = entry.all_files
    denoiser = denoiser_files(loaded) if entry.program is None else own_weights(entry)
    transformer = any("transformer" in file.folder for file in denoiser)
    half = transformer or entry.variant in ("fp16", "bf16")
    weights = sum(file.size for file in denoiser) / (_HALF if half else _FULL)
    in_pixels = entry.architecture in _IN_PIXELS
    pixels = pixels_of(entry)
    positions = pixels / (1 if in_pixels else _PIXELS_A_LATENT)
    pass_flop = 2 * weights * positions * (_TRANSFORMER_POSITIONS if transformer else _UNET_POSITIONS)
    taken = 1 if entry.architecture == "GAN" else entry.hyperparameters.num_inference_steps or _STEPS
    denoising = max(taken * _passes(entry) * pass_flop / FLOPS, taken * PASS_SECONDS / batch_size)
    decoding = 0.0 if in_pixels else _DECODER_FLOP * pixels / FLOPS
    return Cost(load=sum(file.size for file in loaded) / LOAD_BYTES, image=denoising + decoding)


def _passes(entry: CatalogEntry) -> int:
    """Passes of the denoiser in one step: classifier-free guidance computes every step with and without the prompt."""
    scale = entry.hyperparameters.guidance_scale
    in_one = (entry.hf_diffusers_tag or "").startswith(_GUIDED_IN_ONE_PASS)
    return 2 if scale is not None and scale > 1 and not in_one else 1


def pixels_of(entry: CatalogEntry) -> int:
    """Pixels of an image: as the catalogue says, else as most pipelines of its kind have it."""
    transformer = any("transformer" in file.folder for file in denoiser_files(entry.all_files))
    in_pixels = entry.architecture in _IN_PIXELS
    side = _SIDE_OF_PIXELS if in_pixels else _SIDE_OF_TRANSFORMER if transformer else _SIDE_OF_UNET
    height, width = entry.hyperparameters.height, entry.hyperparameters.width
    return (height or width or side) * (width or height or side)
