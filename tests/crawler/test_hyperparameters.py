import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.card.call_fields import MAX_PIXELS, MAX_SCALE, MAX_STEPS, MAX_TEXT
from crawler.card.model_card import Card, read_card
from crawler.card.snippets import Usage
from crawler.catalog import Hyperparameters
from crawler.hyperparameters import hyperparameters_of, settings_in_configs, texts_too_long, valid_or_none
from crawler.pipelines.traits import describe

CONFIG = {"height": 512, "width": 512, "scheduler": "PNDMScheduler", "prediction_type": "epsilon"}


def test_the_card_comes_before_the_config_and_the_config_before_the_default() -> None:
    usage = Usage({"num_inference_steps": 4, "height": 768, "clip_skip": 2, "prompt": "a"}, scheduler="LCMScheduler")
    values, sources = hyperparameters_of(describe("StableDiffusionPipeline"), Card(), usage, CONFIG)
    assert (values.num_inference_steps, sources.num_inference_steps) == (4, "card")
    assert (values.scheduler, sources.scheduler) == ("LCMScheduler", "card")
    assert (values.height, sources.height) == (768, "card")
    assert (values.width, sources.width) == (512, "config")
    assert (values.prediction_type, sources.prediction_type) == ("epsilon", "config")
    assert (values.guidance_scale, sources.guidance_scale) == (7.5, "default")
    assert (values.negative_prompt, sources.negative_prompt) == (None, None)
    assert (json.loads(values.extra or ""), sources.extra) == ({"clip_skip": 2}, "card")


def test_a_value_has_a_source_and_no_value_has_none() -> None:
    usage = Usage({"guidance_scale": 0})
    values, sources = hyperparameters_of(None, read_card(b"---\ninstance_prompt: sks dog\n---\n"), usage, CONFIG)
    for name in vars(values):
        assert (getattr(values, name) is None) == (getattr(sources, name) is None), name
    assert values.trigger_words == "sks dog"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_inference_steps", 50, 50),
        ("num_inference_steps", 0, None),
        ("num_inference_steps", True, None),
        ("num_inference_steps", 10**9, None),
        ("num_inference_steps", "50", None),
        ("num_inference_steps", MAX_STEPS, MAX_STEPS),
        ("num_inference_steps", MAX_STEPS + 1, None),
        ("guidance_scale", MAX_SCALE, MAX_SCALE),
        ("width", MAX_PIXELS, MAX_PIXELS),
        ("width", MAX_PIXELS + 1, None),
        ("guidance_scale", 0, 0.0),
        ("guidance_scale", 1e300, None),
        ("guidance_scale", [7.5], None),
        ("height", 512, 512),
        ("height", 512.5, None),
        ("negative_prompt", "", None),
        ("negative_prompt", 3, None),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_skipped(name: str, value: Any, expected: Any) -> None:
    assert valid_or_none(name, value) == expected


def test_a_token_comes_from_the_code_then_from_the_text_then_from_a_file() -> None:
    card = read_card(b"---\ninstance_prompt: sks dog\n---\n")
    for usage, stated, expected in (
        (Usage(tokens=("<cat>",)), card, ("<cat>", "card")),
        (Usage(), card, ("sks dog", "card")),
        (Usage(), Card(), ("<toy>", "config")),
    ):
        values, sources = hyperparameters_of(None, stated, usage, {}, token="<toy>")
        assert (values.trigger_words, sources.trigger_words) == expected


def from_text(pipeline: str, text: str, config: dict[str, Any]) -> dict[str, Any]:
    values, sources = hyperparameters_of(describe(pipeline), Card(body=text), Usage(), config)
    return {name: value for name, value in vars(values).items() if getattr(sources, name) == "card"}


def test_cfg_is_the_guidance_scale_where_the_pipeline_has_one_scale() -> None:
    assert from_text("StableDiffusionPipeline", "CFG: 7", CONFIG) == {"guidance_scale": 7.0}
    assert from_text("StableDiffusionPipeline", "CFG: 7\nGuidance scale: 7", CONFIG) == {"guidance_scale": 7.0}
    assert from_text("StableDiffusionPipeline", "CFG: 7\nGuidance scale: 3", CONFIG) == {}
    assert from_text("FluxPipeline", "CFG: 7", CONFIG) == {}


