"""The checker's arithmetic at its limits: an image is judged alone, and a score above zero is a flag."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPImageProcessorPil

from demo.zoo.safety import feature_extractor, safety_checker
from samplers.child.safety import CheckerError, SafetyChecker
from tests.scale import scaled

_NEVER = 2.0
#: Of an image over a threshold, on both sides of what rounds to a thousandth.
EXCESSES = scaled([-0.004, 0.0004, 0.0006, 0.006], [-0.004, -0.0004, 0.0, 0.0004, 0.0006, 0.004, 0.006])
_NOISE = np.random.default_rng(3)
IMAGES = [
    (_NOISE.integers(0, 60, (40, 48, 3)) + shade).clip(0, 255).astype(np.uint8) for shade in (10, 120, (200, 20, 90))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checker with random concepts, none of which is near anything."""
    checker = safety_checker()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in ("concept_embeds", "special_care_embeds"):
            tensor = getattr(checker, name)
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
            getattr(checker, f"{name}_weights").fill_(_NEVER)
    place = tmp_path_factory.mktemp("checker") / "checker"
    checker.save_pretrained(place)
    feature_extractor().save_pretrained(place)
    return place


def changed(folder: Path, place: Path, change: Callable[[Any], None]) -> Path:
    checker = StableDiffusionSafetyChecker.from_pretrained(folder)
    with torch.no_grad():
        change(checker)
    checker.save_pretrained(place)
    feature_extractor().save_pretrained(place)
    return place


def pixel_values(folder: Path) -> torch.Tensor:
    pictures = [Image.fromarray(image).convert("RGB") for image in IMAGES]
    return CLIPImageProcessorPil.from_pretrained(folder)(images=pictures, return_tensors="pt").pixel_values


def cosines(folder: Path, concepts: str) -> npt.NDArray[np.float32]:
    checker = StableDiffusionSafetyChecker.from_pretrained(folder).eval()
    with torch.no_grad():
        embeddings = checker.visual_projection(checker.vision_model(pixel_values(folder))[1])
        normalize = torch.nn.functional.normalize
        return (normalize(embeddings) @ normalize(getattr(checker, concepts)).t()).numpy()


def flags_of_diffusers(folder: Path) -> list[bool]:
    reference = StableDiffusionSafetyChecker.from_pretrained(folder).eval()
    return reference(clip_input=pixel_values(folder), images=[image.copy() for image in IMAGES])[1]


def test_special_care_for_one_image_leaves_its_neighbours_as_they_are(folder: Path, tmp_path: Path) -> None:
    special = cosines(folder, "special_care_embeds")[:, 0]
    nearest = int(special.argmax())
    assert np.sort(special)[-1] - np.sort(special)[-2] > 0.002

    def near_one(checker: Any) -> None:
        checker.special_care_embeds_weights[0] = float(np.sort(special)[-2:].mean())

    judged = SafetyChecker(changed(folder, tmp_path / "checker", near_one), "cpu").check(IMAGES)
    alone = SafetyChecker(folder, "cpu").check(IMAGES)
    differences = [round(one.score - other.score, 3) for one, other in zip(judged, alone, strict=True)]
    assert differences == [0.01 if number == nearest else 0.0 for number in range(len(IMAGES))]


@pytest.mark.parametrize("excess", EXCESSES)
def test_a_concept_counts_from_one_thousandth_on(folder: Path, tmp_path: Path, excess: float) -> None:
    concepts = cosines(folder, "concept_embeds")

    def near(checker: Any) -> None:
        checker.concept_embeds_weights[4] = float(concepts[0, 4]) - excess

    place = changed(folder, tmp_path / "checker", near)
    judged = SafetyChecker(place, "cpu").check(IMAGES[:1])[0]
    assert judged.score == pytest.approx(round(excess, 3), abs=1e-6)
    assert judged.flagged is flags_of_diffusers(place)[0] is (excess > 0.0005)


@pytest.mark.parametrize("excess", EXCESSES)
def test_special_care_counts_from_one_thousandth_on(folder: Path, tmp_path: Path, excess: float) -> None:
    special, concepts = cosines(folder, "special_care_embeds"), cosines(folder, "concept_embeds")

    def near(checker: Any) -> None:
        checker.special_care_embeds_weights[1] = float(special[0, 1]) - excess
        # Flagged with the hundredth that special care adds, and not without.
        checker.concept_embeds_weights[4] = float(concepts[0, 4]) + 0.0098

    place = changed(folder, tmp_path / "checker", near)
    judged = SafetyChecker(place, "cpu").check(IMAGES[:1])[0]
    assert judged.score == pytest.approx(0.0 if excess > 0.0005 else -0.01, abs=1e-6)

    def nearer(checker: Any) -> None:
        near(checker)
        checker.concept_embeds_weights[4] = float(concepts[0, 4]) + 0.008

    place = changed(folder, tmp_path / "nearer", nearer)
    assert SafetyChecker(place, "cpu").check(IMAGES[:1])[0].flagged is flags_of_diffusers(place)[0] is (excess > 0.0005)


def test_weights_of_half_precision_are_used_in_single_precision(folder: Path, tmp_path: Path) -> None:
    half = StableDiffusionSafetyChecker.from_pretrained(folder).half()
    half.save_pretrained(tmp_path / "half")
    half.float().save_pretrained(tmp_path / "single")
    for name in ("half", "single"):
        feature_extractor().save_pretrained(tmp_path / name)
    judged, expected = (SafetyChecker(tmp_path / name, "cpu").check(IMAGES) for name in ("half", "single"))
    assert judged == expected


def test_no_images_have_no_results(folder: Path) -> None:
    assert SafetyChecker(folder, "cpu").check([]) == []


def test_what_is_missing_is_named_in_order_and_at_most_five_times(tmp_path: Path) -> None:
    checker = safety_checker()
    weights = checker.state_dict()
    names = sorted(weights)[:7]
    checker.config.save_pretrained(tmp_path)
    feature_extractor().save_pretrained(tmp_path)
    torch.save({name: tensor for name, tensor in weights.items() if name not in names}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckerError, match=rf"\b7\b.*{', '.join(names[:5])}") as caught:
        SafetyChecker(tmp_path, "cpu")
    assert not any(name in str(caught.value) for name in names[5:])
