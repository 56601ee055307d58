import pytest

from crawler.pipelines.architecture import architecture_of


def components(**classes: str) -> dict[str, tuple[str, str]]:
    return {name: ("diffusers", cls) for name, cls in classes.items()}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (components(unet="UNet2DConditionModel", vae="AutoencoderKL", scheduler="PNDMScheduler"), "LatDiff"),
        (components(transformer="SD3Transformer2DModel", vae="AutoencoderKL"), "LatDiff"),
        (components(unet="UNet2DModel", vqvae="VQModel"), "LatDiff"),
        (components(transformer="SanaTransformer2DModel", vae="AutoencoderDC"), "LatDiff"),
        (
            components(decoder="WuerstchenDiffNeXt", vqgan="PaellaVQModel", scheduler="DDPMWuerstchenScheduler"),
            "LatDiff",
        ),
        (components(unet="UNet2DModel", scheduler="DDPMScheduler"), "PixDiff"),
        (components(text_encoder="T5EncoderModel", unet="UNet2DConditionModel", scheduler="DDPMScheduler"), "PixDiff"),
        (components(text_encoder="CLIPTextModel", generator="StyleGAN2"), "Other"),
        ({}, "Other"),
    ],
)
def test_a_decoder_of_latents_tells_latent_from_pixel_diffusion(
    parts: dict[str, tuple[str, str]], expected: str
) -> None:
    architecture, evidence = architecture_of(parts, "SomePipeline", ("diffusers",))
    assert architecture == expected
    assert evidence


@pytest.mark.parametrize("tags", [("stylegan2",), ("gan",), ("generative-adversarial-network",)])
def test_words_decide_only_where_components_say_nothing(tags: tuple[str, ...]) -> None:
    assert architecture_of({}, None, tags)[0] == "GAN"
    assert architecture_of(components(unet="UNet2DModel"), None, tags)[0] == "PixDiff"


def test_organic_is_no_gan() -> None:
    assert architecture_of({}, None, ("organic", "elegant"))[0] == "Other"
