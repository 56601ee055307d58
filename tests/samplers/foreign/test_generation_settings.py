"""What files say of how they were generated, in the forms of several programs; nothing that is said ends a reader."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.foreign.generation_settings import GenerationSettings, generation_settings
from tests.bounds import within
from tests.samplers.foreign.making import comfyui


def _read(field: str, text: str) -> GenerationSettings:
    found = generation_settings({"Title": "something", field: text})
    assert found is not None
    return found


def test_the_web_uis_text_may_lack_any_of_its_parts() -> None:
    assert _read("parameters", "a cat\nSteps: 4, Seed: 1").negative_prompt is None
    only_negative = _read("parameters", "Negative prompt: dogs\nSteps: 4")
    assert (only_negative.prompt, only_negative.negative_prompt) == (None, "dogs")
    lines = _read(
        "parameters", "a cat,\nSteps of stone\nNegative prompt: a,\nb\nSteps: 30, Sampler: DPM++ 2M, Model: x"
    )
    assert (lines.prompt, lines.negative_prompt, lines.model) == ("a cat,\nSteps of stone", "a,\nb", "x")
    quoted = _read("parameters", 'a cat\nSteps: 3, Lora hashes: "one: 1, two: 2", CFG scale: 4, Seed: 9')
    assert (quoted.guidance_scale, quoted.seed) == (4.0, 9)
    assert generation_settings({"parameters": "just a text"}) is None


@pytest.mark.parametrize(
    ("field", "values", "written_by"),
    [
        (
            "invokeai_metadata",
            {"positive_prompt": "a cat", "steps": 9, "cfg_scale": 2, "model": {"name": "m"}},
            "invokeai",
        ),
        ("Comment", {"prompt": "a cat", "uc": "bad", "steps": 9, "scale": 2}, "novelai"),
        ("parameters", {"prompt": "a cat", "steps": 9, "guidance_scale": 2, "base_model": "m"}, "fooocus"),
    ],
)
def test_json_of_other_programs_is_read(field: str, values: dict[str, Any], written_by: str) -> None:
    found = _read(field, json.dumps(values))
    assert (found.written_by, found.prompt, found.steps, found.guidance_scale) == (written_by, "a cat", 9, 2.0)


def test_the_prompt_of_a_graph_is_what_the_sampler_is_conditioned_by() -> None:
    graph = json.loads(comfyui("a boat"))
    # Through a node that passes the conditioning on, and a node with the text alone.
    graph["9"] = {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["6", 0]}}
    graph["3"]["inputs"]["positive"] = ["9", 0]
    graph["6"]["inputs"]["text"] = ["8", 0]
    graph["8"] = {"class_type": "PrimitiveString", "inputs": {"value": "a boat"}}
    assert _read("prompt", json.dumps(graph)).prompt == "a boat"
    flux = {
        "1": {"class_type": "BasicGuider", "inputs": {"conditioning": ["2", 0]}},
        "2": {"class_type": "CLIPTextEncodeFlux", "inputs": {"t5xxl": "a boat", "clip_l": "a boat"}},
        "3": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        "4": {"class_type": "BasicScheduler", "inputs": {"steps": 20}},
    }
    found = _read("prompt", json.dumps(flux))
    assert (found.prompt, found.seed, found.steps) == ("a boat", 5, 20)


def test_a_graph_that_leads_in_a_circle_or_to_two_texts_has_no_prompt() -> None:
    graph = json.loads(comfyui("a boat"))
    graph["6"]["inputs"]["text"] = ["6", 0]
    assert _read("prompt", json.dumps(graph)).prompt is None
    graph["6"]["inputs"] = {"text_g": "a boat", "text_l": "x", "clip_l": "a house"}
    assert _read("prompt", json.dumps(graph)).prompt is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["inputs", "class_type", "prompt", "steps", "1"]), inner)
    ),
    max_leaves=20,
)
_FIELDS = st.sampled_from(["parameters", "prompt", "exif:Make", "exif:UserComment", "invokeai_metadata", "Comment"])


@given(_FIELDS, st.text() | _JSON.map(json.dumps) | st.text().map(lambda text: f"{text}\nSteps: 3, Seed: {text}"))
def test_no_text_ends_the_reader_and_numbers_are_of_their_kind(field: str, text: str) -> None:
    found = generation_settings({field: text})
    if found is not None:
        assert found.steps is None or 0 <= found.steps < 1 << 63
        assert found.guidance_scale is None or 0 <= found.guidance_scale <= 1000
        assert found.prompt is None or found.prompt.strip()


@pytest.mark.attack
@pytest.mark.parametrize(
    "piece", ["a", " ", "a ", 'ab: "', 'ab: "a, ', 'ab: "\\', "Steps: 1\n", "Negative prompt:", '"']
)
def test_a_megabyte_that_was_made_to_take_hours_takes_seconds(piece: str) -> None:
    text = "a cat\nSteps: 1, " + piece * (10**6 // len(piece))
    with within(seconds=4):
        generation_settings({"parameters": text})
