"""The scheduler of a snippet, with the keyword arguments that its author gives it."""

from typing import Any

import pytest

from crawler.card.document import Code, Document, Section
from crawler.card.snippets import Usage, read_usage

LOAD = 'pipe = DiffusionPipeline.from_pretrained("acme/model")\n'


def usage(code: str) -> Usage:
    sections = (Section((), (Code("python", code),)),)
    return read_usage(Document(sections), "acme/model", {"num_inference_steps", "height", "prompt"})


@pytest.mark.parametrize(
    ("code", "name", "settings"),
    [
        (
            "DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing='trailing', clip_sample=True)",
            "DDIMScheduler",
            {"timestep_spacing": "trailing", "clip_sample": True},
        ),
        (
            "EulerDiscreteScheduler(prediction_type='v_prediction', use_karras_sigmas=True)",
            "EulerDiscreteScheduler",
            {"prediction_type": "v_prediction", "use_karras_sigmas": True},
        ),
        ("FlowMatchEulerDiscreteScheduler(shift=3.0)", "FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        ("diffusers.TCDScheduler.from_config(pipe.scheduler.config)", "TCDScheduler", {}),
        ("diffusers.schedulers.LCMScheduler(beta_start=1e-4)", "LCMScheduler", {"beta_start": 1e-4}),
        (
            "DPMSolverMultistepScheduler.from_pretrained('x/y', revision='z', algorithm_type='sde-dpmsolver++')",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++"},
        ),
        (
            "DDIMScheduler.from_config({**pipe.scheduler.config, 'clip_sample': False})",
            "DDIMScheduler",
            {"clip_sample": False},
        ),
        (
            "DDIMScheduler.from_config(dict(pipe.scheduler.config, clip_sample=False))",
            "DDIMScheduler",
            {"clip_sample": False},
        ),
        ("type(pipe.scheduler).from_config(pipe.scheduler.config, shift=5)", None, {"shift": 5}),
        ("pipe.scheduler.__class__.from_config(pipe.scheduler.config, shift=5)", None, {"shift": 5}),
        ("pipe.scheduler.from_config(pipe.scheduler.config, shift=5)", None, {"shift": 5}),
    ],
)
def test_keywords_of_the_scheduler_are_read(code: str, name: str | None, settings: dict[str, Any]) -> None:
    for where in (f"{LOAD}pipe.scheduler = {code}\npipe('a')", f"{LOAD}s = {code}\npipe.scheduler = s\npipe('a')"):
        found = usage(where)
        assert (found.scheduler, found.scheduler_config, found.unread) == (name, settings, ())


@pytest.mark.parametrize(
    "load", ["DiffusionPipeline.from_pretrained('acme/model', scheduler=s)", "MyPipeline(scheduler=s)"]
)
def test_a_scheduler_that_the_pipeline_is_given_counts(load: str) -> None:
    found = usage(f"s = UniPCMultistepScheduler(solver_order=3)\npipe = {load}\npipe('a')")
    assert (found.scheduler, found.scheduler_config) == ("UniPCMultistepScheduler", {"solver_order": 3})


def test_a_second_scheduler_keeps_the_settings_of_the_first() -> None:
    code = "pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing='trailing')\n"
    code += "pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config, beta_end=0.1)\npipe('a')"
    found = usage(LOAD + code)
    assert found.scheduler == "LCMScheduler"
    assert found.scheduler_config == {"timestep_spacing": "trailing", "beta_end": 0.1}


@pytest.mark.parametrize(
    "code",
    [
        "from diffusers import TCDScheduler as Chosen\npipe.scheduler = Chosen.from_config(pipe.scheduler.config)",
        "chosen = TCDScheduler\npipe.scheduler = chosen.from_config(pipe.scheduler.config)",
        "known = {'tcd': TCDScheduler}\npipe.scheduler = known['tcd'].from_config(pipe.scheduler.config)",
    ],
)
def test_a_class_may_have_another_name(code: str) -> None:
    assert usage(f"{LOAD}{code}\npipe('a')").scheduler == "TCDScheduler"


@pytest.mark.parametrize(
    "code",
    [
        "pipe.scheduler = make()",
        "if fast:\n    pipe.scheduler = LCMScheduler()\nelse:\n    pipe.scheduler = DDIMScheduler()",
        "pipe.scheduler = DDIMScheduler()\npipe.scheduler = known[name].from_config(pipe.scheduler.config)",
    ],
)
def test_a_scheduler_that_cannot_be_followed_is_unread(code: str) -> None:
    found = usage(f"{LOAD}{code}\npipe('a')")
    assert (found.scheduler, found.scheduler_config, found.unread) == (None, {}, ("scheduler",))


@pytest.mark.parametrize("code", ["DDIMScheduler(1000)", "DDIMScheduler(beta_start=start)"])
def test_settings_that_cannot_be_followed_are_unread(code: str) -> None:
    found = usage(f"{LOAD}pipe.scheduler = {code}\npipe('a')")
    assert (found.scheduler, found.scheduler_config, found.unread) == ("DDIMScheduler", {}, ("scheduler_config",))


def test_the_scheduler_counts_where_the_snippet_ends_before_the_call() -> None:
    assert usage(f"{LOAD}pipe.scheduler = LCMScheduler()").scheduler == "LCMScheduler"


@pytest.mark.parametrize(
    ("code", "unread"),
    [
        ("EulerDiscreteScheduler(beta_end=0.012)", frozenset()),
        ("EulerDiscreteScheduler(beta_end=0.012, beta_start=start)", frozenset({"beta_start"})),
        ("DDIMScheduler.from_config(EulerDiscreteScheduler(beta_end=0.012).config)", frozenset()),
        ("EulerDiscreteScheduler.from_config(pipe.scheduler.config, beta_end=0.012)", None),
        ("EulerDiscreteScheduler.from_pretrained('acme/model', subfolder='scheduler', beta_end=0.012)", None),
    ],
)
def test_a_constructor_takes_nothing_from_the_repositorys_configuration(
    code: str, unread: frozenset[str] | None
) -> None:
    found = usage(f"{LOAD}pipe.scheduler = {code}\npipe('a')")
    assert (found.scheduler_config, found.scheduler_unread) == ({"beta_end": 0.012}, unread)
