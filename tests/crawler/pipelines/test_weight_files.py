from dataclasses import replace

import pytest

from crawler.catalog import CatalogEntry, ModelFile
from crawler.model_index import components
from crawler.pipelines.traits import PipelineTraits, describe
from crawler.pipelines.weight_files import MAX_DOWNLOAD, adapter_file, checkpoint_files, format_reason
from crawler.reasons import Incompatible, Reason
from tests.crawler.repositories import SD_INDEX, stable_diffusion

NEEDED = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
]


def traits() -> PipelineTraits:
    found = describe("StableDiffusionPipeline")
    assert found is not None
    return found


def listed(*paths: str, size: int = 1) -> dict[str, ModelFile]:
    return {path: ModelFile(path=path, size=size) for path in paths}


def chosen(entry: CatalogEntry) -> list[str]:
    return [file.path for file in entry.files]


def test_components_are_listed_without_safety_checker_and_feature_extractor(
    catalog: dict[str, CatalogEntry],
) -> None:
    entry = catalog["acme/base"]
    assert chosen(entry) == NEEDED
    assert entry.variant is None
    assert entry.download_bytes == sum(len(stable_diffusion()[path]) for path in NEEDED)


def test_duplicates_in_other_formats_are_not_listed(catalog: dict[str, CatalogEntry]) -> None:
    assert chosen(catalog["acme/everything"]) == NEEDED
    assert catalog["acme/everything"].download_bytes == catalog["acme/base"].download_bytes


def test_half_precision_is_listed_only_without_full_precision(catalog: dict[str, CatalogEntry]) -> None:
    entry = catalog["acme/halves"]
    assert entry.variant == "fp16"
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in chosen(entry)
    assert "text_encoder/model.safetensors" in chosen(entry)


def test_large_files_have_a_sha256_and_small_ones_a_git_hash(catalog: dict[str, CatalogEntry]) -> None:
    for file in catalog["acme/base"].files:
        large = file.path.endswith(".safetensors")
        assert (file.sha256 is not None, file.git_oid is not None) == (large, not large), file


def test_an_adapter_needs_one_file_and_its_base(catalog: dict[str, CatalogEntry]) -> None:
    entry, base = catalog["acme/lora"], catalog["acme/base"]
    assert chosen(entry) == ["pytorch_lora_weights.safetensors"]
    assert entry.base_files == base.files
    assert (entry.base_model, entry.base_revision) == ("acme/base", base.revision)
    assert entry.download_bytes == entry.files[0].size + base.download_bytes
    assert (entry.hf_diffusers_tag, entry.architecture, entry.task) == (
        base.hf_diffusers_tag,
        base.architecture,
        base.task,
    )


def test_sharded_weights_are_listed_completely_and_with_their_index() -> None:
    shards = [f"unet/diffusion_pytorch_model-{part:05d}-of-00002.safetensors" for part in (1, 2)]
    index = "unet/diffusion_pytorch_model.safetensors.index.json"
    rest = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    download = checkpoint_files(listed(*rest, *shards, index), components(SD_INDEX), traits())
    assert {*shards, index} <= {file.path for file in download.files}
    with pytest.raises(Incompatible) as refused:
        checkpoint_files(listed(*rest, shards[0], index), components(SD_INDEX), traits())
    assert refused.value.reason is Reason.MISSING_FILES


@pytest.mark.parametrize(
    ("index", "shards"),
    [
        ("unet/m.safetensors.index.fp16.json", "unet/m.fp16-0000{}-of-00002.safetensors"),
        ("unet/m.fp16.safetensors.index.json", "unet/m-0000{}-of-00002.fp16.safetensors"),
    ],
)
def test_both_names_of_sharded_variants_are_known(index: str, shards: str) -> None:
    rest = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    names = [name.replace("/m", "/diffusion_pytorch_model") for name in (index, shards.format(1), shards.format(2))]
    download = checkpoint_files(listed(*rest, *names), components(SD_INDEX), traits())
    assert download.variant == "fp16"
    assert set(names) <= {file.path for file in download.files}


