"""Where a setting comes from when several places state it, and which values are taken at the limits."""

import json
from typing import Any

import pytest

from crawler.card.model_card import read_card
from crawler.card.snippets import Usage
from crawler.catalog import Hyperparameters, HyperparameterSources
from crawler.hyperparameters import decoder_scale, hyperparameters_of, settings_in_configs, valid_or_none
from crawler.pipelines.traits import describe

NOISE = {"height": 512, "width": 448, "scheduler": "PNDMScheduler", "prediction_type": "epsilon"}
FLOW = {"scheduler": "FlowMatchEulerDiscreteScheduler", "prediction_type": "flow"}
INFOTEXT = "Steps: 30, Sampler: Euler a, CFG scale: 5, Size: 640x768"


def settings_of(
    text: str = "",
    pipeline: str | None = "StableDiffusionPipeline",
    config: dict[str, Any] = NOISE,
    usage: Usage = Usage(),
    trigger: str | None = None,
) -> tuple[Hyperparameters, HyperparameterSources]:
    traits = describe(pipeline) if pipeline is not None else None
    return hyperparameters_of(traits, read_card(f"# A model\n\n{text}\n".encode()), usage, config, trigger)


def stated(name: str, **options: Any) -> tuple[Any, Any]:
    values, sources = settings_of(**options)
    return getattr(values, name), getattr(sources, name)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_inference_steps", 1, 1),
        ("num_inference_steps", 5000, 5000),
        ("num_inference_steps", 5001, None),
        ("guidance_scale", -0.5, None),
        ("guidance_scale", 1000, 1000.0),
        ("guidance_scale", 1000.5, None),
        ("height", 1, 1),
        ("height", 0, None),
        ("height", 16384, 16384),
        ("height", 16385, None),
        ("width", 16384, 16384),
        ("width", 16385, None),
        ("width", True, None),
        ("negative_prompt", "blurry", "blurry"),
        ("negative_prompt", "x" * 5000, "x" * 5000),
        ("negative_prompt", "x" * 5001, None),
    ],
)
def test_values_at_the_limits(name: str, value: Any, expected: Any) -> None:
    found = valid_or_none(name, value)
    assert (found, type(found)) == (expected, type(expected))


def test_what_the_card_states_in_words_comes_before_the_configuration() -> None:
    values, sources = settings_of(INFOTEXT)
    assert (values.num_inference_steps, values.guidance_scale, values.width, values.height) == (30, 5.0, 640, 768)
    assert (values.scheduler, values.prediction_type) == ("EulerAncestralDiscreteScheduler", "epsilon")
    named = ("num_inference_steps", "guidance_scale", "width", "height", "scheduler", "prediction_type")
    assert [getattr(sources, name) for name in named] == ["card"] * 5 + ["config"]


def test_what_the_code_states_comes_before_the_words() -> None:
    usage = Usage({"num_inference_steps": 4, "width": 1024, "negative_prompt": "blurry"}, scheduler="LCMScheduler")
    assert stated("num_inference_steps", text=INFOTEXT, usage=usage) == (4, "card")
    assert stated("width", text=INFOTEXT, usage=usage) == (1024, "card")
    assert stated("height", text=INFOTEXT, usage=usage) == (768, "card")
    assert stated("scheduler", text=INFOTEXT, usage=usage) == ("LCMScheduler", "card")
    values, _ = settings_of(usage=usage)
    assert (values.negative_prompt, values.extra) == ("blurry", None)


def test_a_number_in_words_is_held_to_the_limits() -> None:
    assert stated("num_inference_steps", text="Steps: 9000") == (50, "default")


def test_words_count_only_for_arguments_that_the_pipeline_has() -> None:
    values, _ = settings_of(INFOTEXT, "DDPMPipeline", {"scheduler": "DDPMScheduler"})
    assert (values.num_inference_steps, values.guidance_scale, values.width, values.height) == (30, None, None, None)
    values, sources = settings_of(INFOTEXT, None)
    assert (values.num_inference_steps, values.width, sources.width) == (None, 448, "config")
    assert (values.height, sources.height) == (512, "config")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (NOISE, ("EulerAncestralDiscreteScheduler", "card")),
        ({"scheduler": "PNDMScheduler"}, ("EulerAncestralDiscreteScheduler", "card")),
        (FLOW, ("FlowMatchEulerDiscreteScheduler", "config")),
        ({}, (None, None)),
    ],
)
def test_a_sampler_in_words_means_noise_prediction(config: dict[str, Any], expected: tuple[Any, Any]) -> None:
    assert stated("scheduler", text=INFOTEXT, config=config) == expected


