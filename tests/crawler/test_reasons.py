import pytest

from crawler.catalog import CatalogEntry
from crawler.reasons import TEMPORARY, Reason
from tests.crawler.repositories import wild

EXPECTED = {
    "acme/base": None,
    "acme/everything": None,
    "acme/halves": None,
    "acme/gated": "gated",
    "acme/disabled": "disabled",
    "acme/pickles": "pickle-only",
    "acme/quantized": "quantized-only",
    "acme/custom-pipeline": "remote-code",
    "acme/custom-unet": "remote-code",
    "acme/film": "video",
    "acme/sound": "audio",
    "acme/inpainting": "needs-input-image",
    "acme/controlnet-pipeline": "needs-input-image",
    "acme/depth": "no-image-output",
    "acme/attention": "needs-other-input",
    "acme/from-the-future": "unknown-class",
    "acme/future-component": "unknown-class",
    "acme/flax-pipeline": "other-format",
    "acme/onnx-pipeline": "onnx-only",
    "acme/no-weights": "missing-files",
    "acme/no-tokenizer": "missing-files",
    "acme/broken-index": "malformed",
    "acme/list-index": "malformed",
    "acme/broken-config": "malformed",
    "acme/broken-card": None,
    "acme/single-file": "no-model-index",
    "acme/gguf": "quantized-only",
    "acme/onnx": "onnx-only",
    "acme/controlnet": "no-model-index",
    "acme/lora": None,
    "acme/lora-without-base": "base-missing",
    "acme/lora-lost-base": "base-missing",
    "acme/lora-two-bases": "base-ambiguous",
    "acme/lora-bad-base": "pickle-only",
    "acme/lora-many": "ambiguous-weights",
    "acme/lora-pickle": "pickle-only",
    "acme/concept": None,
    "acme/concept-pickle": "pickle-only",
}


def test_every_test_repository_has_an_expected_reason() -> None:
    assert EXPECTED.keys() == wild().keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_reason_says_why_a_model_cannot_be_sampled(name: str, catalog: dict[str, CatalogEntry]) -> None:
    entry = catalog[name]
    assert entry.reason == EXPECTED[name], entry.reason_detail
    assert entry.status == ("compatible" if EXPECTED[name] is None else "incompatible")
    if entry.reason is not None:
        assert Reason(entry.reason)
        assert entry.reason_detail


def test_a_broken_card_is_described_where_the_model_is_compatible(catalog: dict[str, CatalogEntry]) -> None:
    detail = catalog["acme/broken-card"].reason_detail
    assert detail is not None
    assert detail.startswith("malformed: front matter of README.md")


def test_a_gated_model_has_the_pipeline_class_of_its_tag(catalog: dict[str, CatalogEntry]) -> None:
    assert catalog["acme/gated"].hf_diffusers_tag == "StableDiffusionPipeline"
    assert catalog["acme/gated"].gated == "manual"


def test_reasons_that_can_change_without_a_new_commit_are_temporary() -> None:
    assert {Reason.HUB_ERROR, Reason.GONE, Reason.NEEDS_PACKAGE} == TEMPORARY


def test_the_remedy_of_a_gated_model_is_in_its_row(catalog: dict[str, CatalogEntry]) -> None:
    detail = catalog["acme/gated"].reason_detail
    assert detail == "acme/gated is gated: accept its terms on the Hub, set HF_TOKEN, and crawl again"


def test_the_token_of_a_textual_inversion_is_in_its_row(catalog: dict[str, CatalogEntry]) -> None:
    entry = catalog["acme/concept"]
    assert (entry.hyperparameters.trigger_words, entry.hyperparameter_sources.trigger_words) == ("<cat-toy>", "config")


def test_the_format_of_weights_is_named_where_there_is_no_model_index(catalog: dict[str, CatalogEntry]) -> None:
    assert (catalog["acme/gguf"].reason_detail or "").endswith("its weights are quantized only")
    assert (catalog["acme/onnx"].reason_detail or "").endswith("its weights are for ONNX only")
