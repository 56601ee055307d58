"""A card names a scheduler: that class, with those settings, samples, or nothing does."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.schedulers import KarrasDiffusionSchedulers

from crawler.card.call_fields import CALL_FIELDS
from crawler.card.model_card import read_card
from crawler.card.snippets import read_usage
from crawler.catalog import HyperparameterSources
from crawler.hyperparameters import hyperparameters_of
from demo.zoo.building import quiet_libraries
from samplers.child.calling import Caller
from samplers.child.component_cache import ComponentCache
from samplers.child.effective import effective_settings
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.child.schedulers import set_scheduler
from tests.samplers.child.making import assignment, plan, save_stable_diffusion

#: diffusers has a class without content for one that needs a package which is not installed.
_INSTALLED = [
    name for name in KarrasDiffusionSchedulers.__members__ if not hasattr(getattr(diffusers, name), "_backends")
]
#: Classes that diffusers pairs with pipelines of a family, by its own list or in the cards of its adapters, each with a
#: setting that differs from the pipeline's file.
NOISE: dict[str, dict[str, Any]] = {
    **{name: {"num_train_timesteps": 900} for name in _INSTALLED},
    "LCMScheduler": {"original_inference_steps": 25},
    "TCDScheduler": {"timestep_scaling": 5.0},
    "DDIMParallelScheduler": {"timestep_spacing": "trailing"},
    "DDPMParallelScheduler": {"clip_sample": False},
    "SASolverScheduler": {"use_karras_sigmas": True},
    "EulerDiscreteScheduler": {"use_karras_sigmas": True, "timestep_spacing": "trailing", "beta_start": 0.001},
    "DPMSolverMultistepScheduler": {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    "UniPCMultistepScheduler": {"solver_order": 3, "disable_corrector": [0, 1]},
}
FLOW: dict[str, dict[str, Any]] = {
    "FlowMatchEulerDiscreteScheduler": {"shift": 7.5},
    "FlowMatchHeunDiscreteScheduler": {"shift": 2},
    "FlowMatchLCMScheduler": {"shift": 4.0},
    **{
        name: {"use_flow_sigmas": True, "flow_shift": 3.0, "prediction_type": "flow_prediction"}
        for name in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler")
    },
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture(scope="module")
def cache() -> ComponentCache:
    return ComponentCache()


def _stable_diffusion() -> Any:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    return pipeline(base_unet())


def _pixels() -> Any:
    from demo.zoo.unconditional import ddim

    return ddim()


def _flow() -> Any:
    from demo.zoo.flow_transformers import stable_diffusion_3

    return stable_diffusion_3()


def _kandinsky() -> Any:
    from demo.zoo.latent_unets import kandinsky_2

    return kandinsky_2()


def _unclip() -> Any:
    from tests.samplers.coverage.cascades import unclip

    return unclip()


@pytest.fixture(scope="module")
def made() -> Callable[[Callable[[], Any]], Any]:
    """Makes a pipeline once; each use begins with its own scheduler."""
    pipelines: dict[Any, tuple[Any, Any]] = {}

    def make(build: Callable[[], Any]) -> Any:
        if build not in pipelines:
            torch.manual_seed(0)
            pipeline = build()
            pipelines[build] = pipeline, getattr(pipeline, "scheduler", None)
        pipeline, own = pipelines[build]
        if own is not None:
            for part in (pipeline, *(each for each in vars(pipeline).values() if hasattr(each, "scheduler"))):
                part.scheduler = own
        return pipeline

    return make


def _effective(pipeline: Any, **declared: Any) -> Any:
    wanted = plan(**declared)
    set_scheduler(pipeline, wanted)
    return effective_settings(pipeline, wanted, dtype="float32", variant=None, tokens=())


def _read(name: str, settings: dict[str, Any], prediction: str) -> dict[str, Any]:
    """What the crawler reads in a card that uses this scheduler, for a repository with the pipeline's own files."""
    given = "".join(f", {setting}={value!r}" for setting, value in settings.items())
    card = read_card(
        f"""```python
pipe = DiffusionPipeline.from_pretrained("ann/model")
pipe.scheduler = {name}.from_config(pipe.scheduler.config{given})
image = pipe("a cat", num_inference_steps=4).images[0]
```""".encode()
    )
    usage = read_usage(card.document, "ann/model", CALL_FIELDS)
    values, _ = hyperparameters_of(None, card, usage, {"prediction_type": prediction})
    return asdict(values)


