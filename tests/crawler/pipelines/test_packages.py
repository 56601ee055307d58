"""Which packages are missing, by the tests in diffusers' own source."""

import ast
from pathlib import Path

import pytest

from crawler.pipelines import packages
from crawler.pipelines.components import missing_packages
from crawler.pipelines.packages import is_installed, unmet
from crawler.pipelines.source_code import module_at, unavailable_names
from crawler.pipelines.traits import combined_class, describe, does_without, missing_for_pipeline


def test_of_a_test_as_diffusers_writes_it(tmp_path: Path) -> None:
    def missing(test: str) -> set[str]:
        return set(unmet(ast.parse(test, mode="eval").body))

    assert missing("not (is_json_available() and is_nosuch_available())") == {"nosuch"}
    assert missing("not (is_nosuch_available() and is_noother_available())") == {"nosuch", "noother"}
    assert missing("not is_json_available()") == set()
    assert missing("not is_pytest_version('>=', '1000')") == {"pytest"}
    assert missing("something") == set()


def test_of_a_package_whose_names_depend_on_others(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text(
        "_import_structure = {'a': ['Always']}\n"
        "try:\n    if not is_json_available():\n        raise Absent()\n"
        "except Absent:\n    pass\n"
        "else:\n"
        "    _import_structure['a'].append('Here')\n"
        "    try:\n        if not is_nosuch_available():\n            raise Absent()\n"
        "    except Absent:\n        pass\n"
        "    else:\n        _import_structure['a'].extend(['Both', 'Here'])\n"
    )
    assert unavailable_names(tmp_path) == {"Both": {"nosuch"}}


def test_of_names_that_a_module_imports_conditionally(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "if is_nosuch_available():\n    from nosuch import a, b as c\n    import nosuch\n"
        "if is_json_available():\n    import json\n"
    )
    module = module_at(tmp_path / "m")
    assert module is not None
    assert module.conditional_names() == {name: {"nosuch"} for name in ("a", "c", "nosuch")}


def test_a_machine_that_only_crawls_counts_on_what_sampling_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = packages.package_folder
    monkeypatch.setattr(packages, "package_folder", lambda name: None if name.startswith("torch") else installed(name))
    packages._elsewhere.cache_clear()
    try:
        assert all(is_installed(name) for name in ("torch", "torchsde", "scipy"))
        assert is_installed("torch", ">=", "2.0")
        assert not is_installed("torchvision")
    finally:
        packages._elsewhere.cache_clear()


@pytest.mark.parametrize(
    ("library", "class_name", "package"),
    [
        ("transformers", "Qwen3VLProcessor", "torchvision"),
        ("transformers", "PixtralProcessor", "torchvision"),
        ("transformers", "CLIPImageProcessorFast", "torchvision"),
        ("diffusers", "DPMSolverSDEScheduler", "torchsde"),
        ("diffusers", "OnnxRuntimeModel", "onnx"),
    ],
)
def test_of_a_component(library: str, class_name: str, package: str) -> None:
    assert missing_packages(library, class_name) == (set() if is_installed(package) else {package})


@pytest.mark.parametrize(
    "class_name", ["CLIPImageProcessor", "SiglipImageProcessor", "T5TokenizerFast", "CLIPTextModel"]
)
def test_what_works_without_torchvision_needs_nothing(class_name: str) -> None:
    assert missing_packages("transformers", class_name) == set()


@pytest.mark.parametrize("class_name", ["lower", "No Such", "NoSuchClass", "../Path"])
def test_a_class_that_does_not_exist_is_none(class_name: str) -> None:
    assert missing_packages("diffusers", class_name) is None
    assert missing_packages("transformers", class_name) is None
    assert missing_packages("stable_diffusion", class_name) is None


@pytest.mark.parametrize(
    ("class_name", "package"),
    [
        ("OmniGenPipeline", "torchvision"),
        ("Cosmos2TextToImagePipeline", "cosmos_guardrail"),
        ("SpectrogramDiffusionPipeline", "note_seq"),
    ],
)
def test_of_a_pipeline(class_name: str, package: str) -> None:
    assert missing_for_pipeline(class_name) == (set() if is_installed(package) else {package})


@pytest.mark.parametrize("class_name", ["StableDiffusionXLPipeline", "StableDiffusionPipeline", "NoSuchPipeline"])
def test_a_watermark_that_is_not_asked_for_needs_nothing(class_name: str) -> None:
    assert missing_for_pipeline(class_name) == set()


def test_decoders_have_the_combined_pipelines_of_diffusers_own_table() -> None:
    assert combined_class("KandinskyPipeline") == "KandinskyCombinedPipeline"
    assert combined_class("StableCascadeDecoderPipeline") == "StableCascadeCombinedPipeline"
    assert combined_class("StableDiffusionPipeline") is None
    for name in ("KandinskyV22Pipeline", "WuerstchenDecoderPipeline"):
        combined = describe(combined_class(name) or "")
        assert combined is not None
        assert combined.task == "text-to-image"


def test_only_a_pipeline_that_says_so_does_without_a_component() -> None:
    assert does_without("StableDiffusion3Pipeline", "text_encoder_3")
    assert does_without("StableDiffusion3Pipeline", "tokenizer_3")
    assert not does_without("StableDiffusion3Pipeline", "text_encoder_2")
    assert not does_without("HiDreamImagePipeline", "text_encoder_4")
    assert not does_without("StableDiffusionPipeline", "vae")
    assert not does_without("NoSuchPipeline", "vae")
