"""A text-conditional pixel diffusion model: DeepFloyd IF's architecture (T5 encoder, cross-attending UNet), 8x8 RGB.

Encoder and UNet are trained together on digits and their captions; the real IF uses a trained T5. The tokenizer has a
token for each word of the captions and splits other words into letters, as SentencePiece does.
"""

import random
import string
from typing import Any

import torch
from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from demo.zoo.digits import data
from demo.zoo.digits.denoising import teach

_TOKENS = 77  # IFPipeline pads every prompt to this length
_WIDTH = 64  # of a token's embedding
_UNPROMPTED = 0.1  # share of images shown with an empty prompt, for classifier-free guidance (Ho and Salimans 2022)
_UNRELATED = 0.1  # share of images shown with a caption of something else


def train(steps: int = 1200) -> IFPipeline:
    """The trained pipeline, without safety checker and watermarker."""
    tokenizer = build_tokenizer()
    text_encoder = T5EncoderModel(
        T5Config(
            vocab_size=len(tokenizer), d_model=_WIDTH, d_kv=16, num_heads=4, d_ff=128, num_layers=2, dropout_rate=0.0
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=3,
        out_channels=6,  # IFPipeline expects a variance beside the noise; a scheduler of fixed variance ignores it
        block_out_channels=(32, 48),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="fixed_small", clip_sample=True)
    digits, _ = data.split()
    clean = torch.from_numpy(digits.images * 2 - 1)[:, None].expand(-1, 3, -1, -1)
    rng = random.Random(0)

    def predict(noisy: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
        captions = [_caption(int(digits.labels[row]), rng) for row in rows.tolist()]
        words = tokenizer(captions, padding="max_length", max_length=_TOKENS, truncation=True, return_tensors="pt")
        heard = text_encoder(words.input_ids, attention_mask=words.attention_mask)[0]
        return unet(noisy, timesteps, encoder_hidden_states=heard).sample[:, :3]

    teach(predict, [*unet.parameters(), *text_encoder.parameters()], clean, scheduler, steps=steps)
    return IFPipeline(
        tokenizer=build_tokenizer(),  # the one above remembers its padding
        text_encoder=text_encoder,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


def build_tokenizer() -> Any:
    """A T5 tokenizer: one token for each word of the captions, one for each letter, digit and mark of other words."""
    words = [(f"▁{word}", -1.0) for word in data.vocabulary()]
    letters = [(letter, -10.0) for letter in ("▁", *string.ascii_lowercase, *string.digits, *string.punctuation)]
    return T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), *words, *letters], extra_ids=0, model_max_length=512
    )


def _caption(digit: int, rng: random.Random) -> str:
    chance = rng.random()
    if chance < _UNPROMPTED:
        return ""
    if chance < _UNPROMPTED + _UNRELATED:
        return data.unrelated_caption(rng)
    return data.caption(digit, rng)