@pytest.mark.parametrize("name", sorted(NOISE))
@pytest.mark.parametrize("build", [_stable_diffusion, _pixels])
def test_every_scheduler_of_noise_models_that_a_card_names_is_in_effect_with_its_settings(
    made: Any, build: Callable[[], Any], name: str
) -> None:
    pipeline = made(build)
    prediction = pipeline.scheduler.config.prediction_type
    settings = NOISE[name]
    effective = _effective(pipeline, **_read(name, settings, prediction))
    assert (effective.scheduler, effective.prediction_type) == (name, prediction)
    config = json.loads(effective.scheduler_config)
    assert {setting: config[setting] for setting in settings} == settings
    assert type(pipeline.scheduler).__name__ == name
    assert all(pipeline.scheduler.config[setting] == value for setting, value in settings.items())


@pytest.mark.parametrize("name", sorted(FLOW))
def test_every_scheduler_of_flow_models_that_a_card_names_is_in_effect_with_its_settings(made: Any, name: str) -> None:
    pipeline = made(_flow)
    effective = _effective(pipeline, **_read(name, FLOW[name], "flow"))
    assert (effective.scheduler, effective.prediction_type) == (name, "flow")
    config = json.loads(effective.scheduler_config)
    assert {setting: config[setting] for setting in FLOW[name]} == FLOW[name]


def test_images_are_sampled_by_the_declared_scheduler(saved: Path, cache: ComponentCache) -> None:
    images, names = set(), ("PNDMScheduler", "LCMScheduler", "TCDScheduler", "EulerAncestralDiscreteScheduler")
    for name in names:
        wanted = assignment(saved, task="text-to-image", tries=1, scheduler=name, num_inference_steps=3)
        with quiet_libraries():
            generator = load(wanted, "cpu", cache)
            images.add(Caller(generator, wanted.plan, 1)(wanted.plan.samples)[0].array.tobytes())
        cache.put_back(generator.handles)
        assert generator.effective.scheduler == name
    assert len(images) == len(names)


def test_without_a_declared_change_the_scheduler_is_the_files_own(made: Any) -> None:
    pipeline = made(_stable_diffusion)
    own = pipeline.scheduler
    for declared in ({}, {"scheduler": "PNDMScheduler", "prediction_type": "epsilon"}):
        effective = _effective(pipeline, **declared)
        assert pipeline.scheduler is own
        assert (effective.scheduler, effective.prediction_type) == ("PNDMScheduler", "epsilon")
        assert json.loads(effective.scheduler_config)["skip_prk_steps"] is own.config.skip_prk_steps


def test_settings_without_a_class_are_those_of_the_own_class(made: Any) -> None:
    pipeline = made(_stable_diffusion)
    effective = _effective(pipeline, scheduler_config='{"timestep_spacing": "trailing"}')
    assert effective.scheduler == "PNDMScheduler"
    assert json.loads(effective.scheduler_config)["timestep_spacing"] == "trailing"


def test_a_declared_prediction_type_is_in_effect(made: Any) -> None:
    effective = _effective(made(_stable_diffusion), prediction_type="v_prediction")
    assert (effective.scheduler, effective.prediction_type) == ("PNDMScheduler", "v_prediction")
    settings = {"use_flow_sigmas": True}
    declared = {"scheduler": "UniPCMultistepScheduler", "scheduler_config": json.dumps(settings)}
    effective = _effective(made(_flow), **declared, prediction_type="flow")
    assert json.loads(effective.scheduler_config)["prediction_type"] == "flow_prediction"


