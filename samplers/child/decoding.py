"""Recording the last step of a latent pipeline: how long decoding takes, in which dtype, and from which latents.

Calls of `decode` of every model of a pipeline are recorded while the pipeline is called. This makes it possible to
repair what 16 bits cannot represent: where an image is NaN although its latents are finite, the latents of that image
are decoded again in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samplers.child.clock import Clock
from samplers.child.failures import is_out_of_memory


@dataclass(frozen=True)
class Decode:
    """One call of a decoder."""

    decoder: Any
    latents: Any
    dtype: str
    """float32 | float16 | bfloat16, in which it decoded"""


@contextmanager
def recorded(pipeline: Any, clock: Clock) -> Iterator[list[Decode]]:
    """Record the decoders' calls of `pipeline` in the list, and count their time in `clock` as `decode`."""
    import torch

    decodes: list[Decode] = []
    decoders = [
        component
        for component in pipeline.components.values()
        if isinstance(component, torch.nn.Module) and callable(getattr(component, "decode", None))
    ]
    for decoder in decoders:
        decoder.decode = _recording(decoder, clock, decodes)
    try:
        yield decodes
    finally:
        for decoder in decoders:
            # This uncovers the method of the class.
            del decoder.decode


def decode_again(pipeline: Any, images: list[npt.NDArray[Any]], decodes: list[Decode], clock: Clock) -> set[int]:
    """Replace images that are NaN by their latents decoded in float32; returns the numbers of the replaced ones.

    Only for the usual kind of pipeline: one decode of the whole batch by `vae`, and an `image_processor`.
    """
    broken = [number for number, image in enumerate(images) if not np.isfinite(image).all()]
    vae = getattr(pipeline, "vae", None)
    usual = len(decodes) == 1 and decodes[0].decoder is vae and hasattr(pipeline, "image_processor")
    if not broken or not usual or decodes[0].dtype == "float32" or len(decodes[0].latents) != len(images):
        return set()
    vae, latents, dtype = decodes[0].decoder, decodes[0].latents, decodes[0].decoder.dtype
    replaced = set()
    try:
        for number in broken:
            if not latents[number].isfinite().all():
                continue
            with clock("decode"):
                vae.float()
                decoded = vae.decode(latents[number : number + 1].float(), return_dict=False)[0]
                image = pipeline.image_processor.postprocess(decoded, output_type="np")[0]
            if np.isfinite(image).all() and image.shape == images[number].shape:
                images[number] = image
                replaced.add(number)
    except Exception as error:
        # A VAE of another kind: its image stays NaN.
        if is_out_of_memory(error):
            raise
    finally:
        # From 16 bits to 32 and back: no value changes.
        vae.to(dtype)
    return replaced


def _recording(decoder: Any, clock: Clock, decodes: list[Decode]) -> Any:
    decode = decoder.decode

    def recording(latents: Any, *arguments: Any, **named: Any) -> Any:
        decodes.append(Decode(decoder, latents, str(decoder.dtype).removeprefix("torch.")))
        _wait_for_device(latents)
        with clock("decode"):
            decoded = decode(latents, *arguments, **named)
            _wait_for_device(latents)
        return decoded

    return recording


def _wait_for_device(tensor: Any) -> None:
    """Wait until the GPU has finished: its calls are asynchronous, and pending work belongs to the phase before."""
    import torch

    if getattr(tensor, "is_cuda", False):
        torch.cuda.synchronize(tensor.device)
