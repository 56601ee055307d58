"""Generation: how captions are generated, the same for every captioner where it can be."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from workspace.errors import CommunityForensicsError


@dataclass(frozen=True)
class Generation:
    """How captions are generated; all of it is in the recipe. The values are those of LAVIS's `blip_caption`.

    `prompt` and `min_length` are BLIP's alone: it was fine-tuned with that prompt, and otherwise ends after two words.
    Lengths are in tokens. BLIP's count the decoder's start token and the prompt, as its authors do; other captioners
    say up to `max_length` tokens of their own.
    """

    prompt: str = "a picture of"
    num_beams: int = 3
    max_length: int = 30
    min_length: int = 10
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0


@contextmanager
def enough_memory(device: Any, images: int) -> Iterator[None]:
    """Raise `CommunityForensicsError` when the device's memory is too small for what the block does."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CommunityForensicsError(
            f"{device} has too little memory for {images} images at once: "
            "use a smaller --batch-size in a new --workspace"
        ) from error
