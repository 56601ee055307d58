"""The arguments of a pipeline's call: each declared setting is passed, or nothing is sampled."""

import json
from typing import Any

import pytest
import torch

from crawler.catalog import HyperparameterSources
from samplers.child.arguments import CallArguments
from samplers.child.calling import Caller
from samplers.child.effective import Effective
from samplers.child.failures import GeneratorError
from samplers.child.loading import Generator
from tests.samplers.child.making import plan


@pytest.fixture(scope="module")
def words() -> Any:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    torch.manual_seed(0)
    made = pipeline(base_unet())
    made.safety_checker = None
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def sdxl() -> Any:
    from demo.zoo.latent_unets import sdxl

    torch.manual_seed(0)
    made = sdxl()
    made.set_progress_bar_config(disable=True)
    return made


def _arguments(pipeline: Any, **declared: Any) -> CallArguments:
    return CallArguments(pipeline, plan("text-to-image", **declared))


def _caller(pipeline: Any, **declared: Any) -> Caller:
    return Caller(Generator(pipeline, Effective(dtype="float32")), plan("text-to-image", **declared), 4)


def test_lists_become_tuples_where_the_call_takes_tuples(sdxl: Any) -> None:
    settings = {"original_size": [1024, 1024], "crops_coords_top_left": [0, 8], "target_size": [64, 64]}
    arguments = _arguments(sdxl, extra=json.dumps({**settings, "sigmas": [1.0, 0.5]}))
    assert {name: arguments.fixed[name] for name in settings} == {name: tuple(each) for name, each in settings.items()}
    assert arguments.fixed["sigmas"] == [1.0, 0.5]
    caller = _caller(sdxl, extra=json.dumps(settings), height=32, width=32)
    assert len(caller(plan("text-to-image", tries=1).samples)) == 1


@pytest.mark.parametrize(
    ("declared", "words_of_it"),
    [
        ({"extra": '{"true_cfg_scale": 4.0}'}, r"declares true_cfg_scale=4\.0, which a StableDiffusionPipeline"),
        ({"extra": '{"frames": 16, "eta": 1.0}'}, "declares frames=16, which"),
    ],
)
def test_a_declared_argument_that_the_call_does_not_take_is_refused(
    words: Any, declared: dict[str, Any], words_of_it: str
) -> None:
    with pytest.raises(GeneratorError, match=words_of_it) as caught:
        _caller(words, **declared)
    assert caught.value.status == "load-failed"


def test_what_the_user_sets_is_passed_or_refused(words: Any) -> None:
    users = HyperparameterSources(**dict.fromkeys(("guidance_scale", "height", "negative_prompt"), "user"))
    arguments = _arguments(words, guidance_scale=3.0, height=32, negative_prompt="grey", sources=users)
    assert (arguments.fixed["guidance_scale"], arguments.fixed["height"]) == (3.0, 32)
    assert (arguments.guidance_scale, arguments.negative_prompt) == (3.0, "grey")
    from demo.zoo.unconditional import ddim

    with pytest.raises(GeneratorError, match=r"the user sets guidance_scale=3\.0, which a DDIMPipeline does not take"):
        CallArguments(ddim(), plan(guidance_scale=3.0, sources=HyperparameterSources(guidance_scale="user")))


def test_settings_of_configurations_may_be_none_of_the_calls() -> None:
    from demo.zoo.unconditional import ddim

    pipeline = ddim()
    sources = HyperparameterSources(num_inference_steps="default", height="config", guidance_scale="card")
    about: dict[str, Any] = {"height": 32, "width": 32, "sources": sources}
    assert "height" not in CallArguments(pipeline, plan(**about)).fixed
    with pytest.raises(GeneratorError, match=r"declares guidance_scale=7\.5, which a DDIMPipeline does not take"):
        CallArguments(pipeline, plan(**about, guidance_scale=7.5))


