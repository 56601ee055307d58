import json
import random
from typing import Any

import numpy as np
import pytest
import torch

from crawler.catalog import HyperparameterSources
from samplers.child.calling import Caller, SampledImage
from samplers.child.effective import Effective
from samplers.child.failures import GeneratorError
from samplers.child.loading import Generator
from tests.samplers.child.making import plan


def _pixels() -> Any:
    from demo.zoo.unconditional import ddim

    torch.manual_seed(0)
    pipeline = ddim()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _limited(limit: int) -> Any:
    """The same pipeline on a device whose memory holds `limit` images."""
    pipeline = _pixels()

    class Limited(type(pipeline)):  # type: ignore[misc]
        def __call__(
            self, batch_size: int = 1, generator: Any = None, num_inference_steps: int = 2, output_type: str = "pil"
        ) -> Any:
            if batch_size > limit:
                raise torch.OutOfMemoryError(f"{batch_size} images do not fit")
            return super().__call__(
                batch_size, generator, num_inference_steps=num_inference_steps, output_type=output_type
            )

    pipeline.__class__ = Limited
    return pipeline


def _call(pipeline: Any, wanted: Any = None, size: int = 4) -> list[SampledImage]:
    wanted = wanted or plan()
    return Caller(Generator(pipeline, Effective(dtype="float32")), wanted, size)(wanted.samples)


def _same(first: list[SampledImage], second: list[SampledImage]) -> bool:
    return all((a.array == b.array).all() for a, b in zip(first, second, strict=True))


def test_images_come_in_order_as_floating_point() -> None:
    images = _call(_pixels())
    assert [image.planned.index for image in images] == [0, 1, 2, 3]
    assert {image.array.shape for image in images} == {(32, 32, 3)}
    assert all(image.array.dtype == np.float32 for image in images)


def test_a_batch_does_not_depend_on_what_was_sampled_before() -> None:
    pipeline = _pixels()

    class Careless(type(pipeline)):  # type: ignore[misc]
        def __call__(self, batch_size: int = 1, generator: Any = None, output_type: str = "pil") -> Any:
            output = super().__call__(batch_size, generator, num_inference_steps=2, output_type=output_type)
            # Some pipelines draw from the global generators too.
            drawn = torch.rand(output.images.shape).numpy() + np.random.rand() + random.random()
            output.images = output.images + 0.1 * drawn
            return output

    pipeline.__class__ = Careless
    wanted = plan()
    caller = Caller(Generator(pipeline, Effective(dtype="float32")), wanted, 4)
    first = caller(wanted.samples)
    torch.manual_seed(99)
    assert _same(caller(wanted.samples), first)


def test_an_image_has_a_generator_of_its_own() -> None:
    images = _call(_pixels())
    alone = _call(_pixels(), size=1)
    # Other batches move the last bits, never the picture.
    assert all(np.abs(a.array - b.array).max() < 0.01 for a, b in zip(images, alone, strict=True))


def test_too_little_memory_halves_the_batch_for_good() -> None:
    wanted = plan(tries=8)
    caller = Caller(Generator(_limited(2), Effective(dtype="float32")), wanted, 8)
    assert [image.call_size for image in caller(wanted.samples)] == [2] * 8
    assert [image.call_size for image in caller(wanted.samples)] == [2] * 8


def test_too_little_memory_for_one_image_is_a_failure() -> None:
    with pytest.raises(GeneratorError, match="1 images do not fit") as caught:
        _call(_limited(0))
    assert caught.value.status == "out-of-memory"


def test_a_pipeline_that_refuses_a_list_of_generators_is_called_for_each_image() -> None:
    pipeline = _pixels()

    class Single(type(pipeline)):  # type: ignore[misc]
        def __call__(self, batch_size: int = 1, generator: Any = None, output_type: str = "pil") -> Any:
            if not isinstance(generator, torch.Generator):
                raise TypeError("generator must be one")
            return super().__call__(batch_size, generator, num_inference_steps=2, output_type=output_type)

    pipeline.__class__ = Single
    images = _call(pipeline)
    assert [image.call_size for image in images] == [1] * 4
    assert _same(images, _call(_pixels(), size=1))


def _rounding() -> Any:
    """A pipeline that makes images of 32 pixels whatever size it is asked for, as many round it."""
    pipeline = _pixels()

    class Rounding(type(pipeline)):  # type: ignore[misc]
        def __call__(
            self, batch_size: int = 1, generator: Any = None, width: int = 64, output_type: str = "pil"
        ) -> Any:
            return super().__call__(batch_size, generator, num_inference_steps=2, output_type=output_type)

    pipeline.__class__ = Rounding
    return pipeline


def test_images_of_another_size_than_the_user_sets_are_none() -> None:
    users = HyperparameterSources(width="user")
    with pytest.raises(GeneratorError, match="the user sets width=40, the pipeline makes images of width 32") as caught:
        _call(_rounding(), plan(width=40, sources=users))
    assert caught.value.status == "sample-failed"
    assert len(_call(_rounding(), plan(width=32, sources=users))) == 4
    # What an author states is in the row as it came out.
    assert len(_call(_rounding(), plan(width=40, sources=HyperparameterSources(width="card")))) == 4