@pytest.mark.parametrize(
    ("text", "pipeline", "expected"),
    [
        ("- CFG: 5", "StableDiffusionPipeline", (5.0, "card")),
        ("- CFG: 5\n- Guidance scale: 5", "StableDiffusionPipeline", (5.0, "card")),
        ("- CFG: 5\n- Guidance scale: 4", "StableDiffusionPipeline", (7.5, "default")),
        ("- Guidance scale: 4", "StableDiffusionPipeline", (4.0, "card")),
        # Which of its two scales is meant cannot be known.
        ("- CFG: 5", "QwenImagePipeline", (None, None)),
        ("- Guidance scale: 4", "QwenImagePipeline", (4.0, "card")),
    ],
)
def test_two_words_for_the_guidance_scale(text: str, pipeline: str, expected: tuple[Any, Any]) -> None:
    assert stated("guidance_scale", text=text, pipeline=pipeline) == expected


def test_trigger_words_of_the_code_come_before_those_of_a_file() -> None:
    assert stated("trigger_words", usage=Usage(tokens=("<cat>",)), trigger="<dog>") == ("<cat>", "card")
    assert stated("trigger_words", trigger="<dog>") == ("<dog>", "config")
    assert stated("trigger_words", trigger="") == (None, None)
    assert stated("trigger_words", usage=Usage(tokens=("x" * 5000,))) == ("x" * 5000, "card")


def test_further_arguments_are_one_text_whatever_their_order() -> None:
    arguments = {"eta": 0.5, "clip_skip": 2, "height": 640, "clean_caption": "é"}
    values, sources = settings_of(usage=Usage(arguments))
    turned, _ = settings_of(usage=Usage(dict(reversed(arguments.items()))))
    assert values.extra == turned.extra == '{"clean_caption": "é", "clip_skip": 2, "eta": 0.5}'
    assert (sources.extra, json.loads(values.extra or "")["eta"]) == ("card", 0.5)


def test_the_prediction_type_of_a_scheduler() -> None:
    scheduler = {"_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction"}
    assert settings_in_configs(scheduler, None, None) == {
        "scheduler": "EulerDiscreteScheduler",
        "prediction_type": "v_prediction",
    }
    assert settings_in_configs({"prediction_type": "sample"}, None, None) == {"prediction_type": "sample"}
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler", "prediction_type": "epsilon"}
    assert settings_in_configs(flow, None, None)["prediction_type"] == "epsilon"


@pytest.mark.parametrize("size", [[64], [64, 64, 3], [True, True], True, "64", None, [64, None], [64, None, 64]])
def test_a_sample_size_that_is_no_size_implies_none(size: Any) -> None:
    assert settings_in_configs(None, {"sample_size": size}, None) == {}


@pytest.mark.parametrize("name", ["block_out_channels", "encoder_block_out_channels", "decoder_block_out_channels"])
def test_a_decoder_doubles_the_size_between_its_blocks(name: str) -> None:
    assert [decoder_scale({name: [8] * blocks}) for blocks in (0, 1, 2, 4, 12, 13)] == [None, 1, 2, 8, 2048, None]


def test_settings_of_the_scheduler_are_one_text_and_its_prediction_type_has_a_column() -> None:
    usage = Usage(scheduler="DDIMScheduler", scheduler_config={"prediction_type": "v_prediction", "clip_sample": False})
    values, sources = settings_of(usage=usage)
    assert values.scheduler_config == '{"clip_sample": false, "prediction_type": "v_prediction"}'
    assert (sources.scheduler_config, values.prediction_type, sources.prediction_type) == (
        "card",
        "v_prediction",
        "card",
    )
    assert stated("scheduler_config") == (None, None)
    assert stated("prediction_type") == ("epsilon", "config")


def test_the_name_of_a_sampler_says_settings_where_the_code_gives_no_scheduler() -> None:
    text = "Sampler: DPM++ 2M SDE Karras"
    expected = ('{"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": true}', "card")
    assert stated("scheduler_config", text=text) == expected
    assert stated("scheduler_config", text=text, usage=Usage(scheduler="DPMSolverMultistepScheduler")) == (None, None)
    assert stated("scheduler_config", text=text, config=FLOW) == (None, None)


