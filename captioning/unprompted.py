"""Any other captioner of transformers that says something of an image without being asked: BLIP-2, GIT, ViT-GPT2, ...

transformers knows from its configuration which class it is. Whether it needs a text beside the image, which is code
that is not written here, is tried out on one image when it is loaded.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from captioning.generation import Generation, enough_memory
from captioning.loading import load
from workspace.errors import CommunityForensicsError, UsageError


class Unprompted:
    """A loaded captioner that is given nothing but images; a `captioning.captioner.Captioner`."""

    def __init__(self, folder: Path, device: str, generation: Generation) -> None:
        """Load from a folder of files onto a device; errors as `captioning.loading.load`.

        Raises `UsageError` as well when the model does not caption an image that comes alone.
        """
        self._loaded = load(folder, device)
        self.target_size = self._loaded.preprocessing.target_size
        self._generation = generation
        try:
            self.caption([np.asarray(self.target_size.of(Image.new("RGB", (64, 64))))])
        except CommunityForensicsError:
            raise
        # What a model says when something is missing is its own affair.
        except Exception as error:
            name, said = type(self._loaded.model).__name__, " ".join(str(error).split())
            raise UsageError(
                f"{folder}: {name} does not caption an image without a text ({type(error).__name__}: {said[:200]})"
            ) from error

    def caption(self, views: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when the device's memory is too small."""
        import torch

        loaded, settings = self._loaded, self._generation
        with enough_memory(loaded.device, len(views)), torch.inference_mode():
            tokens = loaded.model.generate(
                pixel_values=loaded.preprocessing.pixels(views).to(loaded.device, loaded.dtype),
                do_sample=False,
                num_beams=settings.num_beams,
                max_new_tokens=settings.max_length,
                repetition_penalty=settings.repetition_penalty,
                length_penalty=settings.length_penalty,
            )
        captions: list[str] = loaded.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return captions
