import pytest

from crawler.pipelines.components import component_exists
from crawler.pipelines.traits import describe


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("StableDiffusionPipeline", "text-to-image"),
        ("FluxKontextPipeline", "text-to-image"),
        ("IFPipeline", "text-to-image"),
        ("UnCLIPPipeline", "text-to-image"),
        ("DiTPipeline", "class-conditional"),
        ("DDPMPipeline", "unconditional"),
        ("LDMPipeline", "unconditional"),
        ("StableDiffusionImg2ImgPipeline", None),
        ("QwenImageEditPipeline", None),
        ("KandinskyV22Pipeline", None),
        ("StableVideoDiffusionPipeline", None),
        ("MarigoldDepthPipeline", None),
        ("StableAudioPipeline", None),
    ],
)
def test_the_task_of_a_class_is_known(name: str, task: str | None) -> None:
    traits = describe(name)
    assert traits is not None
    assert traits.task == task


def test_defaults_and_components_are_those_of_the_class() -> None:
    traits = describe("StableDiffusionPipeline")
    assert traits is not None
    assert (traits.defaults["num_inference_steps"], traits.defaults["guidance_scale"]) == (50, 7.5)
    assert {"unet", "vae", "safety_checker"} <= set(traits.components)
    assert "safety_checker" in traits.optional_components
    assert "unet" not in traits.optional_components


@pytest.mark.parametrize(
    "name", ["DiffusionPipeline", "HolodeckPipeline", "UNet2DModel", "os", "", "__class__", "A" * 500]
)
def test_other_names_have_no_traits(name: str) -> None:
    assert describe(name) is None


@pytest.mark.parametrize(
    ("library", "name", "exists"),
    [
        ("diffusers", "UNet2DConditionModel", True),
        ("transformers", "CLIPTextModel", True),
        ("transformers", "T5TokenizerFast", True),
        ("stable_diffusion", "StableDiffusionSafetyChecker", True),
        ("wuerstchen", "PaellaVQModel", True),
        ("diffusers", "WarpDriveModel", False),
        ("my_unet", "MyUNet", False),
        ("os", "path", False),
    ],
)
def test_a_component_exists_where_diffusers_loads_it_from(library: str, name: str, exists: bool) -> None:
    assert component_exists(library, name) is exists
