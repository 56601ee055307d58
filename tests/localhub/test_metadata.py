import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localhub.metadata import Metadata, derive
from localhub.request_errors import BadRequest
from tests.bounds import within
from tests.fuzzing import fuzzed


def metadata(kind: str = "model", card: str = "", **files: object) -> Metadata:
    """The metadata of some files; in their names, a double underscore means a slash, `_dot_` a dot."""
    contents = {"README.md": f"---\n{card}\n---\nSee arxiv.org/abs/2401.01234.".encode()} if card else {}
    for name, content in files.items():
        path = name.replace("__", "/").replace("_dot_", ".")
        contents[path] = content if isinstance(content, bytes) else json.dumps(content).encode()
    return derive(
        kind,
        {path: len(c) for path, c in contents.items()},
        lambda path, limit: contents[path][: limit if limit >= 0 else None],
    )


def test_a_diffusers_repository_is_known_by_its_model_index() -> None:
    found = metadata(
        card="license: openrail\ntags: [toy]\nlanguage: en\ndatasets: [a/b]\nbase_model: x/y",
        model_index_dot_json={"_class_name": "StableDiffusionPipeline"},
        unet__w_dot_safetensors=b"1",
    )
    assert found.tags == [
        "diffusers",
        "safetensors",
        "toy",
        "en",
        "dataset:a/b",
        "arxiv:2401.01234",
        "base_model:x/y",
        "base_model:finetune:x/y",
        "license:openrail",
        "diffusers:StableDiffusionPipeline",
        "region:us",
    ]
    assert (found.library_name, found.pipeline_tag) == ("diffusers", "text-to-image")
    assert found.config == {"diffusers": {"_class_name": "StableDiffusionPipeline"}}
    assert found.base_models == {"relation": "finetune", "models": [{"id": "x/y"}]}


@pytest.mark.parametrize(
    ("card", "files", "relation"),
    [
        ("base_model: x/y\ntags: [lora]", {}, "adapter"),
        ("base_model: x/y", {"pytorch_lora_weights_dot_safetensors": b"1"}, "adapter"),
        ("base_model: x/y", {"adapter_config_dot_json": {}}, "adapter"),
        ("base_model: x/y", {"q4_dot_gguf": b"1"}, "quantized"),
        ("base_model: [x/y, x/z]", {}, "merge"),
        ("base_model: x/y\nbase_model_relation: quantized\ntags: [lora]", {}, "quantized"),
    ],
)
def test_the_relation_to_the_base_model(card: str, files: dict[str, object], relation: str) -> None:
    found = metadata(card=card, **files)
    assert found.base_models is not None
    assert found.base_models["relation"] == relation
    assert f"base_model:{relation}:x/y" in found.tags


@pytest.mark.parametrize(
    ("pipeline", "task"),
    [
        ("FluxPipeline", "text-to-image"),
        ("StableDiffusionImg2ImgPipeline", "image-to-image"),
        ("TextToVideoSDPipeline", "text-to-video"),
        ("StableVideoDiffusionPipeline", "image-to-video"),
        ("AudioLDMPipeline", "text-to-audio"),
        ("DDPMPipeline", None),
    ],
)
def test_the_task_follows_from_the_pipeline_class(pipeline: str, task: str | None) -> None:
    assert metadata(model_index_dot_json={"_class_name": pipeline}).pipeline_tag == task


def test_the_card_decides_library_and_task() -> None:
    found = metadata(
        card="library_name: mine\npipeline_tag: image-to-3d", model_index_dot_json={"_class_name": "FluxPipeline"}
    )
    assert (found.library_name, found.pipeline_tag) == ("mine", "image-to-3d")
    assert metadata(card="tags: [unconditional-image-generation]").pipeline_tag == "unconditional-image-generation"


def test_the_library_follows_from_the_files() -> None:
    assert metadata(config_dot_json={"model_type": "blip"}).library_name == "transformers"
    assert metadata(config_dot_json={"model_type": "blip"}).config == {"model_type": "blip"}
    assert metadata(adapter_config_dot_json={}).library_name == "peft"
    assert metadata(card="tags: [diffusers]").library_name == "diffusers"
    assert metadata(notes_dot_txt=b"").library_name is None


