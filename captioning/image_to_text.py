"""Any other captioner of transformers: an image-to-text model that needs no prompt, such as BLIP-2, GIT or ViT-GPT2.

transformers takes the model's class from its configuration. Whether the model needs a text beside the image is tried on
one image when it is loaded.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from captioning.generation import Generation, out_of_memory_reported
from captioning.loading import load
from workspace.errors import CommunityForensicsError, UsageError, in_one_line


class ImageToText:
    """A loaded captioner that is given images only; a `captioning.captioner.Captioner`."""

    def __init__(self, folder: Path, device: str, generation: Generation) -> None:
        """Load from a folder of files onto a device; errors as `captioning.loading.load`.

        Raises `UsageError` as well when the model cannot caption an image without a text.
        """
        self._loaded = load(folder, device)
        self.device = str(self._loaded.device)
        self.target_size = self._loaded.preprocessing.target_size
        self._generation = generation
        try:
            self.caption([np.asarray(self.target_size.resize(Image.new("RGB", (64, 64))))])
        except CommunityForensicsError:
            raise
        # Each model raises an error of its own when an input is missing.
        except Exception as error:
            name = type(self._loaded.model).__name__
            raise UsageError(
                f"{folder}: {name} does not caption an image without a text ({in_one_line(error, 220)}): "
                "name another --captioner"
            ) from error

    def caption(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when the device's memory is too small."""
        import torch

        loaded, settings = self._loaded, self._generation
        with out_of_memory_reported(loaded.device, len(images)), torch.inference_mode():
            tokens = loaded.model.generate(
                pixel_values=loaded.preprocessing.to_tensor(images).to(loaded.device, loaded.dtype),
                do_sample=False,
                num_beams=settings.num_beams,
                max_new_tokens=settings.max_length,
                repetition_penalty=settings.repetition_penalty,
                length_penalty=settings.length_penalty,
            )
        captions: list[str] = loaded.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return captions
