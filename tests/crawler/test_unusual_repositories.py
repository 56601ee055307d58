"""What the catalogue says of repositories in unusual layouts: the verdict, and everything that sampling needs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import CatalogEntry
from crawler.crawl import crawl
from crawler.options import CrawlOptions
from crawler.pipelines.packages import is_installed
from localhub.process import HubProcess
from tests.crawler.conftest import ALL
from tests.crawler.repositories import SD_INDEX
from tests.crawler.unusual import adapters, decoders, layouts
from tests.hubs import fill
from workspace.layout import Workspace


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("unusual")
    for place, (name, files) in enumerate({**layouts(), **adapters(), **decoders()}.items()):
        fill(directory, name, files, downloads=1000 - place)
    with HubProcess(directory) as running:
        yield running


def crawled(hub: HubProcess, folder: Path, options: CrawlOptions = ALL) -> dict[str, CatalogEntry]:
    found = crawl(Workspace.open(folder), replace(options, endpoint=hub.endpoint))
    return {entry.model_name: entry for entry in found.entries}


@pytest.fixture(scope="module")
def rows(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CatalogEntry]:
    return crawled(hub, tmp_path_factory.mktemp("workspace"))


REASONS: dict[str, tuple[str, str]] = {
    "odd/root-of-another": ("missing-files", "the folder unet/ of UNet2DConditionModel"),
    "odd/no-vae": ("missing-files", "names no vae, which StableDiffusionPipeline needs"),
    "odd/sd3-unnamed-t5": ("missing-files", "names no text_encoder_3"),
    "odd/inpainting-unet": ("needs-input-image", "unet takes 9 channels and returns 4"),
    "odd/flux-fill": ("needs-input-image", "transformer takes 384 channels and returns 64"),
    "odd/t5-in-8-bits": ("quantized-only", "text_encoder_2/config.json"),
    "odd/clip-in-8-bits": ("quantized-only", "text_encoder/config.json"),
    "odd/onnxruntime": ("onnx-only", "ORTStableDiffusionPipeline"),
    "odd/onnxruntime-part": ("onnx-only", "ORTModelForUnet"),
    "odd/openvino": ("other-format", "OVStableDiffusionXLPipeline"),
    "odd/neuron": ("other-format", "NeuronStableDiffusionPipeline"),
    "odd/openvino-beside-index": ("other-format", "text_encoder/"),
    "hf-internal-testing/tiny-sd-pipe": ("test-repository", "--include-test-repositories"),
    "someone/tiny-random-flux": ("test-repository", "--include-test-repositories"),
    "odd/controlnet": ("no-model-index", "has no model_index.json"),
    "odd/two-bases": ("base-ambiguous", "names 2 bases, and its code loads none"),
    "odd/pivotal-without-embeddings": ("missing-files", "the embeddings of the tokens <s0> <s1>"),
    "odd/control-in-code": ("needs-input-image", "FluxControlPipeline"),
    "odd/sd-control-lora": ("needs-input-image", "sd-control-lora"),
    "odd/in-pickles": ("pickle-only", "unet/"),
    "odd/lora-on-pickles": ("pickle-only", "its base model odd/in-pickles"),
    "odd/lora-in-pickle": ("pickle-only", "the LoRA"),
    "odd/inversion-in-pickle": ("pickle-only", "the embedding"),
    "odd/inversion-in-pickle-without-base": ("base-missing", "names a base_model"),
    "odd/web-ui": ("pickle-only", "the embedding"),
    "odd/scheduler-of-tomorrow": ("unknown-class", "WarpDriveScheduler"),
    "odd/prior": ("no-image-output", "KandinskyV22PriorPipeline"),
    "odd/prior-without-encoder": ("no-image-output", "KandinskyV22PriorPipeline"),
    "odd/decoder-alone": ("needs-input-image", "names none (`prior:` in front matter)"),
    "odd/decoder-of-nobody": ("missing-files", "prior: odd/nowhere does not exist"),
    "odd/decoder-of-a-part": ("missing-files", "its prior odd/prior-without-encoder"),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_cannot_be_sampled_is_known_before_a_weight_is_downloaded(
    name: str, rows: dict[str, CatalogEntry]
) -> None:
    reason, words = REASONS[name]
    assert rows[name].reason == reason, rows[name].reason_detail
    assert words in (rows[name].reason_detail or "")


def test_everything_else_is_compatible(rows: dict[str, CatalogEntry]) -> None:
    known = {**REASONS, "odd/qwen": ()}
    assert {name: row.reason_detail for name, row in rows.items() if row.reason and name not in known} == {}


def test_a_component_without_its_package_is_named(rows: dict[str, CatalogEntry]) -> None:
    entry = rows["odd/qwen"]
    if is_installed("torchvision"):
        assert entry.reason is None
    else:
        detail = "text_processor: Qwen2VLProcessor needs torchvision, which is not installed"
        assert (entry.reason, entry.reason_detail) == ("needs-package", detail)


def paths(files: Any) -> list[str]:
    return [file.path for file in files]


def test_files_at_the_root_are_listed_as_they_are_loaded(rows: dict[str, CatalogEntry]) -> None:
    entry = rows["odd/root"]
    assert paths(entry.files) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
        "model_index.json",
        "scheduler_config.json",
    ]
    assert (entry.hyperparameters.height, entry.task, entry.architecture) == (32, "unconditional", "PixDiff")


def test_the_scheduler_is_the_one_that_the_index_names(rows: dict[str, CatalogEntry]) -> None:
    entry = rows["odd/scheduler-of-another-file"]
    named = SD_INDEX["scheduler"][1]
    assert named != "DDIMScheduler"
    assert (entry.hyperparameters.scheduler, entry.hyperparameter_sources.scheduler) == (named, "config")


def test_entries_that_the_class_does_not_take_are_ignored(rows: dict[str, CatalogEntry]) -> None:
    assert paths(rows["odd/extra-entries"].files) == paths(rows["odd/sd"].files)


def test_sd3_is_sampled_without_its_third_text_encoder(rows: dict[str, CatalogEntry]) -> None:
    assert not [path for path in paths(rows["odd/sd3-without-t5"].files) if "_3/" in path]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("odd/lora-by-relation", {"kind": "lora", "adapter_file": "MyStyle.safetensors", "base_model": "odd/sd"}),
        ("odd/base-in-code", {"base_model": "odd/sd"}),
        ("odd/one-of-two-in-code", {"base_model": "odd/turbo"}),
        ("odd/in-subfolder", {"adapter_file": "v2/style.safetensors"}),
        (
            "odd/pivotal",
            {
                "adapter_file": "pytorch_lora_weights.safetensors",
                "embedding_file": "toy_emb.safetensors",
                "embedding_tokens": ("<s0>", "<s1>"),
            },
        ),
        (
            "odd/pivotal-without-code",
            {
                "adapter_file": "toy.safetensors",
                "embedding_file": "embeddings.safetensors",
                "embedding_tokens": ("<s0>", "<s1>"),
            },
        ),
        ("odd/concept", {"adapter_file": "learned_embeds.safetensors", "embedding_tokens": ("<toy>",)}),
        ("odd/inversion-in-pickle", {"adapter_file": "learned_embeds.bin", "embedding_tokens": ("<toy>",)}),
        ("odd/web-ui", {"adapter_file": "MyStyle.pt", "embedding_tokens": ("MyStyle",)}),
        ("odd/sd", {"adapter_file": None, "embedding_tokens": ()}),
    ],
)
def test_the_files_and_tokens_of_an_adapter_are_in_its_row(
    name: str, expected: dict[str, Any], rows: dict[str, CatalogEntry]
) -> None:
    entry = rows[name]
    assert {field: getattr(entry, field) for field in expected} == expected
    named = {path for path in (entry.adapter_file, entry.embedding_file) if path is not None}
    assert entry.kind == "checkpoint" or set(paths(entry.files)) == named


def test_an_adapter_that_only_a_pickle_keeps_from_sampling_has_all_its_files(rows: dict[str, CatalogEntry]) -> None:
    for name in ("odd/lora-on-pickles", "odd/lora-in-pickle", "odd/inversion-in-pickle", "odd/web-ui"):
        entry = rows[name]
        assert entry.files, name
        assert entry.base_files, name
        assert entry.task == "text-to-image"
    assert "unet/diffusion_pytorch_model.bin" in paths(rows["odd/lora-on-pickles"].base_files)


def test_what_the_card_of_the_base_says_holds_unless_the_own_card_says_otherwise(
    rows: dict[str, CatalogEntry],
) -> None:
    entry, own = rows["odd/on-turbo"], rows["odd/on-turbo-with-steps"]
    settings, sources = entry.hyperparameters, entry.hyperparameter_sources
    assert (settings.num_inference_steps, settings.guidance_scale, settings.trigger_words) == (1, 0.0, "pixel art")
    assert (sources.num_inference_steps, sources.guidance_scale, sources.height) == ("base", "base", "config")
    assert (own.hyperparameters.num_inference_steps, own.hyperparameters.guidance_scale) == (8, 0.0)
    assert (own.hyperparameter_sources.num_inference_steps, own.hyperparameter_sources.guidance_scale) == (
        "card",
        "base",
    )


@pytest.mark.parametrize(
    ("name", "negative", "trigger"),
    [
        ("odd/negative-in-code", "<bad>, blurry", None),
        ("odd/negative-in-words", "EasyBad", None),
        ("odd/not-negative", None, "<toy>"),
    ],
)
def test_a_negative_embedding_is_in_the_negative_prompt_only(
    name: str, negative: str | None, trigger: str | None, rows: dict[str, CatalogEntry]
) -> None:
    settings = rows[name].hyperparameters
    assert (settings.negative_prompt, settings.trigger_words) == (negative, trigger)


def test_a_decoder_and_its_prior_are_sampled_as_one_pipeline(rows: dict[str, CatalogEntry]) -> None:
    entry, prior = rows["odd/decoder"], rows["odd/prior"]
    assert (entry.task, entry.hf_diffusers_tag) == ("text-to-image", "KandinskyV22Pipeline")
    assert (entry.prior_model, entry.prior_revision) == ("odd/prior", prior.revision)
    assert "prior/diffusion_pytorch_model.safetensors" in paths(entry.prior_files)
    assert entry.download_bytes == sum(file.size for file in (*entry.files, *entry.prior_files))
    # Those of the combined call.
    assert (entry.hyperparameters.num_inference_steps, entry.hyperparameters.guidance_scale) == (100, 4.0)


def test_the_strictest_licence_of_a_model_and_its_ancestors_is_in_effect(rows: dict[str, CatalogEntry]) -> None:
    entry = rows["odd/on-turbo"]
    name = "flux-1-dev-non-commercial-license"
    assert (entry.license, entry.license_family) == ("MIT", "open")
    assert (entry.license_effective, entry.license_family_effective) == (name, "non-commercial")
    assert entry.license_chain == ("odd/on-turbo: MIT", f"odd/turbo: {name}")
    decoder = rows["odd/decoder"]
    assert (decoder.license_effective, decoder.license_chain[1]) == ("CC-BY-NC-4.0", "odd/prior: CC-BY-NC-4.0")


def test_test_repositories_are_inspected_if_they_are_wanted(hub: HubProcess, tmp_path: Path) -> None:
    options = replace(ALL, include=("*/tiny-*",), include_test_repositories=True)
    found = crawled(hub, tmp_path, options)
    assert {name: entry.reason for name, entry in found.items()} == {
        "hf-internal-testing/tiny-sd-pipe": None,
        "someone/tiny-random-flux": None,
    }