@pytest.mark.parametrize(
    ("build", "declared", "words"),
    [
        (_stable_diffusion, {"scheduler": "FlowMatchEulerDiscreteScheduler"}, "flow matching.*PNDMScheduler"),
        (_flow, {"scheduler": "EulerDiscreteScheduler"}, "EulerDiscreteScheduler.*FlowMatchEulerDiscreteScheduler"),
        (_flow, {"scheduler": "DPMSolverMultistepScheduler"}, "which is for noise.*is for flow matching"),
        (_stable_diffusion, {"scheduler": "UnCLIPScheduler"}, "UnCLIPScheduler.*PNDMScheduler"),
        (_stable_diffusion, {"scheduler": "CMStochasticIterativeScheduler"}, "CMStochastic.*PNDMScheduler"),
        (_stable_diffusion, {"scheduler": "NoScheduler"}, "'NoScheduler' is not a scheduler class"),
        (_stable_diffusion, {"scheduler": "UNet2DModel"}, "is not a scheduler class"),
        (_stable_diffusion, {"scheduler": "SchedulerMixin"}, "is not a scheduler class"),
        (_stable_diffusion, {"scheduler": "__class__"}, "is not a scheduler class"),
        (
            _stable_diffusion,
            {"scheduler": "EulerDiscreteScheduler", "scheduler_config": '{"solver_order": 2}'},
            "declares solver_order=2, which EulerDiscreteScheduler does not take",
        ),
        (
            _stable_diffusion,
            {"scheduler": "EulerDiscreteScheduler", "scheduler_config": '{"beta_schedule": "none"}'},
            "EulerDiscreteScheduler with the settings of the catalogue",
        ),
        (
            _stable_diffusion,
            {"prediction_type": "epsilon", "scheduler_config": '{"prediction_type": "v_prediction"}'},
            "prediction_type epsilon and, for the scheduler, v_prediction",
        ),
        # The class takes this one, and changes it.
        (
            _stable_diffusion,
            {
                "scheduler": "DPMSolverMultistepScheduler",
                "scheduler_config": '{"algorithm_type": "deis", "final_sigmas_type": "sigma_min"}',
            },
            r"algorithm_type: the catalogue declares deis, in effect is dpmsolver\+\+",
        ),
        (_flow, {"prediction_type": "epsilon"}, "prediction_type: the catalogue declares epsilon, in effect is flow"),
    ],
)
def test_what_cannot_be_in_effect_is_refused(
    made: Any, build: Callable[[], Any], declared: dict[str, Any], words: str
) -> None:
    with pytest.raises(GeneratorError, match=words) as caught:
        _effective(made(build), **declared)
    assert caught.value.status == "load-failed"


@pytest.mark.skipif("DPMSolverSDEScheduler" in _INSTALLED, reason="torchsde is installed")
def test_a_scheduler_that_needs_a_package_says_which(made: Any) -> None:
    with pytest.raises(GeneratorError, match="DPMSolverSDEScheduler needs torchsde, which is not installed"):
        _effective(made(_stable_diffusion), scheduler="DPMSolverSDEScheduler")


def test_a_combined_pipeline_samples_with_the_declared_scheduler(made: Any) -> None:
    pipeline = made(_kandinsky)
    effective = _effective(pipeline, scheduler="DDIMScheduler")
    # The decoder makes the images; the combined pipeline only knows it.
    assert type(pipeline.decoder_pipe.scheduler).__name__ == type(pipeline.scheduler).__name__ == "DDIMScheduler"
    configs = json.loads(effective.scheduler_config)
    assert {name: config["_class_name"] for name, config in configs.items()} == {
        "scheduler": "DDIMScheduler",
        "prior_scheduler": "UnCLIPScheduler",
    }


def test_a_pipeline_without_such_a_component_takes_no_scheduler(made: Any) -> None:
    pipeline = made(_unclip)
    effective = _effective(pipeline)
    assert (effective.scheduler, effective.prediction_type) == ("", None)
    assert {"prior_scheduler", "decoder_scheduler"} <= json.loads(effective.scheduler_config).keys()
    with pytest.raises(GeneratorError, match="declares the scheduler DDIMScheduler; a UnCLIPPipeline has none"):
        _effective(pipeline, scheduler="DDIMScheduler", sources=HyperparameterSources(scheduler="card"))
