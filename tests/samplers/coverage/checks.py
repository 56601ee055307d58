"""What must hold of a pipeline class, shown from the crawler's look to the PNG.

The pipeline is saved as its author would. The crawler looks at the saved files; what it lists is linked into another
folder, and from that folder, which holds nothing else, the child's code loads and samples it: twice, the second time
with the components of the first, as fine-tunes share them.
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from crawler.catalog import Hyperparameters, ModelFile
from crawler.hub.repository import Description, Repository, RepositoryReader
from crawler.model_index import REPLACED
from crawler.pipelines.checkpoint import Checkpoint, inspect_checkpoint
from demo.zoo.building import quiet_libraries
from demo.zoo.repository import seeded
from samplers.child.calling import Caller, SampledImage
from samplers.child.component_cache import ComponentCache
from samplers.child.loading import load
from samplers.child.pixel_checks import check_pixels
from samplers.child.png import encode_png
from samplers.messages import Assignment
from samplers.planning.plan import Plan, PlannedSample
from tests.samplers.child.making import hashes_of
from tests.samplers.coverage.kind import Kind

#: The second try differs from the first in its seed alone, the third in its prompt alone.
_ASKED = ((1, "a cat on a sofa"), (2, "a cat on a sofa"), (1, "three red boats"))
_STEPS = 2


def check(class_name: str, kind: Kind, folder: Path) -> None:
    """Build, save, look at, load, sample, check and encode one class; raises `AssertionError`."""
    saved = _saved(class_name, kind, folder / "saved")
    found = _looked_at(saved)
    assert found.incompatible is None, f"the crawler refuses it: {found.incompatible}"
    assert found.class_name == class_name
    assert {file.path for file in found.download.files} == _needed(saved, found)
    with quiet_libraries():
        images = _sampled(_linked(saved, found, folder / "listed"), found, kind)
    _check_pictures(images, kind, by_prompt=found.task == "text-to-image")
    if found.task == "class-conditional":
        labels = [image.class_label for image in images]
        assert len(set(labels)) == len(labels)


def _saved(class_name: str, kind: Kind, folder: Path) -> Path:
    with quiet_libraries():
        with seeded(class_name):
            pipeline = kind.make()
        pipeline.save_pretrained(folder)
    path = folder / "model_index.json"
    # Without torchvision, the class has a suffix that no repository on the Hub knows.
    index = json.loads(path.read_text().replace("ImageProcessorPil", "ImageProcessor"))
    for component, library in kind.libraries.items():
        index[component][0] = library
    path.write_text(json.dumps(index, indent=2))
    return folder


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


class _OnDisk(RepositoryReader):
    """Reads from a folder what the crawler's reader asks the Hub for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def content(self, repository: Repository, path: str, max_bytes: int) -> bytes:
        content = (self._folder / path).read_bytes()
        assert len(content) <= max_bytes
        return content


def _looked_at(folder: Path) -> Checkpoint:
    files = [
        ModelFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=None, git_oid=None)
        for path in _files(folder)
    ]
    described = Description({file.path: file for file in files})
    return inspect_checkpoint(Repository("org/name", "a" * 40, described, _OnDisk(folder)))


def _needed(folder: Path, found: Checkpoint) -> set[str]:
    """All that was saved, but for what the sampler replaces."""
    assert found.traits is not None
    replaced = REPLACED & found.traits.optional_components
    paths = [path.relative_to(folder) for path in _files(folder)]
    return {path.as_posix() for path in paths if path.parts[0] not in replaced}


def _linked(saved: Path, found: Checkpoint, folder: Path) -> Path:
    for file in found.download.files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        os.link(saved / file.path, folder / file.path)
    return folder


def _sampled(folder: Path, found: Checkpoint, kind: Kind) -> list[SampledImage]:
    """The images of one batch, which a second pipeline around the components of the first repeats to the bit."""
    plan = _plan(found, kind)
    assigned = Assignment(
        plan=plan,
        folder=folder,
        base_folder=None,
        call_size=plan.batch_size,
        hashes=hashes_of(folder),
    )
    cache = ComponentCache()
    generator = load(assigned, "cpu", cache)
    assert type(generator.pipeline).__name__ == found.class_name
    images = Caller(generator, plan, plan.batch_size)(plan.samples)
    cache.put_back(generator.handles)
    again = Caller(load(assigned, "cpu", cache), plan, plan.batch_size)(plan.samples)
    for image, other in zip(images, again, strict=True):
        assert np.array_equal(image.array, other.array, equal_nan=True), "the same was asked, another picture came"
    return images


def _plan(found: Checkpoint, kind: Kind) -> Plan:
    assert found.task is not None
    known = {field.name for field in dataclasses.fields(Hyperparameters)}
    asked: dict[str, Any] = {"num_inference_steps": _STEPS, **kind.asked}
    settings = {name: value for name, value in asked.items() if name in known}
    extra = {name: value for name, value in asked.items() if name not in known}
    samples = [
        PlannedSample(index=index, seed=seed, prompt=prompt if found.task == "text-to-image" else None)
        for index, (seed, prompt) in enumerate(_ASKED)
    ]
    return Plan(
        model_name="org/name",
        revision="a" * 40,
        kind="checkpoint",
        task=found.task,
        variant=found.download.variant,
        hyperparameters=Hyperparameters(**settings, extra=json.dumps(extra) if extra else None),
        batch_size=len(samples),
        samples=tuple(samples),
    )


def _check_pictures(images: list[SampledImage], kind: Kind, *, by_prompt: bool) -> None:
    pictures = []
    for image in images:
        pixels = check_pixels(image.array)
        assert not isinstance(pixels, str), f"its images are {pixels}"
        read = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
        assert read is not None
        assert (read == (pixels if pixels.ndim == 2 else pixels[:, :, ::-1])).all()
        assert read.shape[:2] == (kind.side, kind.side)
        pictures.append(pixels)
    assert (pictures[0] != pictures[1]).any(), "the seed changes nothing"
    if by_prompt:
        assert (pictures[0] != pictures[2]).any(), "the prompt changes nothing"
