"""What the user sets reaches the pipeline: every setting makes other pixels, or the pixels' number."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import CatalogEntry, Hyperparameters
from demo.zoo.building import quiet_libraries
from samplers.child.calling import Caller
from samplers.child.component_cache import ComponentCache
from samplers.child.loading import load
from samplers.messages import Assignment
from tests.records import catalog_entry
from tests.samplers.child.making import hashes_of, save_stable_diffusion
from tests.samplers.planning.test_plan import POOL
from tests.samplers.planning.test_plan import _recipe as recipe
from tests.samplers.plans import plan_of

AUTHOR = Hyperparameters(num_inference_steps=2, guidance_scale=3.0, height=32, width=32)
SETTINGS: dict[str, Any] = {
    "steps": 3,
    "guidance_scale": 9.0,
    "height": 48,
    "width": 40,
    "negative_prompt": "grey",
    "scheduler": "EulerDiscreteScheduler",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("saved") / "model")


def _image(saved: Path, entry: CatalogEntry, cache: ComponentCache, **settings: Any) -> tuple[Any, Any]:
    """The first image, and the arguments of its call."""
    plan = plan_of(entry, POOL, recipe(images=1, batch_size=1, max_tries=1, **settings))
    assignment = Assignment(plan=plan, folder=saved, base_folder=None, call_size=1, hashes=hashes_of(saved))
    with quiet_libraries():
        generator = load(assignment, "cpu", cache)
        caller = Caller(generator, plan, 1)
        image = caller(plan.samples)[0].array
    cache.put_back(generator.handles)
    return image, (caller.arguments, generator.effective)


def test_every_setting_changes_the_image(saved: Path) -> None:
    entry = catalog_entry(hf_diffusers_tag="StableDiffusionPipeline", hyperparameters=AUTHOR)
    cache = ComponentCache()
    authors, _ = _image(saved, entry, cache)
    assert authors.shape == (32, 32, 3)
    images = {authors.tobytes()}
    for name, value in SETTINGS.items():
        image, (arguments, effective) = _image(saved, entry, cache, **{name: value})
        images.add(image.tobytes())
        assert image.shape == (SETTINGS["height"] if name == "height" else 32, 40 if name == "width" else 32, 3)
        # What the rows say.
        assert arguments.num_inference_steps == (3 if name == "steps" else 2)
        assert arguments.guidance_scale == (9.0 if name == "guidance_scale" else 3.0)
        assert arguments.negative_prompt == ("grey" if name == "negative_prompt" else None)
        assert effective.scheduler == ("EulerDiscreteScheduler" if name == "scheduler" else "PNDMScheduler")
    assert len(images) == 1 + len(SETTINGS)


def test_the_user_wins_over_steps_in_a_list_and_over_the_settings_of_another_scheduler(saved: Path) -> None:
    stated = replace(
        AUTHOR,
        scheduler="EulerDiscreteScheduler",
        scheduler_config='{"interpolation_type": "log_linear"}',
        extra='{"timesteps": [900, 500, 100, 10]}',
    )
    entry = catalog_entry(hf_diffusers_tag="StableDiffusionPipeline", hyperparameters=stated)
    cache = ComponentCache()
    _, (authors, _) = _image(saved, entry, cache)
    assert authors.num_inference_steps == 4
    # DDIM takes no list: four steps remain of it.
    _, (arguments, effective) = _image(saved, entry, cache, scheduler="DDIMScheduler")
    assert (arguments.num_inference_steps, effective.scheduler) == (4, "DDIMScheduler")
    image, (arguments, effective) = _image(saved, entry, cache, steps=2, scheduler="DDIMScheduler")
    assert (arguments.num_inference_steps, effective.scheduler) == (2, "DDIMScheduler")
    plain = catalog_entry(
        hf_diffusers_tag="StableDiffusionPipeline", hyperparameters=replace(AUTHOR, scheduler="DDIMScheduler")
    )
    same, _ = _image(saved, plain, cache)
    assert image.tobytes() == same.tobytes()
