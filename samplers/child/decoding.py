"""The last step of a latent pipeline, watched: how long decoding takes, in which precision, and from what.

Any model of a pipeline that has a method `decode` is watched while the pipeline is called, and no longer. What is seen
allows to mend what 16 bits cannot hold: where a picture came out as NaN although its latents are finite, they are
decoded again, that image alone, in float32.
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
    """float32 | float16 | bfloat16: what it decoded in"""


@contextmanager
def watched(pipeline: Any, clock: Clock) -> Iterator[list[Decode]]:
    """Watch the decoders of `pipeline`; the list grows by each call of one, and `clock` counts it as `decode`."""
    import torch

    seen: list[Decode] = []
    decoders = [
        component
        for component in pipeline.components.values()
        if isinstance(component, torch.nn.Module) and callable(getattr(component, "decode", None))
    ]
    for decoder in decoders:
        decoder.decode = _watching(decoder, clock, seen)
    try:
        yield seen
    finally:
        for decoder in decoders:
            # The method of the class is there again.
            del decoder.decode


def mend(pipeline: Any, pictures: list[npt.NDArray[Any]], seen: list[Decode], clock: Clock) -> set[int]:
    """Replace pictures that are NaN by what float32 makes of their latents; returns which.

    Only where the pipeline is of the usual kind: one decode of the whole batch by `vae`, and an `image_processor`.
    """
    broken = [number for number, picture in enumerate(pictures) if not np.isfinite(picture).all()]
    fits = len(seen) == 1 and seen[0].decoder is getattr(pipeline, "vae", None) and hasattr(pipeline, "image_processor")
    if not broken or not fits or seen[0].dtype == "float32" or len(seen[0].latents) != len(pictures):
        return set()
    vae, latents, former = seen[0].decoder, seen[0].latents, seen[0].decoder.dtype
    mended = set()
    try:
        for number in broken:
            if not latents[number].isfinite().all():
                continue
            with clock("decode"):
                vae.float()
                decoded = vae.decode(latents[number : number + 1].float(), return_dict=False)[0]
                picture = pipeline.image_processor.postprocess(decoded, output_type="np")[0]
            if np.isfinite(picture).all() and picture.shape == pictures[number].shape:
                pictures[number] = picture
                mended.add(number)
    except Exception as error:
        # A VAE of another kind: its image stays what it was, NaN.
        if is_out_of_memory(error):
            raise
    finally:
        # 16 bits to 32 and back: no value changes.
        vae.to(former)
    return mended


def _watching(decoder: Any, clock: Clock, seen: list[Decode]) -> Any:
    decode = decoder.decode

    def watching(latents: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(Decode(decoder, latents, str(decoder.dtype).removeprefix("torch.")))
        _wait_for_device(latents)
        with clock("decode"):
            decoded = decode(latents, *arguments, **named)
            _wait_for_device(latents)
        return decoded

    return watching


def _wait_for_device(tensor: Any) -> None:
    """A GPU works behind the program's back: what it still has to do belongs to the phase before."""
    import torch

    if getattr(tensor, "is_cuda", False):
        torch.cuda.synchronize(tensor.device)