def test_components_with_different_variants_are_incompatible() -> None:
    rest = [path for path in NEEDED if not path.endswith("diffusion_pytorch_model.safetensors")]
    mixed = ["unet/diffusion_pytorch_model.fp16.safetensors", "vae/diffusion_pytorch_model.bf16.safetensors"]
    with pytest.raises(Incompatible, match="different ones"):
        checkpoint_files(listed(*rest, *mixed), components(SD_INDEX), traits())


def test_a_download_above_the_maximum_is_too_large() -> None:
    with pytest.raises(Incompatible) as refused:
        checkpoint_files(listed(*NEEDED, size=MAX_DOWNLOAD), components(SD_INDEX), traits())
    assert refused.value.reason is Reason.TOO_LARGE


def test_the_file_that_the_card_names_is_the_adapter() -> None:
    files = listed("a.safetensors", "b.safetensors", "checkpoint-500/pytorch_lora_weights.safetensors")
    assert [file.path for file in adapter_file(files, ("b.safetensors",), "the LoRA").files] == ["b.safetensors"]


def test_a_guider_has_a_configuration_and_no_weights() -> None:
    index = {**SD_INDEX, "guider": ["diffusers", "AdaptiveProjectedMixGuidance"]}
    found = checkpoint_files(listed(*NEEDED, "guider/guider_config.json"), components(index), traits())
    assert "guider/guider_config.json" in [file.path for file in found.files]


