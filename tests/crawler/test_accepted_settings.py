import re

import pytest

from crawler.accepted_settings import multiple_of, refusal, scheduler_fault
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from tests.records import catalog_entry


def _of(
    class_name: str, scheduler: str | None = None, prediction: str | None = None, **changes: object
) -> CatalogEntry:
    settings = Hyperparameters(scheduler=scheduler, prediction_type=prediction)
    return catalog_entry(hf_diffusers_tag=class_name, hyperparameters=settings, **changes)


@pytest.mark.parametrize(
    ("class_name", "name", "why"),
    [
        ("StableDiffusionPipeline", "negative_prompt", None),
        ("StableDiffusionPipeline", "width", None),
        ("DDPMPipeline", "num_inference_steps", None),
        ("DDPMPipeline", "width", "a DDPMPipeline takes no width"),
        ("DDPMPipeline", "negative_prompt", "a DDPMPipeline takes no negative_prompt"),
        (
            "LatentConsistencyModelPipeline",
            "negative_prompt",
            "a LatentConsistencyModelPipeline takes no negative_prompt",
        ),
        ("DiTPipeline", "guidance_scale", None),
        ("ClassOfAnotherVersionPipeline", "width", None),
    ],
)
def test_a_pipeline_takes_what_its_call_has(class_name: str, name: str, why: str | None) -> None:
    assert refusal(_of(class_name), name, 8) == why


def test_a_decoder_with_a_prior_takes_what_the_combined_pipeline_takes() -> None:
    decoder = "KandinskyV22Pipeline"
    assert refusal(_of(decoder), "negative_prompt", "x") == "a KandinskyV22Pipeline takes no negative_prompt"
    assert refusal(_of(decoder, prior_model="org/prior"), "negative_prompt", "x") is None


@pytest.mark.parametrize(
    ("own", "prediction", "chosen", "why"),
    [
        ("PNDMScheduler", "epsilon", "DPMSolverMultistepScheduler", None),
        ("PNDMScheduler", "epsilon", "LCMScheduler", None),
        ("PNDMScheduler", "epsilon", "FlowMatchEulerDiscreteScheduler", "is for flow matching, its model for noise on"),
        ("FlowMatchEulerDiscreteScheduler", "flow", "FlowMatchHeunDiscreteScheduler", None),
        ("FlowMatchEulerDiscreteScheduler", "flow", "DDIMScheduler", "is for noise on .*, its model for flow matching"),
        ("DPMSolverMultistepScheduler", "flow_prediction", "UniPCMultistepScheduler", None),
        ("DPMSolverMultistepScheduler", "flow_prediction", "FlowMatchEulerDiscreteScheduler", None),
        ("DPMSolverMultistepScheduler", "flow_prediction", "DDIMScheduler", "its model for flow matching"),
        ("EDMEulerScheduler", None, "EDMDPMSolverMultistepScheduler", None),
        ("EDMEulerScheduler", None, "EulerDiscreteScheduler", "its model for EDM"),
        (None, None, "DDIMScheduler", None),
        ("PNDMScheduler", None, "PNDMScheduler", None),
    ],
)
def test_a_scheduler_is_for_models_of_its_kind(
    own: str | None, prediction: str | None, chosen: str, why: str | None
) -> None:
    found = refusal(_of("StableDiffusionPipeline", own, prediction), "scheduler", chosen)
    assert found is None if why is None else re.search(why, str(found))


def test_a_pipeline_without_a_scheduler_takes_none() -> None:
    assert refusal(_of("OmniGenPipeline"), "scheduler", "DDIMScheduler") is None
    assert refusal(_of("UnCLIPPipeline"), "scheduler", "DDIMScheduler") == (
        "a UnCLIPPipeline has no scheduler of its own to replace"
    )


@pytest.mark.parametrize(
    ("class_name", "multiple"),
    [
        ("StableDiffusionPipeline", 8),
        ("StableDiffusionXLPAGPipeline", 8),
        ("StableDiffusion3Pipeline", 16),
        ("FluxPipeline", 16),
        ("SanaPipeline", 32),
        ("HunyuanImagePipeline", 64),
        ("DDPMPipeline", 1),
        ("ClassOfAnotherVersionPipeline", 1),
    ],
)
def test_sides_are_multiples_of_what_the_class_divides_by(class_name: str, multiple: int) -> None:
    assert multiple_of(_of(class_name)) == multiple


def test_the_generators_own_size_says_that_its_autoencoder_is_another_one() -> None:
    own = HyperparameterSources(height="config", width="config")
    small = catalog_entry(
        hf_diffusers_tag="FluxPipeline",
        hyperparameters=Hyperparameters(height=24, width=40),
        hyperparameter_sources=own,
    )
    assert multiple_of(small) == 8
    # An author may state a size that the pipeline rounds.
    stated = catalog_entry(
        hf_diffusers_tag="FluxPipeline",
        hyperparameters=Hyperparameters(height=24, width=40),
        hyperparameter_sources=HyperparameterSources(height="card", width="card"),
    )
    assert multiple_of(stated) == 16


def test_unknown_schedulers_are_named_with_the_nearest_one() -> None:
    assert scheduler_fault("EulerDiscreteScheduler") is None
    assert str(scheduler_fault("EulerDiscreetScheduler")).endswith("did you mean EulerDiscreteScheduler?")
    assert str(scheduler_fault("DDIM")).endswith("did you mean DDIMScheduler?")
    assert str(scheduler_fault("x")).endswith("it has the name of its class, such as DDIMScheduler")
    assert "no scheduler 'BlockRefinementSchedulerOutput'" in str(scheduler_fault("BlockRefinementSchedulerOutput"))
