"""Stable Diffusion's safety checker, applied to every image of every generator.

The checker compares an image's CLIP embedding with those of 17 concepts, each with a threshold of its own. When one of
3 concepts of special care is near, the thresholds of the others are lowered by 0.01. An image is flagged when its
cosine to any concept exceeds the threshold. The score is the largest excess, in the checker's own arithmetic (float32,
rounded to three decimals): so it is above 0 exactly where `StableDiffusionSafetyChecker.forward` flags the image.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samplers.child.failures import is_out_of_memory
from samplers.child.memory import free_memory
from samplers.child.pixel_checks import Pixels
from workspace.errors import in_one_line

#: Added to every excess when a concept of special care is near (StableDiffusionSafetyChecker.forward).
_SPECIAL_CARE = np.float32(0.01)


class CheckerError(Exception):
    """There is no working safety checker, so nothing may be sampled."""


@dataclass(frozen=True)
class SafetyResult:
    """The checker's result for one image."""

    flagged: bool
    score: float
    """Largest (cosine - threshold) over the concepts; above 0 is flagged."""


class SafetyChecker:
    """The checker, loaded and complete."""

    def __init__(self, folder: Path, device: str) -> None:
        """Load from `folder`: safetensors if present, else a pickle with `weights_only`.

        Raises `CheckerError` when it cannot be loaded, or a tensor is missing: thresholds would then be arbitrary.
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
            raise CheckerError(f"the safety checker does not load: {in_one_line(error)}") from error
        missing = sorted(loading["missing_keys"]) + sorted(str(key) for key in loading["mismatched_keys"])
        if missing:
            tensors = "tensor" if len(missing) == 1 else "tensors"
            raise CheckerError(f"the safety checker lacks {len(missing)} {tensors}, such as {', '.join(missing[:5])}")
        self._model: Any = checker.to(device).eval()
        self._device = device

    def check(self, images: list[Pixels]) -> list[SafetyResult]:
        """The result for each image; raises `CheckerError` when the checker gives no finite scores.

        Where a generator leaves the checker no memory for all of them, they are checked one by one.
        """
        if not images:
            return []
        try:
            return self._check(images)
        except Exception as error:
            if len(images) == 1 or not is_out_of_memory(error):
                raise
        free_memory()
        return [result for image in images for result in self._check([image])]

    def _check(self, images: list[Pixels]) -> list[SafetyResult]:
        import torch
        from PIL import Image

        pictures = [Image.fromarray(image).convert("RGB") for image in images]
        pixel_values = self._processor(images=pictures, return_tensors="pt").pixel_values.to(self._device)
        with torch.no_grad():
            embeddings = self._model.visual_projection(self._model.vision_model(pixel_values)[1])
            special = _excess(embeddings, self._model.special_care_embeds, self._model.special_care_embeds_weights)
            concepts = _excess(embeddings, self._model.concept_embeds, self._model.concept_embeds_weights)
        near = (special.round(3) > 0).any(axis=1, keepdims=True)
        scores = (concepts + near * _SPECIAL_CARE).round(3).max(axis=1)
        if not np.isfinite(scores).all():
            raise CheckerError("the safety checker gives scores that are not finite: its weights are damaged")
        return [SafetyResult(flagged=bool(score > 0), score=float(score)) for score in scores]


def _excess(embeddings: Any, concepts: Any, thresholds: Any) -> Any:
    """Cosine minus threshold, float32, images x concepts."""
    from torch.nn.functional import normalize

    cosines = normalize(embeddings) @ normalize(concepts).t()
    return cosines.cpu().float().numpy() - thresholds.cpu().float().numpy()