def test_pickles_are_listed_if_there_is_no_other_format_and_are_incompatible(
    catalog: dict[str, CatalogEntry],
) -> None:
    entry = catalog["acme/pickles"]
    assert (entry.status, entry.reason) == ("incompatible", "pickle-only")
    assert chosen(entry) == sorted(
        [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
        + ["unet/diffusion_pytorch_model.bin"]
    )
    assert entry.download_bytes == sum(file.size for file in entry.files)


@pytest.mark.parametrize("name", ["model.bin", "model.ckpt", "diffusion_pytorch_model-00001-of-00002.bin"])
def test_pickles_with_names_that_no_library_loads_are_not_listed(name: str) -> None:
    paths = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    with pytest.raises(Incompatible) as caught:
        checkpoint_files(listed(*paths, f"unet/{name}"), components(SD_INDEX), traits())
    assert caught.value.reason is Reason.PICKLE_ONLY


def refused(files: dict[str, ModelFile], **changes: object) -> Reason:
    with pytest.raises(Incompatible) as caught:
        checkpoint_files(files, components({**SD_INDEX, **changes}), traits())
    return caught.value.reason


def paths(files: dict[str, ModelFile], index: dict[str, object] = SD_INDEX, **changes: object) -> list[str]:
    """The files that loading an SD pipeline opens; `changes` of its traits."""
    found = checkpoint_files(files, components(index), replace(traits(), **changes))  # type: ignore[arg-type]
    return [file.path for file in found.files]


@pytest.mark.parametrize(
    ("variants", "best"),
    [
        (["bf16", "fp16", "non_ema"], "fp16"),
        (["non_ema", "fp16"], "fp16"),
        (["non_ema", "bf16"], "bf16"),
        (["fp32"], "fp32"),
    ],
)
def test_fp16_is_preferred_to_other_variants(variants: list[str], best: str) -> None:
    rest = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    weights = [f"unet/diffusion_pytorch_model.{variant}.safetensors" for variant in variants]
    download = checkpoint_files(listed(*rest, *weights), components(SD_INDEX), traits())
    assert download.variant == best
    assert [file.path for file in download.files if file.path in weights] == [
        f"unet/diffusion_pytorch_model.{best}.safetensors"
    ]


def test_a_replaced_component_is_listed_where_the_class_requires_it() -> None:
    checker = ["safety_checker/config.json", "safety_checker/model.safetensors"]
    extractor = "feature_extractor/preprocessor_config.json"
    files = listed(*NEEDED, *checker, extractor)
    assert paths(files) == NEEDED
    assert paths(files, optional_components=frozenset({"safety_checker"})) == sorted([*NEEDED, extractor])
    assert paths(files, optional_components=frozenset()) == sorted([*NEEDED, *checker, extractor])


def test_the_watermarker_is_listed_although_it_is_not_loaded() -> None:
    watermarker = ["watermarker/config.json", "watermarker/diffusion_pytorch_model.safetensors"]
    index = {**SD_INDEX, "watermarker": ["deepfloyd_if", "IFWatermarker"]}
    optional = traits().optional_components | {"watermarker"}
    assert paths(listed(*NEEDED, *watermarker), index, optional_components=optional) == sorted([*NEEDED, *watermarker])


def test_files_are_sorted_whatever_the_order_of_the_repository() -> None:
    assert paths(listed(*reversed(NEEDED))) == NEEDED


def test_a_component_has_the_files_of_its_own_folder_only() -> None:
    others = ["text_encoder_2/model.safetensors", "text_encoder/old/config.json", "unet/old/model.fp16.safetensors"]
    assert paths(listed(*NEEDED, *others)) == NEEDED
    rest = [path for path in NEEDED if not path.startswith("text_encoder/")]
    assert refused(listed(*rest, *others)) is Reason.MISSING_FILES


def test_an_index_without_shards_is_not_listed() -> None:
    assert paths(listed(*NEEDED, "unet/diffusion_pytorch_model.safetensors.index.json")) == NEEDED


def test_shards_without_their_index_are_incomplete() -> None:
    rest = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    shards = [f"unet/diffusion_pytorch_model-{part:05d}-of-00002.safetensors" for part in (1, 2)]
    assert refused(listed(*rest, *shards)) is Reason.MISSING_FILES


def test_a_model_needs_its_configuration() -> None:
    rest = [path for path in NEEDED if path != "unet/config.json"]
    assert refused(listed(*rest, "unet/notes.txt")) is Reason.MISSING_FILES


def test_a_download_of_the_maximum_size_is_possible() -> None:
    files = {**listed(*NEEDED, size=0), "unet/config.json": ModelFile(path="unet/config.json", size=MAX_DOWNLOAD)}
    assert paths(files) == NEEDED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("model-Q4.gguf", Reason.QUANTIZED_ONLY),
        ("model.onnx", Reason.ONNX_ONLY),
        ("model.onnx_data", Reason.ONNX_ONLY),
        ("flax_model.msgpack", Reason.OTHER_FORMAT),
        ("tf_model.h5", Reason.OTHER_FORMAT),
        ("openvino_model.xml", Reason.OTHER_FORMAT),
        ("model.mlmodelc", Reason.OTHER_FORMAT),
        ("model.pt", Reason.PICKLE_ONLY),
        ("model.pth", Reason.PICKLE_ONLY),
        ("model.ckpt", Reason.PICKLE_ONLY),
        ("model.pkl", Reason.PICKLE_ONLY),
        ("README.md", None),
    ],
)
def test_a_format_has_its_reason(name: str, reason: Reason | None) -> None:
    assert format_reason([name]) is reason
    rest = [path for path in NEEDED if path != "unet/diffusion_pytorch_model.safetensors"]
    assert refused(listed(*rest, f"unet/{name}")) is (reason or Reason.MISSING_FILES)


def test_a_quantized_format_comes_before_pickles() -> None:
    assert format_reason(["a.bin", "a.gguf", "a.h5"]) is Reason.QUANTIZED_ONLY
    assert format_reason(["openvino_model.bin", "openvino_model.xml"]) is Reason.OTHER_FORMAT


def test_training_states_in_folders_are_not_the_adapter() -> None:
    files = listed("a.safetensors", "checkpoint-500/model.safetensors")
    assert [file.path for file in adapter_file(files, (None, "b.safetensors"), "the LoRA").files] == ["a.safetensors"]
