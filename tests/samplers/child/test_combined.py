"""A decoder and its prior, from two folders, sample what the pipeline of both samples."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from demo.zoo.building import quiet_libraries
from demo.zoo.repository import seeded
from samplers.child.calling import Caller
from samplers.child.component_cache import ComponentCache
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from tests.samplers.child.making import assignment, save_stable_diffusion
from tests.samplers.coverage.cascades import KINDS
from tests.scale import scaled

PAIRS = {
    "KandinskyCombinedPipeline": ("KandinskyPipeline", "KandinskyPriorPipeline"),
    "KandinskyV22CombinedPipeline": ("KandinskyV22Pipeline", "KandinskyV22PriorPipeline"),
    "StableCascadeCombinedPipeline": ("StableCascadeDecoderPipeline", "StableCascadePriorPipeline"),
    "WuerstchenCombinedPipeline": ("WuerstchenDecoderPipeline", "WuerstchenPriorPipeline"),
}


def _save(pipeline: Any, folder: Path, libraries: dict[str, str]) -> Path:
    pipeline.save_pretrained(folder)
    path = folder / "model_index.json"
    index = json.loads(path.read_text().replace("ImageProcessorPil", "ImageProcessor"))
    for component in index.keys() & libraries.keys():
        index[component][0] = libraries[component]
    path.write_text(json.dumps(index))
    return folder


def _two_repositories(class_name: str, folder: Path) -> tuple[Path, Path, Path]:
    """The combined pipeline, its decoder and its prior, each saved by itself."""
    import diffusers

    kind = KINDS[class_name]
    with quiet_libraries(), seeded(class_name):
        combined = kind.make()
        parts, saved = combined.components, []
        for name, prefix in zip(PAIRS[class_name], ("", "prior_"), strict=True):
            cls = getattr(diffusers, name)
            taken, _ = cls._get_signature_keys(cls)
            pipeline = cls(**{part: parts[prefix + part] for part in taken})
            libraries = {part.removeprefix(prefix): library for part, library in kind.libraries.items()}
            saved.append(_save(pipeline, folder / name, libraries))
        return _save(combined, folder / class_name, dict(kind.libraries)), saved[0], saved[1]


def _images(folder: Path, class_name: str, cache: ComponentCache, prior: Path | None = None) -> list[bytes]:
    asked = dict(KINDS[class_name].asked)
    size = {"height": asked.pop("height"), "width": asked.pop("width")}
    wanted = assignment(folder, prior=prior, task="text-to-image", tries=2, extra=json.dumps(asked), **size)
    with quiet_libraries():
        generator = load(wanted, "cpu", cache)
        assert type(generator.pipeline).__name__ == class_name
        images = Caller(generator, wanted.plan, 2)(wanted.plan.samples)
    cache.put_back(generator.handles)
    return [image.array.tobytes() for image in images]


#: `make test` takes the pair that users have, and one whose decoder shrinks pictures by 42.
@pytest.mark.parametrize(
    "class_name", scaled(["KandinskyV22CombinedPipeline", "StableCascadeCombinedPipeline"], sorted(PAIRS))
)
def test_decoder_and_prior_sample_as_their_combined_pipeline(class_name: str, tmp_path: Path) -> None:
    together, decoder, prior = _two_repositories(class_name, tmp_path)
    expected = _images(together, class_name, ComponentCache())
    assert len(set(expected)) == 2
    cache = ComponentCache()
    assert _images(decoder, class_name, cache, prior) == expected
    # And again, of the components of the first.
    assert _images(decoder, class_name, cache, prior) == expected


def test_a_prior_beside_a_pipeline_that_takes_none_is_refused(tmp_path: Path) -> None:
    folder = save_stable_diffusion(tmp_path / "model")
    with pytest.raises(GeneratorError, match="a StableDiffusionPipeline takes no prior") as caught:
        load(assignment(folder, prior=folder, task="text-to-image"), "cpu")
    assert caught.value.status == "load-failed"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda prior: (prior / "prior/diffusion_pytorch_model.safetensors").unlink(), "prior"),
        (lambda prior: (prior / "pipeline.py").write_text(""), "code of its own"),
        (lambda prior: (prior / "model_index.json").unlink(), r"model_index\.json"),
    ],
)
def test_a_damaged_prior_is_refused(damage: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    _, decoder, prior = _two_repositories("KandinskyV22CombinedPipeline", tmp_path)
    damage(prior)
    with quiet_libraries(), pytest.raises(GeneratorError, match=words) as caught:
        load(assignment(decoder, prior=prior, task="text-to-image"), "cpu")
    assert caught.value.status == "load-failed"


def test_a_prior_is_loaded_in_the_only_variant_that_it_has(tmp_path: Path) -> None:
    _, decoder, prior = _two_repositories("KandinskyV22CombinedPipeline", tmp_path)
    with quiet_libraries():
        DiffusionPipeline.from_pretrained(prior, dtype=torch.float16).save_pretrained(prior, variant="fp16")
        for path in prior.rglob("*.safetensors"):
            if ".fp16." not in path.name:
                path.unlink()
        generator = load(assignment(decoder, prior=prior, task="text-to-image"), "cpu")
    assert generator.effective.variant is None
    assert generator.pipeline.prior_prior.dtype == torch.float32


def test_another_models_prior_is_refused(tmp_path: Path) -> None:
    _, decoder, _ = _two_repositories("KandinskyV22CombinedPipeline", tmp_path)
    _, _, prior = _two_repositories("WuerstchenCombinedPipeline", tmp_path)
    with quiet_libraries(), pytest.raises(GeneratorError, match="decoder and prior do not fit") as caught:
        load(assignment(decoder, prior=prior, task="text-to-image"), "cpu")
    assert caught.value.status == "load-failed"


def test_a_decoder_alone_is_called_for_what_it_lacks(tmp_path: Path) -> None:
    _, decoder, _ = _two_repositories("KandinskyV22CombinedPipeline", tmp_path)
    wanted = assignment(decoder, task="text-to-image")
    generator = load(wanted, "cpu")
    with pytest.raises(GeneratorError, match="needs the arguments image_embeds") as caught:
        Caller(generator, wanted.plan, 4)(wanted.plan.samples)
    assert caught.value.status == "incompatible"
    assert dataclasses.asdict(generator.effective)["scheduler"] == "DDPMScheduler"
