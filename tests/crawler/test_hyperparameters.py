import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.card.model_card import Card, read_card
from crawler.card.snippets import Usage
from crawler.catalog import Hyperparameters
from crawler.hyperparameters import hyperparameters_of, settings_in_configs, valid_or_none
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


@settings(deadline=None)
@given(objects, objects, objects)
def test_configurations_of_any_types_give_values_of_the_column_types(
    scheduler: dict[str, Any], denoiser: dict[str, Any], decoder: dict[str, Any]
) -> None:
    from workspace.records import to_table

    values, _ = hyperparameters_of(None, Card(), Usage(), settings_in_configs(scheduler, denoiser, decoder))
    to_table(Hyperparameters, [values])
