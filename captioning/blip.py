"""BLIP by transformers: the default captioner.

Captions are generated as BLIP's authors do (`salesforce-lavis`, model `blip_caption`): three beams, and a decoder that
starts from "a picture of". BLIP was fine-tuned with these words; they are removed from the caption. Nothing is sampled
at random.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from captioning.generation import Generation, out_of_memory_reported
from captioning.loading import load


class Blip:
    """A loaded BLIP; a `captioning.captioner.Captioner`."""

    def __init__(self, folder: Path, device: str, generation: Generation) -> None:
        """Load from a folder of files onto a device; errors as `captioning.loading.load`."""
        self._loaded = load(folder, device)
        self.device = str(self._loaded.device)
        self.target_size = self._loaded.preprocessing.target_size
        self._generation = generation
        # The last token is the end token, which BLIP's own `generate` removes; the first one becomes the start token.
        self._prompt: list[int] = self._loaded.tokenizer(generation.prompt)["input_ids"]

    def caption(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when the device's memory is too small."""
        import torch

        loaded, settings = self._loaded, self._generation
        with out_of_memory_reported(loaded.device, len(images)), torch.inference_mode():
            prompt = torch.tensor([self._prompt] * len(images), device=loaded.device)
            tokens = loaded.model.generate(
                pixel_values=loaded.preprocessing.to_tensor(images).to(loaded.device, loaded.dtype),
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                num_beams=settings.num_beams,
                max_length=settings.max_length,
                min_length=settings.min_length,
                repetition_penalty=settings.repetition_penalty,
                length_penalty=settings.length_penalty,
            )
        generated = tokens[:, len(self._prompt) - 1 :]
        captions: list[str] = loaded.tokenizer.batch_decode(generated, skip_special_tokens=True)
        return captions