def test_parameters_are_counted_from_the_header() -> None:
    header = json.dumps(
        {"__metadata__": {}, "a": {"dtype": "F32", "shape": [2, 3]}, "b": {"dtype": "F16", "shape": []}}
    )
    content = struct.pack("<Q", len(header)) + header.encode() + b"\0" * 26
    assert metadata(model_dot_safetensors=content).safetensors == {"parameters": {"F32": 6, "F16": 1}, "total": 7}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 4) + b"[1]]",
        struct.pack("<Q", 2) + b"[]",
        b"\0" * 8,
    ],
)
def test_an_invalid_header_gives_no_count(content: bytes) -> None:
    assert metadata(model_dot_safetensors=content).safetensors is None


@pytest.mark.attack
@pytest.mark.parametrize(
    "tensor",
    [
        '{"dtype": "F32", "shape": [1e999]}',
        '{"dtype": "F32", "shape": [-1]}',
        '{"dtype": "F32", "shape": [9223372036854775807, 2]}',
        f'{{"dtype": "F32", "shape": [{"9" * 4000}, {"9" * 4000}]}}',
        f'{{"dtype": "F32", "shape": {[2] * 100}}}',
        '{"dtype": "F32", "shape": "22"}',
        '{"dtype": "F32", "shape": [true]}',
        '{"dtype": "F32", "shape": [NaN]}',
        '{"dtype": "\\ud800", "shape": [1]}',
        f'{{"dtype": "{"F" * 1000}", "shape": [1]}}',
        '{"dtype": ["F32"], "shape": [1]}',
    ],
)
def test_a_tensor_that_cannot_exist_is_refused(tensor: str) -> None:
    header = f'{{"a": {tensor}}}'.encode()
    with pytest.raises(BadRequest, match=r"model\.safetensors"):
        metadata(model_dot_safetensors=struct.pack("<Q", len(header)) + header)


tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "f", ""]) | st.text(max_size=3),
        "shape": st.lists(st.integers() | st.floats() | st.sampled_from([2**62, 10**400]), max_size=5) | st.text(),
    }
)


@fuzzed(80)
@given(st.dictionaries(st.text(max_size=5), tensors | st.none() | st.integers(), max_size=5), st.integers(-3, 3))
def test_any_header_of_weights_is_counted_ignored_or_refused(header: dict[str, object], more: int) -> None:
    text = json.dumps(header).encode()
    content = struct.pack("<Q", max(0, len(text) + more)) + text + b"\0" * max(0, more)
    with within(seconds=5, megabytes=100), suppress(BadRequest):
        found = metadata(model_dot_safetensors=content).safetensors
        assert len(json.dumps(found)) < 2000


@pytest.mark.attack
def test_the_largest_header_takes_seconds() -> None:
    for piece in (b'"a": {"dtype": "F32", "shape": [2, 2]}, ', b"[", b'{"a":', b'"\\ud800": 1, ', b"9"):
        header = b"{" + piece * (10 * 2**20 // len(piece)) + b'"b": {"dtype": "F32", "shape": [1]}}'
        with within(seconds=10), suppress(BadRequest):
            metadata(model_dot_safetensors=struct.pack("<Q", len(header)) + header)


def test_broken_json_and_yaml_give_no_metadata() -> None:
    found = metadata(card="license: [mit", model_index_dot_json=b"{", config_dot_json=b"[" * 100_000)
    assert found == Metadata(tags=["arxiv:2401.01234", "region:us"])


def test_a_dataset_has_the_tags_of_its_card() -> None:
    found = metadata(
        "dataset", "license: mit\nlanguage: [en, de]\ntask_categories: [text-to-image]\nsize_categories: n<1K"
    )
    assert found.tags == [
        "task_categories:text-to-image",
        "language:en",
        "language:de",
        "license:mit",
        "size_categories:n<1K",
        "region:us",
    ]


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_files_have_metadata(readme: bytes, index: bytes, weights: bytes) -> None:
    files = {"README.md": b"---\n" + readme + b"\n---\n", "model_index.json": index, "model.safetensors": weights}
    sizes = {path: len(content) for path, content in files.items()}
    json.dumps(derive("model", sizes, lambda path, limit: files[path][: limit if limit >= 0 else None]).tags)
