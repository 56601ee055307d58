"""Which of several sets of weights is taken, file by file."""

from typing import Any

import pytest

from crawler.catalog import ModelFile
from crawler.pipelines.traits import describe
from crawler.pipelines.weight_files import MAX_DOWNLOAD, PICKLES, Download, adapter_file, checkpoint_files
from crawler.reasons import Incompatible, Reason

UNET = ["diffusers", "UNet2DConditionModel"]


def listed(*paths: str, size: int = 1) -> dict[str, ModelFile]:
    return {path: ModelFile(path=path, size=size) for path in paths}


def download(*names: str, pipeline: str = "StableDiffusionPipeline", **components: list[str]) -> Download:
    """Of a repository with these files, where the only component is the U-Net if none is given."""
    traits = describe(pipeline)
    assert traits is not None
    index: Any = components or {"unet": UNET}
    return checkpoint_files(listed("model_index.json", *names), index, traits)


def taken(*weights: str) -> tuple[set[str], Download]:
    """The weights that are taken of those in the folder of the U-Net."""
    found = download("unet/config.json", *(f"unet/{name}" for name in weights))
    return {file.path.removeprefix("unet/") for file in found.files} - {"model_index.json", "config.json"}, found


def refused(*names: str, **components: list[str]) -> Incompatible:
    with pytest.raises(Incompatible) as caught:
        download(*names, **components)
    return caught.value


STEM = "diffusion_pytorch_model"


@pytest.mark.parametrize(
    ("names", "variant"),
    [
        (["safetensors", "fp16.safetensors"], None),
        (["fp16.safetensors", "safetensors", "bf16.safetensors"], None),
        (["bf16.safetensors", "fp16.safetensors"], "fp16"),
        (["fp16.safetensors", "fp32.safetensors", "bf16.safetensors"], "fp16"),
        (["non_ema.safetensors", "fp32.safetensors"], "fp32"),
        (["fp16.safetensors", "bin"], "fp16"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_full_precision_before_half_and_half_before_any_other(
    names: list[str], variant: str | None, turned: bool
) -> None:
    weights = [f"{STEM}.{name}" for name in (reversed(names) if turned else names)]
    chosen, found = taken(*weights)
    assert chosen == {f"{STEM}.{variant}.safetensors" if variant else f"{STEM}.safetensors"}
    assert (found.variant, found.pickled) == (variant, None)


def test_pickles_are_taken_where_there_is_nothing_else_and_named() -> None:
    chosen, found = taken(f"{STEM}.bin", f"{STEM}.fp16.bin")
    assert (chosen, found.variant) == ({f"{STEM}.bin"}, None)
    assert found.pickled is not None
    assert found.pickled.startswith("unet/ ")


def test_the_first_component_with_pickles_is_named() -> None:
    names = (f"{folder}/{file}" for folder in ("vae", "unet") for file in ("config.json", f"{STEM}.bin"))
    found = download(*names, vae=["diffusers", "AutoencoderKL"], unet=UNET)
    assert (found.pickled or "").startswith("unet/ ")


def test_incomplete_safetensors_are_not_replaced_by_pickles() -> None:
    error = refused("unet/config.json", f"unet/{STEM}-00001-of-00002.safetensors", f"unet/{STEM}.bin")
    assert error.reason is Reason.MISSING_FILES


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("model.safetensors", True),
        ("pytorch_model.safetensors", False),
        ("pytorch_model.bin", True),
        ("model.bin", False),
        (f"{STEM}.safetensors", True),
        ("my_model.safetensors", False),
        ("model.safetensors.bak", False),
        ("model.fp16.safetensors", True),
        ("model.fp16.ema.safetensors", True),
    ],
)
def test_names_that_diffusers_and_transformers_open(name: str, loaded: bool) -> None:
    if loaded:
        assert taken(name)[0] == {name}
    else:
        assert refused("unet/config.json", f"unet/{name}").reason in (Reason.MISSING_FILES, Reason.PICKLE_ONLY)


@pytest.mark.parametrize("stem", [STEM, "model", "pytorch_model"])
def test_shards_of_any_number_come_with_their_index(stem: str) -> None:
    shards = [f"{stem}-{part:05d}-of-00011.safetensors" for part in range(1, 12)]
    index = f"{stem}.safetensors.index.json"
    chosen, found = taken(*reversed(shards), index)
    assert chosen == {*shards, index}
    assert found.size == 14
    assert refused("unet/config.json", *(f"unet/{name}" for name in shards)).reason is Reason.MISSING_FILES
    without = [f"unet/{name}" for name in (*shards[:5], *shards[6:], index)]
    assert refused("unet/config.json", *without).reason is Reason.MISSING_FILES


def test_the_shards_of_another_number_are_another_set() -> None:
    of_two = [f"{STEM}-{part:05d}-of-00002.safetensors" for part in (1, 2)]
    of_three = [f"{STEM}-{part:05d}-of-00003.safetensors" for part in (1, 2)]
    index = f"{STEM}.safetensors.index.json"
    assert taken(*of_three, *of_two, index)[0] == {*of_two, index}


@pytest.mark.parametrize(
    "class_name", ["CLIPTokenizer", "PNDMScheduler", "CLIPProcessor", "CLIPFeatureExtractor", "MyGuidance", "MyGuider"]
)
def test_what_has_no_weights_needs_a_description_only(class_name: str) -> None:
    found = download("part/settings.json", "part/model.bin", part=["library", class_name])
    assert [file.path for file in found.files] == ["model_index.json", "part/settings.json"]


def test_every_description_and_nothing_else_is_taken() -> None:
    names = [f"part/file{suffix}" for suffix in (".json", ".txt", ".model", ".jinja", ".tiktoken", ".bpe", ".vocab")]
    others = ["part/README.md", "part/code.py", "part/model.onnx", "part/x.index.json", "part/deep/a.json", "a.json"]
    found = download(*names, *others, part=["library", "CLIPTokenizer"])
    assert [file.path for file in found.files] == sorted(["model_index.json", *names])


def test_a_component_without_its_description_is_missing() -> None:
    for names in (
        (),
        (f"unet/{STEM}.safetensors",),
        ("unet/other.json", f"unet/{STEM}.safetensors"),
        ("unet/unet/config.json", f"unet/unet/{STEM}.safetensors"),
    ):
        error = refused(*names)
        assert error.reason is Reason.MISSING_FILES
        assert "unet/" in str(error)


def test_a_safety_checker_is_left_out_where_the_class_allows() -> None:
    files = ("unet/config.json", f"unet/{STEM}.safetensors")
    checker = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    assert len(download(*files, unet=UNET, safety_checker=checker).files) == 3
    error = refused(*files, unet=UNET, image_encoder_of_mine=checker)
    assert error.reason is Reason.MISSING_FILES
    with pytest.raises(Incompatible):
        download(*files, pipeline="DDPMPipeline", unet=UNET, safety_checker=checker)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("unet.gguf", "unet.bin"), Reason.QUANTIZED_ONLY),
        (("model.onnx",), Reason.ONNX_ONLY),
        (("model.onnx_data",), Reason.ONNX_ONLY),
        (("model.onnx", "a.pt"), Reason.ONNX_ONLY),
        (("flax_model.msgpack",), Reason.OTHER_FORMAT),
        (("tf_model.h5",), Reason.OTHER_FORMAT),
        (("openvino_model.xml",), Reason.OTHER_FORMAT),
        (("model.mlmodelc",), Reason.OTHER_FORMAT),
        (("weights.bin",), Reason.PICKLE_ONLY),
        (("weights.pt",), Reason.PICKLE_ONLY),
        (("weights.pth",), Reason.PICKLE_ONLY),
        (("weights.ckpt",), Reason.PICKLE_ONLY),
        (("weights.pkl",), Reason.PICKLE_ONLY),
        (("notes.md",), Reason.MISSING_FILES),
        ((), Reason.MISSING_FILES),
    ],
)
def test_weights_in_other_formats_say_which(names: tuple[str, ...], reason: Reason) -> None:
    assert refused("unet/config.json", *(f"unet/{name}" for name in names)).reason is reason
    if not any(name.endswith(PICKLES) for name in names):
        with pytest.raises(Incompatible) as caught:
            adapter_file(listed(*names, "deep/a.safetensors"), (), "the LoRA")
        assert caught.value.reason is reason