def test_text_gives_no_setting_that_the_pipeline_does_not_have() -> None:
    assert from_text("DDPMPipeline", "Steps: 30\nGuidance scale: 7", CONFIG) == {"num_inference_steps": 30}


def test_samplers_in_text_are_read_for_noise_prediction_only() -> None:
    flow = {**CONFIG, "prediction_type": "flow"}
    assert from_text("StableDiffusionPipeline", "Sampler: Euler", CONFIG) == {"scheduler": "EulerDiscreteScheduler"}
    assert from_text("StableDiffusionPipeline", "Sampler: Euler", flow) == {}
    assert from_text("StableDiffusionPipeline", "Sampler: Euler", {}) == {}


def test_a_text_that_is_too_long_is_unread_never_cut() -> None:
    for size, expected in ((MAX_TEXT, ()), (MAX_TEXT + 1, ("negative_prompt",))):
        usage = Usage({"negative_prompt": "x" * size})
        values, _ = hyperparameters_of(None, Card(), usage, {})
        assert values.negative_prompt == (None if expected else "x" * size)
        assert texts_too_long(Card(), usage) == expected
    usage = Usage(tokens=("x" * MAX_TEXT, "y"))
    assert hyperparameters_of(None, Card(), usage, {})[0].trigger_words is None
    assert texts_too_long(Card(), usage) == ("trigger_words",)


def test_the_size_is_that_of_the_denoiser_times_the_scale_of_the_decoder() -> None:
    vae = {"block_out_channels": [1, 2, 3, 4]}
    assert settings_in_configs(None, {"sample_size": 64}, vae) == {"height": 512, "width": 512}
    assert settings_in_configs(None, {"sample_size": [32, 64]}, vae) == {"height": 256, "width": 512}
    assert settings_in_configs(None, {"sample_size": 32}, {"encoder_block_out_channels": [1] * 6}) == {
        "height": 1024,
        "width": 1024,
    }
    assert settings_in_configs(None, {"sample_size": 32}, None) == {"height": 32, "width": 32}
    assert settings_in_configs(None, {"sample_size": 32}, {}) == {}
    assert settings_in_configs(None, {"sample_size": True}, None) == {}
    assert settings_in_configs(None, {"sample_size": 32}, {"block_out_channels": [1] * 13}) == {}


def test_flow_matching_is_a_prediction_type() -> None:
    scheduler = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    assert settings_in_configs(scheduler, None, None) == {
        "scheduler": "FlowMatchEulerDiscreteScheduler",
        "prediction_type": "flow",
    }


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(
    st.sampled_from(["_class_name", "prediction_type", "sample_size", "block_out_channels"]), json_like
)


@given(objects, objects, objects)
def test_configurations_of_any_types_give_values_of_the_column_types(
    scheduler: dict[str, Any], denoiser: dict[str, Any], decoder: dict[str, Any]
) -> None:
    from workspace.records import to_table

    values, _ = hyperparameters_of(None, Card(), Usage(), settings_in_configs(scheduler, denoiser, decoder))
    to_table(Hyperparameters, [values])


def test_a_scheduler_made_by_its_constructor_has_the_defaults_of_its_class() -> None:
    given = {"beta_end": 0.012}
    name = "EulerDiscreteScheduler"
    made = Usage(scheduler=name, scheduler_config=given, scheduler_unread=frozenset({"steps_offset"}))
    values, sources = hyperparameters_of(None, Card(), made, {"prediction_type": "v_prediction"})
    config = json.loads(values.scheduler_config or "")
    assert config["beta_end"] == 0.012
    assert (config["timestep_spacing"], config["use_karras_sigmas"]) == ("linspace", False)
    assert "steps_offset" not in config
    assert (values.prediction_type, sources.prediction_type) == ("epsilon", "card")
    values, sources = hyperparameters_of(
        None, Card(), Usage(scheduler=name, scheduler_config=given), {"prediction_type": "v_prediction"}
    )
    assert json.loads(values.scheduler_config or "") == given
    assert (values.prediction_type, sources.prediction_type) == ("v_prediction", "config")