def test_the_scale_of_an_adapter_is_read() -> None:
    assert stated("adapter_scale", usage=Usage(adapter_scale=0.125)) == (0.125, "card")
    assert stated("adapter_scale") == (None, None)


def from_widget(parameters: str, text: str = "", usage: Usage = Usage()) -> dict[str, Any]:
    card = read_card(f"---\ninference:\n  parameters:\n{parameters}\n---\n{text}\n".encode())
    values, sources = hyperparameters_of(describe("StableDiffusionPipeline"), card, usage, NOISE)
    return {name: value for name, value in vars(values).items() if getattr(sources, name) == "card"}


def test_settings_of_the_widget_come_after_code_and_text() -> None:
    given = "    num_inference_steps: 25\n    guidance_scale: 5\n    negative_prompt: ugly\n    width: 768"
    assert from_widget(given, "Steps: 30", Usage({"guidance_scale": 2.5})) == {
        "num_inference_steps": 30,
        "guidance_scale": 2.5,
        "negative_prompt": "ugly",
        "width": 768,
    }


def test_only_arguments_of_the_call_are_read_in_the_widget() -> None:
    assert from_widget("    seed: 3\n    wings: 2\n    prompt: cat\n    clip_skip: 2\n    eta: 0.5") == {
        "extra": '{"clip_skip": 2, "eta": 0.5}'
    }
    assert from_widget("    width: wide\n    height: [1]\n    guidance_scale: true\n    eta: null") == {}
    assert read_card(b"---\ninference: false\nwidget:\n- text: cat\n---\n").metadata["inference"] == "false"
    for inference in ("true", "[a]", "{parameters: 3}", "{parameters: [a]}"):
        card = read_card(f"---\ninference: {inference}\n---\n".encode())
        _, sources = hyperparameters_of(describe("StableDiffusionPipeline"), card, Usage(), {})
        assert "card" not in vars(sources).values()


@pytest.mark.parametrize(
    ("text", "usage", "trigger", "expected"),
    [
        ("A cat.", Usage(tokens=("<cat>",)), None, ("<cat>", None)),
        ("A cat.", Usage(tokens=("<cat>", "<dog>")), None, ("<cat>, <dog>", None)),
        ("A negative embedding.", Usage(tokens=("<bad>",)), None, (None, "<bad>")),
        ("A negative embedding.", Usage(), "<bad>", (None, "<bad>")),
        ("Put it into the negative prompt.", Usage(), "<bad>", (None, "<bad>")),
        (
            "x",
            Usage({"prompt": "cat", "negative_prompt": "<bad>, ugly"}, tokens=("<bad>",)),
            None,
            (None, "<bad>, ugly"),
        ),
        ("x", Usage({"prompt": "<cat>", "negative_prompt": "ugly"}, tokens=("<cat>",)), None, ("<cat>", "ugly")),
        ("A negative embedding.", Usage({"negative_prompt": "ugly"}, tokens=("<bad>",)), None, (None, "<bad>, ugly")),
        ("x", Usage(embedding_file="e.safetensors", tokens=("<s0>", "<s1>")), None, ("<s0><s1>", None)),
        (
            "Trigger word: `a <s0><s1> cat`",
            Usage(embedding_file="e", tokens=("<s0>", "<s1>")),
            None,
            ("a <s0><s1> cat", None),
        ),
    ],
)
def test_tokens_of_embeddings_are_in_the_prompt_where_they_belong(
    text: str, usage: Usage, trigger: str | None, expected: tuple[Any, Any]
) -> None:
    values, sources = settings_of(text, usage=usage, trigger=trigger)
    assert (values.trigger_words, values.negative_prompt) == expected
    assert (sources.trigger_words is None, sources.negative_prompt is None) == tuple(
        value is None for value in expected
    )


def test_tokens_replace_the_concept_of_the_instance_prompt() -> None:
    text = "to trigger concept `TOK` → use `<s0><s1>` in your prompt"
    card = read_card(f"---\ninstance_prompt: a TOK cat, TOKEN\n---\n{text}\n".encode())
    usage = Usage(embedding_file="e", tokens=("<s0>", "<s1>"))
    assert hyperparameters_of(None, card, usage, {})[0].trigger_words == "a <s0><s1> cat, TOKEN"