@pytest.mark.parametrize("suffix", PICKLES)
def test_an_adapter_that_is_a_pickle_is_listed_and_named(suffix: str) -> None:
    found = adapter_file(listed(f"style{suffix}", "optimizer.bin", "deep/a.safetensors"), (), "the LoRA")
    assert [file.path for file in found.files] == [f"style{suffix}"]
    assert found.pickled == "the repository has the LoRA in another format than safetensors"


def test_the_same_weights_as_safetensors_come_before_the_pickle_that_a_card_names() -> None:
    two = listed("a.safetensors", "b.safetensors", "a.bin")
    assert [file.path for file in adapter_file(two, ("a.bin",), "the LoRA").files] == ["a.safetensors"]


def adapter(*paths: str, preferred: tuple[str | None, ...] = ()) -> list[str]:
    return [file.path for file in adapter_file(listed(*paths), preferred, "the LoRA").files]


def test_the_file_of_an_adapter() -> None:
    assert adapter("b.safetensors", "README.md", "deep/a.safetensors", "a.bin") == ["b.safetensors"]
    two = ("a.safetensors", "b.safetensors", "deep/c.safetensors")
    assert adapter(*two, preferred=(None, "absent.safetensors", "b.safetensors", "a.safetensors")) == ["b.safetensors"]
    assert adapter(*two, preferred=("deep/c.safetensors",)) == ["deep/c.safetensors"]
    assert adapter("a.safetensors", "b.bin", preferred=("b.bin",)) == ["a.safetensors"]


def test_several_files_of_an_adapter_are_ambiguous() -> None:
    with pytest.raises(Incompatible, match=r"4 files .* a\.safetensors, b\.safetensors, c\.safetensors[,;] ") as caught:
        adapter("d.safetensors", "c.safetensors", "b.safetensors", "a.safetensors", preferred=(None, "e.safetensors"))
    assert caught.value.reason is Reason.AMBIGUOUS_WEIGHTS


def test_the_largest_download() -> None:
    largest = adapter_file(listed("a.safetensors", size=MAX_DOWNLOAD), (), "the LoRA")
    assert largest.size == MAX_DOWNLOAD == 500_000_000_000
    assert (largest.variant, largest.pickled) == (None, None)
    with pytest.raises(Incompatible) as caught:
        adapter_file(listed("a.safetensors", size=MAX_DOWNLOAD + 1), (), "the LoRA")
    assert caught.value.reason is Reason.TOO_LARGE


def test_components_of_one_variant_and_plain_ones_go_together() -> None:
    names = ("unet/config.json", f"unet/{STEM}.fp16.safetensors", "vae/config.json", f"vae/{STEM}.safetensors")
    found = download(*names, unet=UNET, vae=["diffusers", "AutoencoderKL"])
    assert found.variant == "fp16"
    assert [file.path for file in found.files] == ["model_index.json", *names]
