"""What is read in diffusers' source code is what its imported classes are.

All tests that import diffusers are in this file: importing every pipeline and reading the source of every class takes
ten seconds, once.
"""

import inspect
from typing import Any

import diffusers
import pytest
import transformers
from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

from crawler.pipelines.components import component_exists, missing_packages
from crawler.pipelines.packages import package_folder
from crawler.pipelines.source_code import public_names
from crawler.pipelines.traits import describe


@pytest.fixture(scope="module")
def pipelines() -> dict[str, Any]:
    """Every pipeline class that can be imported here and has a call of its own."""
    # Those of ONNX files are refused by their names, and are there only where onnxruntime is installed.
    names = [name for name in dir(diffusers) if "Pipeline" in name and "Onnx" not in name]
    classes = {name: getattr(diffusers, name) for name in names}
    return {
        name: cls
        for name, cls in classes.items()
        if isinstance(cls, type)
        and issubclass(cls, diffusers.DiffusionPipeline)
        and inspect.isfunction(inspect.unwrap(cls.__call__))
    }


@pytest.fixture(scope="module")
def public() -> frozenset[str]:
    folder = package_folder("diffusers")
    assert folder is not None
    return frozenset(name for name in public_names(folder) if "Onnx" not in name)


def is_scalar(value: object) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def test_the_traits_of_every_class_are_those_of_the_imported_class(pipelines: dict[str, Any]) -> None:
    assert len(pipelines) > 250
    for name, cls in pipelines.items():
        traits = describe(name)
        assert traits is not None, name
        parameters = dict(inspect.signature(inspect.unwrap(cls.__call__)).parameters)
        del parameters["self"]
        named = {
            key: value
            for key, value in parameters.items()
            if value.kind not in (value.VAR_KEYWORD, value.VAR_POSITIONAL)
        }
        assert traits.parameters == set(named), name
        assert traits.required == {key for key, value in named.items() if value.default is value.empty}, name
        scalars = {key: value.default for key, value in named.items() if is_scalar(value.default)}
        assert dict(traits.defaults) == scalars, name
        assert list(traits.components) == cls._get_signature_keys(cls)[0], name
        assert traits.optional_components == set(cls._optional_components), name


def test_the_traits_of_every_class_are_consistent(pipelines: dict[str, Any]) -> None:
    for name in pipelines:
        traits = describe(name)
        assert traits is not None, name
        assert traits.required <= traits.parameters, name
        assert traits.task is None or (traits.output == "image" and not traits.needs_input_image), name
        # The name of a class can say that it needs an image, but not that it needs none.
        if any(word in name for word in ("Img2Img", "Inpaint", "ControlNet", "Upscale", "ImageVariation")):
            assert traits.task is None, name
        if "Video" in name:
            assert traits.output == "video", name
        if "TextToImage" in name:
            assert traits.task == "text-to-image", name


def test_a_class_that_cannot_be_imported_here_has_no_traits(pipelines: dict[str, Any], public: frozenset[str]) -> None:
    assert {name for name in public if "Pipeline" in name and describe(name) is not None} == set(pipelines)


def test_diffusers_own_table_of_text_to_image_classes_is_understood() -> None:
    for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values():
        traits = describe(cls.__name__)
        assert traits is not None
        # The table has classes that need a control image, and one that generates videos, too.
        other = "Control" in cls.__name__ or traits.output == "video"
        assert traits.task == (None if other else "text-to-image"), cls.__name__


def test_components_that_exist_can_be_imported(public: frozenset[str]) -> None:
    checked = 0
    for name in sorted(public):
        if name.endswith(("Model", "Scheduler", "AutoencoderKL")) and component_exists("diffusers", name):
            assert isinstance(getattr(diffusers, name), type), name
            checked += 1
    assert checked > 100
    for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values():
        for annotation in inspect.signature(cls.__init__).parameters.values():
            part = annotation.annotation
            if isinstance(part, type) and getattr(transformers, part.__name__, None) is part:
                assert missing_packages("transformers", part.__name__) is not None, part
    # Defined in the package of a pipeline, for a class that transformers does not have.
    assert component_exists("prx", "T5GemmaEncoder")
    # A class of transformers that the package of a pipeline imports and model_index.json names it by.
    assert component_exists("glm_image", "GlmImageProcessor")
    assert not component_exists("glm_image", "CLIPTextModel")
