"""Components of several families: text encoders and autoencoders of a few hundred kilobytes."""

import math
from typing import Any

from demo.zoo.tokenizers import clip_tokenizer, t5_tokenizer

CONTRAST = 0.45
"""Standard deviation of a decoded image, in the [-1, 1] of pixel values: about that of photographs."""


def clip_text(hidden_size: int = 32, *, projection: bool = False) -> tuple[Any, Any]:
    """A CLIP text encoder and its tokenizer; with `projection`, the class that SDXL and SD3 use."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        projection_dim=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)
    return spread(model), tokenizer


def t5_text(hidden_size: int = 32) -> tuple[Any, Any]:
    """A T5 encoder and its tokenizer."""
    from transformers import T5Config, T5EncoderModel

    tokenizer = t5_tokenizer()
    config = T5Config(
        vocab_size=len(tokenizer), d_model=hidden_size, d_kv=8, d_ff=2 * hidden_size, num_layers=2, num_heads=4
    )
    return T5EncoderModel(config), tokenizer


def spread(text_encoder: Any) -> Any:
    """The encoder with larger token embeddings, so that its output depends on the prompt.

    A random encoder of this size otherwise gives nearly the same output for every prompt.
    """
    import torch

    with torch.no_grad():
        text_encoder.get_input_embeddings().weight.normal_(std=1.0)
    return text_encoder


def attentive(denoiser: Any) -> Any:
    """The denoiser with larger weight matrices than torch's default, which keep the variance of their input.

    With the default the variance shrinks by a factor of 3 in each layer, and the prompt would hardly have an effect.
    """
    import torch

    with torch.no_grad():
        for parameter in denoiser.parameters():
            if parameter.dim() == 2:
                parameter.mul_(math.sqrt(3))
    return denoiser


def autoencoder(
    *,
    channels: tuple[int, ...] = (16, 16, 16, 16),
    latent_channels: int = 4,
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **config: Any,
) -> Any:
    """A VAE that halves the size in each level; its images have the contrast of photographs around `tint`."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        **config,
    )
    expose(model.decoder.conv_out, tint)
    return model


def expose(convolution: Any, tint: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
    """Make a decoder's last convolution (2D, or 3D for video) give images of `CONTRAST` around `tint` (RGB in [-1, 1]).

    Its input comes from a normalisation and a SiLU, and E[SiLU(x)^2] = 0.356 for a standard normal x. All values of a
    kernel are equal, so that neighbouring pixels are similar and the image has patches instead of noise.
    """
    import torch

    with torch.no_grad():
        weight = convolution.weight
        taps = weight.shape[-2] * weight.shape[-1]  # a video decoder sees nothing but padding before the first frame
        deviation = CONTRAST / (taps * math.sqrt(weight.shape[1] * 0.356))
        drawn = torch.randn(weight.shape[:2])
        drawn -= drawn.mean(dim=1, keepdim=True)  # SiLU's mean is not zero: without this, every picture has one hue
        weight.copy_(drawn.reshape(*drawn.shape, *[1] * (weight.dim() - 2)).expand_as(weight) * deviation)
        if convolution.bias is not None:
            convolution.bias.copy_(torch.tensor(tint))
