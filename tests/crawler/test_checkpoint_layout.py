import pytest

from crawler.checkpoint_layout import is_original, lora_name, parts_of, quantized_name

FLUX = {"transformer": "FluxTransformer2DModel", "vae": "AutoencoderKL", "text_encoder_2": "T5EncoderModel"}


def test_a_denoiser_without_prefix_is_what_no_other_component_has() -> None:
    names = ("double_blocks.0.img_mod.lin.weight", "txt_in.weight", "vae.encoder.conv_in.weight")
    parts = parts_of(names, FLUX)
    assert parts.names == {"vae": names[2:], "transformer": names[:2]}
    assert parts.prefixes == {"vae": "vae.", "transformer": ""}
    assert is_original(names[:2])
    assert not is_original(["transformer_blocks.0.attn.to_q.weight"])


def test_what_is_of_no_component_is_named_and_what_training_left_is_not() -> None:
    names = ("vae.encoder.conv_in.weight", "model_ema.decay", "betas", "sqrt_recip_alphas_cumprod", "control_model.x")
    parts = parts_of(names, FLUX)
    assert parts.names == {"vae": names[:1]}
    assert parts.others == ("control_model.x",)


@pytest.mark.parametrize(
    "name", ["scaled_fp8", "a.b.scale_weight", "x.absmax", "a.weight.quant_state.bitsandbytes__nf4"]
)
def test_quantized_weights_are_known_by_what_is_beside_them(name: str) -> None:
    assert quantized_name(["a.weight", name]) == name
    assert quantized_name(["double_blocks.0.img_attn.norm.key_norm.scale", "logit_scale", "norm.weight"]) is None


@pytest.mark.parametrize(
    "name", ["lora_unet_down_blocks_0.lora_down.weight", "transformer.x.lora_A.weight", "lora_te1_x.alpha"]
)
def test_a_lora_is_known_by_its_names(name: str) -> None:
    assert lora_name([name]) == name
    assert lora_name(["model.diffusion_model.out.2.weight", "alphas_cumprod"]) is None
