import diffusers
import pytest

from crawler.pipelines.traits import component_exists, describe


def installed() -> list[str]:
    """Every pipeline class that the installed diffusers offers and this environment can import."""
    names = [name for name in dir(diffusers) if name.endswith("Pipeline") or "Pipeline" in name]
    classes = {name: getattr(diffusers, name) for name in names}
    return [
        name
        for name, cls in classes.items()
        if isinstance(cls, type) and issubclass(cls, diffusers.DiffusionPipeline) and hasattr(cls.__call__, "__code__")
    ]


def test_every_installed_class_gets_an_answer_that_agrees_with_itself() -> None:
    names = installed()
    assert len(names) > 250
    for name in names:
        traits = describe(name)
        assert traits is not None, name
        assert traits.required <= traits.parameters, name
        assert traits.task is None or (traits.output == "image" and not traits.needs_input_image), name
        # diffusers says in its names what a class starts from; only the honest side can be checked.
        if any(word in name for word in ("Img2Img", "Inpaint", "ControlNet", "Upscale", "ImageVariation")):
            assert traits.task is None, name
        if "Video" in name:
            assert traits.output == "video", name
        if "TextToImage" in name:
            assert traits.task == "text-to-image", name


def test_diffusers_own_list_of_text_to_image_classes_is_understood() -> None:
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    for cls in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values():
        traits = describe(cls.__name__)
        assert traits is not None
        # It lists classes under control of a picture, and one that makes films, too.
        other = "Control" in cls.__name__ or traits.output == "video"
        assert traits.task == (None if other else "text-to-image"), cls.__name__


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
def test_the_task_of_a_class_is_what_its_authors_say(name: str, task: str | None) -> None:
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
def test_what_is_no_pipeline_has_no_traits(name: str) -> None:
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
def test_components_are_looked_for_where_diffusers_loads_them_from(library: str, name: str, exists: bool) -> None:
    assert component_exists(library, name) is exists