@pytest.mark.parametrize(
    ("result", "status", "words"),
    [
        ([], "sample-failed", "returned 0 images, not 1"),
        (None, "incompatible", "has no images"),
    ],
)
def test_unexpected_output_is_refused(result: Any, status: str, words: str) -> None:
    pipeline = _pixels()

    class Odd(type(pipeline)):  # type: ignore[misc]
        def __call__(self, batch_size: int = 1, generator: Any = None) -> Any:
            class Output:
                images = result

            return Output()

    pipeline.__class__ = Odd
    with pytest.raises(GeneratorError, match=words) as caught:
        _call(pipeline)
    assert caught.value.status == status


def test_a_call_that_needs_other_arguments_is_incompatible() -> None:
    pipeline = _pixels()

    class Editing(type(pipeline)):  # type: ignore[misc]
        def __call__(self, image: Any, batch_size: int = 1) -> Any:
            raise AssertionError("must not be called")

    pipeline.__class__ = Editing
    with pytest.raises(GeneratorError, match="the pipeline needs the arguments image") as caught:
        _call(pipeline)
    assert caught.value.status == "incompatible"


@pytest.mark.parametrize(("named", "taken"), [(True, [0, 1, 2, 8, 0]), (False, [0, 1, 2, 0, 1])])
def test_the_classes_it_was_trained_on_take_turns(named: bool, taken: list[int]) -> None:
    from demo.zoo.diffusion_transformers import dit

    torch.manual_seed(0)
    pipeline = dit()
    if not named:
        pipeline.labels = {}
        pipeline.transformer.register_to_config(num_embeds_ada_norm=3)
    pipeline.set_progress_bar_config(disable=True)
    images = _call(pipeline, plan("class-conditional", tries=5))
    assert [image.class_label for image in images] == taken


def test_the_recorded_prompt_is_the_one_that_was_passed() -> None:
    pipeline = _pixels()

    class Chatty(type(pipeline)):  # type: ignore[misc]
        def __call__(self, prompt: list[str], generator: Any = None, output_type: str = "pil") -> Any:
            prompt[:] = [f"<|user|>{each}" for each in prompt]
            return super().__call__(len(prompt), generator, num_inference_steps=2, output_type=output_type)

    pipeline.__class__ = Chatty
    wanted = plan("text-to-image")
    assert [image.prompt for image in _call(pipeline, wanted)] == [each.prompt for each in wanted.samples]


def test_arguments_of_the_card_reach_the_call_and_reserved_ones_do_not() -> None:
    seen: list[dict[str, Any]] = []
    pipeline = _pixels()

    class Told(type(pipeline)):  # type: ignore[misc]
        def __call__(
            self,
            prompt: Any = None,
            negative_prompt: Any = None,
            num_inference_steps: int = 50,
            guidance_scale: float = 7.5,
            height: int | None = None,
            eta: float = 0.0,
            num_images_per_prompt: int = 1,
            callback_on_step_end: Any = None,
            latents: Any = None,
            output_type: str = "pil",
            generator: Any = None,
        ) -> Any:
            seen.append({name: value for name, value in locals().items() if name not in ("self", "__class__")})
            return super().__call__(len(prompt), generator, num_inference_steps=2, output_type=output_type)

    pipeline.__class__ = Told
    reserved = {"num_images_per_prompt": 4, "callback_on_step_end": 1, "output_type": "pil", "latents": 1}
    extra = json.dumps({"eta": 0.5, **reserved})
    wanted = plan("text-to-image", negative_prompt="blurry", height=64, guidance_scale=3.0, extra=extra)
    caller = Caller(Generator(pipeline, Effective(dtype="float32"), tokens=("<zoo>",)), wanted, 4)
    images = caller(wanted.samples)
    (arguments,) = seen
    assert (
        arguments["prompt"]
        == [f"<zoo>, {each.prompt}" for each in wanted.samples]
        == [image.prompt for image in images]
    )
    assert arguments["negative_prompt"] == ["blurry"] * 4
    assert (arguments["num_inference_steps"], arguments["guidance_scale"], arguments["height"]) == (2, 3.0, 64)
    assert (arguments["eta"], arguments["num_images_per_prompt"], arguments["output_type"]) == (0.5, 1, "np")
    assert (arguments["callback_on_step_end"], arguments["latents"]) == (None, None)
    told = caller.arguments
    assert (told.num_inference_steps, told.guidance_scale, told.negative_prompt) == (2, 3.0, "blurry")


def test_defaults_of_the_pipeline_are_recorded() -> None:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    wanted = plan("text-to-image", num_inference_steps=None)
    caller = Caller(Generator(pipeline(base_unet()), Effective(dtype="float32")), wanted, 4)
    told = caller.arguments
    assert (told.num_inference_steps, told.guidance_scale, told.negative_prompt) == (50, 7.5, None)
