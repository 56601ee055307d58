"""Every word by which a component is known, and what is decided where the components say little."""

import pytest

from crawler.pipelines.architecture import architecture_of

UNET = {"unet": ("diffusers", "UNet2DModel")}


@pytest.mark.parametrize(
    "word", ["Autoencoder", "VQModel", "VQGAN", "VQVAE", "ConsistencyDecoderVAE", "VideoDecoder", "Vae", "VAE"]
)
def test_every_word_for_a_decoder_of_latents(word: str) -> None:
    assert architecture_of({**UNET, "decoder": ("diffusers", f"My{word}2D")}, None, ())[0] == "LatDiff"
    assert architecture_of({"decoder": ("diffusers", f"My{word}2D")}, None, ())[0] == "Other"


@pytest.mark.parametrize("word", ["UNet", "Unet", "Transformer", "DiT", "UVit"])
def test_every_word_for_a_denoiser(word: str) -> None:
    assert architecture_of({"model": ("diffusers", f"My{word}2D")}, None, ())[0] == "PixDiff"


@pytest.mark.parametrize("word", ["Tokenizer", "Encoder", "CLIP", "T5", "ForConditionalGeneration", "ForCausalLM"])
def test_a_transformer_that_reads_text_is_no_denoiser(word: str) -> None:
    assert architecture_of({"text": ("transformers", f"MyTransformer{word}2D")}, None, ())[0] == "Other"


def test_a_scheduler_says_that_something_denoises() -> None:
    components = {"prior": ("my", "WuerstchenDiffNeXt"), "scheduler": ("diffusers", "DDPMWuerstchenScheduler")}
    assert architecture_of(components, None, ())[0] == "PixDiff"


def test_words_decide_only_where_no_component_denoises() -> None:
    assert architecture_of(UNET, "StyleGANPipeline", ("gan",))[0] == "PixDiff"
    assert architecture_of({}, "StyleGANPipeline", ()) == architecture_of({}, "StyleGANPipeline", ("diffusers",))
    assert architecture_of({}, "StyleGANPipeline", ())[0] == "GAN"
    assert architecture_of({}, None, ("diffusers", "biggan"))[0] == "GAN"


def test_the_evidence_names_the_components() -> None:
    components = {"unet": ("diffusers", "UNet2DModel"), "vae": ("diffusers", "AutoencoderKL")}
    _, evidence = architecture_of(components, None, ())
    assert "unet UNet2DModel " in evidence
    assert evidence.endswith(" vae AutoencoderKL")
    _, evidence = architecture_of({"a": ("my", "One"), "b": ("my", "Two")}, None, ())
    assert evidence.endswith(": One, Two")
    assert architecture_of({}, None, ())[1] != evidence
    assert "model_index.json" in architecture_of({}, None, ())[1]