def test_the_scale_of_a_lora_is_not_given_again_with_the_call(words: Any) -> None:
    extra = json.dumps({"cross_attention_kwargs": {"scale": 0.5, "gligen": 1}})
    arguments = CallArguments(words, plan("text-to-image", "lora", adapter_scale=0.5, extra=extra))
    assert arguments.fixed["cross_attention_kwargs"] == {"gligen": 1}
    only = CallArguments(words, plan("text-to-image", "lora", extra='{"cross_attention_kwargs": {"scale": 1.0}}'))
    assert "cross_attention_kwargs" not in only.fixed
    with pytest.raises(GeneratorError, match=r"declares 0\.8, and in cross_attention_kwargs 0\.5") as c:
        CallArguments(words, plan("text-to-image", "lora", adapter_scale=0.8, extra=extra))
    assert c.value.status == "load-failed"


def test_clip_skip_is_recorded_and_changes_the_images(words: Any) -> None:
    samples = plan("text-to-image", tries=1).samples
    plain, skipping = _caller(words), _caller(words, extra='{"clip_skip": 1}')
    assert (plain.arguments.clip_skip, skipping.arguments.clip_skip) == (None, 1)
    assert not (plain(samples)[0].array == skipping(samples)[0].array).all()


@pytest.mark.parametrize(
    ("scheduler", "extra", "steps"),
    [
        ("LCMScheduler", {"timesteps": [999, 749, 499]}, 3),
        ("DDPMScheduler", {"timesteps": [900, 500, 100, 1]}, 4),
        ("EulerDiscreteScheduler", {"timesteps": [999, 500]}, 2),
        # This one takes the last sigma from the list.
        ("EulerDiscreteScheduler", {"sigmas": [14.0, 5.0, 1.0, 0.0]}, 3),
    ],
)
def test_the_recorded_number_of_steps_is_that_of_the_list(
    words: Any, scheduler: str, extra: dict[str, Any], steps: int
) -> None:
    import diffusers

    own = words.scheduler
    words.scheduler = getattr(diffusers, scheduler).from_config(own.config)
    taken: list[int] = []
    forward = words.unet.forward
    words.unet.forward = lambda *args, **named: (taken.append(1), forward(*args, **named))[1]
    try:
        caller = _caller(words, num_inference_steps=50, extra=json.dumps(extra))
        caller(plan("text-to-image", tries=1).samples)
        assert caller.arguments.num_inference_steps == len(taken) == steps
    finally:
        words.scheduler, words.unet.forward = own, forward


def test_no_pipeline_rewrites_its_prompts() -> None:
    from tests.samplers.coverage.language_models import ernie

    class Rewriting:
        def __call__(
            self,
            prompt: Any = None,
            clean_caption: bool = True,
            use_pe: bool = True,
            enable_prompt_rewrite: bool | None = True,
            caption_upsample_temperature: float | None = None,
        ) -> None: ...

    asked = {"clean_caption": True, "use_pe": True, "caption_upsample_temperature": 0.15}
    assert _arguments(Rewriting(), extra=json.dumps(asked)).fixed == {
        "clean_caption": False,
        "use_pe": False,
        "enable_prompt_rewrite": False,
    }
    assert _arguments(ernie()).fixed["use_pe"] is False


def test_every_argument_that_rewrites_prompts_is_known() -> None:
    """A pipeline that diffusers adds may have another one."""
    import inspect

    import diffusers

    from samplers.child.arguments import _RESERVED, _REWRITING

    names = set()
    for name in dir(diffusers):
        cls = getattr(diffusers, name, None)
        if inspect.isclass(cls) and issubclass(cls, diffusers.DiffusionPipeline):
            names |= inspect.signature(cls.__call__).parameters.keys()
    suspect = {
        name for name in names if any(word in name for word in ("enhance", "rewrit", "upsampl", "clean", "use_pe"))
    }
    of_an_enhancer = {"prompt_enhancement_kwargs", "prompt_enhancement_seed", "prompt_upsampling_temperature"}
    of_pixels = {"upsampling_height", "upsampling_width", "upsampling_strength"}
    # PRX was trained on cleaned captions; the package for it belongs to the extra `sample`.
    assert suspect - {*_REWRITING, *_RESERVED, *of_an_enhancer, *of_pixels} == {"skip_text_cleaning"}


def test_a_prompt_without_its_trigger_words_is_refused(words: Any) -> None:
    with pytest.raises(GeneratorError, match="trigger words: the catalogue declares 'sks', the prompt is 'a cat'") as c:
        _caller(words, trigger_words="sks")
    assert c.value.status == "load-failed"
    assert _caller(words, trigger_words="a").arguments.fixed["num_inference_steps"] == 2
