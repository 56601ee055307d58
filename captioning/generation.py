"""Generation: the settings with which captions are generated, the same for every captioner where possible."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from workspace.errors import CommunityForensicsError
from workspace.number_text import counted


@dataclass(frozen=True)
class Generation:
    """How captions are generated; all of it is in the recipe. The values are those of LAVIS's `blip_caption`.

    `prompt` and `min_length` are used by BLIP only: it was fine-tuned with that prompt, and without a minimum it ends
    after two words. Lengths are in tokens. BLIP's lengths include the decoder's start token and the prompt, as its
    authors count; other captioners generate up to `max_length` new tokens.
    """

    prompt: str = "a picture of"
    num_beams: int = 3
    max_length: int = 30
    min_length: int = 10
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0


@contextmanager
def out_of_memory_reported(device: Any, images: int) -> Iterator[None]:
    """A block that captions `images` images; raises `CommunityForensicsError` when the device's memory is too small."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CommunityForensicsError(
            f"{device} has too little memory for {counted(images, 'image')} in one call: "
            "use a smaller --batch-size in a new --workspace"
        ) from error
