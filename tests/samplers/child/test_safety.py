from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samplers.child.pixel_checks import Pixels
from samplers.child.safety import CheckerError, SafetyChecker


def _images() -> list[Pixels]:
    noise = np.random.default_rng(0)
    shades = [noise.integers(0, 256, (3,)) for _ in range(24)]
    return [(noise.integers(0, 60, (40, 48, 3)) + shade).clip(0, 255).astype(np.uint8) for shade in shades] + [
        noise.integers(0, 256, (33, 32), dtype=np.uint8)
    ]


def _save(folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, pickled: bool = True) -> Path:
    """A checker with random concepts, some of which are near every image."""
    from demo.zoo.safety import feature_extractor, safety_checker

    checker = safety_checker()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name in ("concept_embeds", "special_care_embeds"):
            tensor = getattr(checker, name)
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
        checker.concept_embeds_weights.fill_(0.62)
        checker.special_care_embeds_weights.fill_(0.55)
    folder.mkdir()
    feature_extractor().save_pretrained(folder)
    if pickled:
        weights = checker.state_dict()
        change(weights)
        checker.config.save_pretrained(folder)
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        checker.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pickled", [True, False])
def test_it_flags_what_the_checker_of_diffusers_flags(tmp_path: Path, pickled: bool) -> None:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from PIL import Image
    from transformers import CLIPImageProcessorPil

    folder = _save(tmp_path / "checker", pickled=pickled)
    images = _images()
    results = SafetyChecker(folder, "cpu").check(images)
    reference = StableDiffusionSafetyChecker.from_pretrained(folder, use_safetensors=not pickled)
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pictures = [Image.fromarray(image).convert("RGB") for image in images]
    pixel_values = processor(images=pictures, return_tensors="pt").pixel_values
    _, flags = reference(clip_input=pixel_values, images=[image.copy() for image in images])
    assert 0 < sum(flags) < len(flags)
    assert [each.flagged for each in results] == flags
    assert [each.score > 0 for each in results] == flags


def test_special_care_makes_the_others_stricter(tmp_path: Path) -> None:
    def never(weights: dict[str, Any]) -> None:
        weights["special_care_embeds_weights"].fill_(2)

    def always(weights: dict[str, Any]) -> None:
        weights["special_care_embeds_weights"].fill_(-2)

    images = _images()
    lax = SafetyChecker(_save(tmp_path / "lax", never), "cpu").check(images)
    strict = SafetyChecker(_save(tmp_path / "strict", always), "cpu").check(images)
    assert [round(b.score - a.score, 3) for a, b in zip(lax, strict, strict=True)] == pytest.approx(
        [0.01] * len(images), abs=0.0011
    )


@pytest.mark.parametrize("tensor", ["concept_embeds_weights", "special_care_embeds", "visual_projection.weight"])
def test_a_checker_with_a_missing_tensor_is_refused(tmp_path: Path, tensor: str) -> None:
    folder = _save(tmp_path / "checker", lambda weights: weights.pop(tensor))
    with pytest.raises(CheckerError, match=rf"lacks 1 tensor, such as {tensor}"):
        SafetyChecker(folder, "cpu")


def test_a_pickle_that_is_more_than_weights_is_refused_and_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "the-payload-ran"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (ran,))

    folder = _save(tmp_path / "checker", lambda weights: weights.update(extra=Payload()))
    with pytest.raises(CheckerError, match="does not load"):
        SafetyChecker(folder, "cpu")
    assert not ran.exists()


def test_a_damaged_checker_accepts_no_image(tmp_path: Path) -> None:
    folder = _save(tmp_path / "checker", lambda weights: weights["visual_projection.weight"].fill_(float("nan")))
    with pytest.raises(CheckerError, match="not finite"):
        SafetyChecker(folder, "cpu").check(_images()[:1])


def test_an_empty_folder_is_not_a_checker(tmp_path: Path) -> None:
    with pytest.raises(CheckerError, match="does not load"):
        SafetyChecker(tmp_path, "cpu")


@pytest.mark.parametrize(("excess", "lowered"), [(0.0003, False), (0.0007, True)])
def test_special_care_counts_from_half_a_thousandth_on(tmp_path: Path, excess: float, lowered: bool) -> None:
    """The excess is rounded to three decimals before it is compared with zero, as in diffusers."""
    from PIL import Image
    from torch.nn.functional import normalize

    (image,) = _images()[:1]
    checker = SafetyChecker(_save(tmp_path / "checker"), "cpu")
    model = checker._model
    pixel_values = checker._processor(images=[Image.fromarray(image)], return_tensors="pt").pixel_values
    with torch.no_grad():
        embedding = model.visual_projection(model.vision_model(pixel_values)[1])
        cosines = normalize(embedding) @ normalize(model.special_care_embeds).t()
        model.special_care_embeds_weights.fill_(2)
        plain = checker.check([image])[0].score
        model.special_care_embeds_weights.fill_(float(cosines.max()) - excess)
        score = checker.check([image])[0].score
    assert score - plain == pytest.approx(0.01 if lowered else 0.0, abs=0.0011 if lowered else 1e-6)


def test_where_memory_is_short_images_are_checked_one_by_one(tmp_path: Path) -> None:
    judge, images = SafetyChecker(_save(tmp_path / "checker"), "cpu"), _images()
    expected = judge.check(images)
    sizes: list[int] = []

    def narrow(_: Any, arguments: tuple[Any, ...]) -> None:
        sizes.append(len(arguments[0]))
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("no room")

    judge._model.vision_model.register_forward_pre_hook(narrow)
    assert judge.check(images) == expected
    assert sizes == [len(images)] + [1] * len(images)
