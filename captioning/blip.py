"""BLIP by transformers: the captioner that is used by default.

Captions are generated as BLIP's authors do (`salesforce-lavis`, model `blip_caption`): the decoder is given "a
picture of", which it was fine-tuned with and which is no part of the caption, and a beam of three. Nothing is drawn
at random. The weights may be a pickle: it is read with `weights_only`, from a folder, so that transformers asks
nobody for another copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt

from captioning.preprocessing import Preprocessing
from workspace.errors import CommunityForensicsError, UsageError


@dataclass(frozen=True)
class Generation:
    """How captions are generated; all of it is in the recipe. The values are those of LAVIS's `blip_caption`.

    Lengths are in tokens and count the decoder's start token and the prompt. min_length is there because BLIP otherwise
    ends after two words.
    """

    prompt: str = "a picture of"
    num_beams: int = 3
    max_length: int = 30
    min_length: int = 10
    repetition_penalty: float = 1.0
    length_penalty: float = 1.0


class Blip:
    """A loaded BLIP; a `captioning.captioner.Captioner`."""

    def __init__(self, folder: Path, device: str, generation: Generation) -> None:
        """Load from a folder of files onto a device ("cpu", "cuda", "cuda:1", ...), in bfloat16 on CUDA.

        Raises `UsageError` when the folder does not hold a whole BLIP.
        """
        import torch
        from transformers import AutoTokenizer, BlipForConditionalGeneration
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._device = torch.device(device)
        # On a CPU bfloat16 is slower; elsewhere than on CUDA it is not known to work.
        self._dtype = torch.bfloat16 if self._device.type == "cuda" else torch.float32
        try:
            self._preprocessing = Preprocessing(folder)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, found = BlipForConditionalGeneration.from_pretrained(
                folder, dtype=self._dtype, local_files_only=True, weights_only=True, output_loading_info=True
            )
        except UnpicklingError as error:
            raise UsageError(
                f"{folder} cannot be loaded as BLIP: its weights are damaged or more than weights"
            ) from error
        # Damaged files fail in as many ways as there are files.
        except Exception as error:
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            raise UsageError(f"{folder} cannot be loaded as BLIP ({said})") from error
        # transformers draws missing weights at random, and says so in a warning only.
        if found["missing_keys"]:
            raise UsageError(f"{folder} is not a whole BLIP: weights are missing, such as {min(found['missing_keys'])}")
        self._model: Any = model.to(self._device).eval()
        self.sight = self._preprocessing.sight
        self._generation = generation
        # The last token is the end mark, which BLIP's own `generate` takes off; the first becomes the start mark.
        self._prompt: list[int] = self._tokenizer(generation.prompt)["input_ids"]

    def caption(self, views: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when the device's memory is too small."""
        import torch

        pixels = self._preprocessing.pixels(views).to(self._device, self._dtype)
        prompt = torch.tensor([self._prompt] * len(views), device=self._device)
        settings = self._generation
        try:
            with torch.inference_mode():
                tokens = self._model.generate(
                    pixel_values=pixels,
                    input_ids=prompt,
                    attention_mask=torch.ones_like(prompt),
                    do_sample=False,
                    num_beams=settings.num_beams,
                    max_length=settings.max_length,
                    min_length=settings.min_length,
                    repetition_penalty=settings.repetition_penalty,
                    length_penalty=settings.length_penalty,
                )
        except torch.OutOfMemoryError as error:
            raise CommunityForensicsError(
                f"{self._device} has too little memory for {len(views)} images at once: "
                "use a smaller --batch-size in a new --workspace"
            ) from error
        captions: list[str] = self._tokenizer.batch_decode(tokens[:, len(self._prompt) - 1 :], skip_special_tokens=True)
        return captions


def resolve_device(device: str) -> str:
    """The device to use: "auto" is CUDA where there is one. Raises `UsageError` for a device that is not there."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device}: {str(error).splitlines()[0]}") from error
    return device
