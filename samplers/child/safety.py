"""Stable Diffusion's safety checker, over every image of every generator.

The checker compares an image's CLIP embedding with those of 17 concepts, each with a threshold of its own; 3 concepts
of special care, when one of them is near, lower the thresholds of the others by 0.01. An image is flagged when its
cosine to any concept exceeds the threshold. The score kept is the largest excess, in the checker's own arithmetic
(float32, rounded to three decimals): so it is above 0 exactly where `StableDiffusionSafetyChecker.forward` flags.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.child.gate import Pixels

#: How much nearer every concept counts once one of special care is near (StableDiffusionSafetyChecker.forward).
_SPECIAL_CARE = np.float32(0.01)


class CheckerError(Exception):
    """There is no working checker, so nothing may be sampled."""


@dataclass(frozen=True)
class Judgement:
    """The checker's word on one image."""

    flagged: bool
    score: float
    """Largest (cosine - threshold) over the concepts; above 0 is flagged."""


class SafetyChecker:
    """The checker, loaded and complete."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load from `folder`: safetensors where there is one, else a pickle, read as weights only.

        Raises `CheckerError` when it cannot be loaded, or lacks a tensor: its thresholds would then be whatever lay
        in memory.
        """
        import torch
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
        from transformers import CLIPImageProcessorPil

        try:
            checker, loading = StableDiffusionSafetyChecker.from_pretrained(
                folder,
                use_safetensors=any(folder.glob("*.safetensors")),
                weights_only=True,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
            self._processor: Any = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            raise CheckerError(f"the safety checker does not load: {error}") from error
        missing = sorted(loading["missing_keys"]) + sorted(str(key) for key in loading["mismatched_keys"])
        if missing:
            raise CheckerError(f"the safety checker lacks {len(missing)} tensors, among them {', '.join(missing[:5])}")
        self._model: Any = checker.to(device).eval()
        self._device = device

    def judge(self, images: list[Pixels]) -> list[Judgement]:
        """The checker's word on each image; raises `CheckerError` when it has none."""
        import torch
        from PIL import Image

        if not images:
            return []
        pictures = [Image.fromarray(image).convert("RGB") for image in images]
        pixel_values = self._processor(images=pictures, return_tensors="pt").pixel_values.to(self._device)
        with torch.no_grad():
            embeddings = self._model.visual_projection(self._model.vision_model(pixel_values)[1])
            special = _excess(embeddings, self._model.special_care_embeds, self._model.special_care_embeds_weights)
            concepts = _excess(embeddings, self._model.concept_embeds, self._model.concept_embeds_weights)
        near = (special.round(3) > 0).any(axis=1, keepdims=True)
        scores = (concepts + near * _SPECIAL_CARE).round(3).max(axis=1)
        if not np.isfinite(scores).all():
            raise CheckerError("the safety checker gives scores that are not numbers: its weights are damaged")
        return [Judgement(flagged=bool(score > 0), score=float(score)) for score in scores]


def _excess(embeddings: Any, concepts: Any, thresholds: Any) -> Any:
    """Cosine minus threshold, float32, images x concepts."""
    from torch.nn.functional import normalize

    cosines = normalize(embeddings) @ normalize(concepts).t()
    return cosines.cpu().float().numpy() - thresholds.cpu().float().numpy()
