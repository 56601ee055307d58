"""Train the stand-in captioner again, on a CPU in a few minutes: `python -m demo.zoo.captioner.training`.

The repository is written to `repository/`. Set OMP_NUM_THREADS=1: a model this small is slower on several cores. Half
of each batch are digits (the training scans of `demo.zoo.digits.data`), half photographs, shifted, cropped and
brightened a little. As in the training of BLIP, the decoder reads "a picture of" and the caption, and learns from the
caption's tokens only. Another machine or another version of PyTorch gives other weights;
`tests/demo/test_captioner.py` checks whether they are as good.
"""

import argparse
import io
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from captioning.generation import Generation
from demo import photographs
from demo.zoo.captioner import REPOSITORY, captions
from demo.zoo.digits import data

SIDE = 32
"""Height and width of the model's input, in pixels."""

STEPS = 2500
BATCH = 64
PEAK_RATE = 2e-3
_VARIANTS = 24  # of each photograph, prepared before training
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_IGNORED = -100  # label of a token that the loss leaves out, as everywhere in transformers


def main() -> None:
    """Train and write the repository."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.zoo.captioner.training", description="Train the stand-in captioner."
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps")
    parser.add_argument("--into", type=Path, default=REPOSITORY, help="folder to write to")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    started = time.process_time()
    tokenizer, processor = make_tokenizer(), make_processor()
    model = train(make_model(tokenizer), tokenizer, processor, arguments.steps)
    save(model, tokenizer, processor, arguments.into)
    print(f"trained in {time.process_time() - started:.0f} CPU s, written to {arguments.into}")


def make_tokenizer() -> Any:
    """BERT's word pieces: one token for every word of the captions, letters for all other words."""
    words = [*captions.vocabulary(), *Generation().prompt.split()]
    pieces = [*_SPECIAL, *_CHARACTERS, *(f"##{letter}" for letter in _CHARACTERS), *words]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=512)


def make_processor() -> Any:
    """BLIP's preprocessing, at 32 instead of 384 pixels."""
    return BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def make_model(tokenizer: Any) -> Any:
    """A BLIP of about 250,000 parameters; as in the real one, the tokenizer does not have the decoder's start token."""
    text = {
        "vocab_size": len(tokenizer) + 2,
        "bos_token_id": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "eos_token_id": tokenizer.cls_token_id,
        "hidden_size": 64,
        "encoder_hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    }
    vision = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
    }
    return BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, projection_dim=32))


def train(model: Any, tokenizer: Any, processor: Any, steps: int) -> Any:
    """Train `model` on the captions of the digits and the photographs; returns it in evaluation mode."""
    rng = np.random.default_rng(0)
    scans, _ = data.split()
    digits = _pixels(processor, [Image.fromarray((scan * 255).astype(np.uint8)) for scan in scans.images])
    digit_tokens = _tokens(tokenizer, [captions.of_digit(int(label)) for label in scans.labels])
    photos = _pixels(processor, [variant for p in photographs.PHOTOGRAPHS for variant in _variants(opened(p), rng)])
    photo_tokens = _tokens(
        tokenizer, [captions.PHOTOGRAPHS[p.name] for p in photographs.PHOTOGRAPHS for _ in range(_VARIANTS)]
    )

    start = torch.tensor([model.config.text_config.bos_token_id, *_prompt(tokenizer)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.1)
    model.train()
    for step in range(steps):
        some_digits = torch.from_numpy(rng.integers(len(digits), size=BATCH // 2))
        some_photos = torch.from_numpy(rng.integers(len(photos), size=BATCH // 2))
        pixels = torch.cat([_shifted(digits[some_digits], rng), photos[some_photos]])
        learnt = torch.cat([digit_tokens[some_digits], photo_tokens[some_photos]])
        text = torch.cat([start.expand(BATCH, -1), learnt], dim=1)
        padding = text == tokenizer.pad_token_id
        labels = text.masked_fill(padding, _IGNORED)
        labels[:, : len(start)] = _IGNORED
        loss = model(
            pixel_values=pixels, input_ids=text, attention_mask=(~padding).long(), labels=labels, return_dict=True
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return model.eval()


def save(model: Any, tokenizer: Any, processor: Any, into: Path) -> None:
    """Write the files of the real repository, which has a pickle and no safetensors; the card is kept."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        model.config.architectures = [type(model).__name__]
        model.config.save_pretrained(fresh)
        processor.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        by_number = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
        (fresh / "vocab.txt").write_text("".join(f"{piece}\n" for piece in by_number), encoding="utf-8")
        special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
        (fresh / "special_tokens_map.json").write_text(f"{json.dumps(special, indent=2)}\n", encoding="utf-8")
        torch.save(model.state_dict(), fresh / "pytorch_model.bin")
        card = into / "README.md"
        if card.exists():
            shutil.copy(card, fresh)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(fresh, into)


def opened(photograph: photographs.Photograph) -> Image.Image:
    """The photograph, as RGB."""
    return Image.open(io.BytesIO(photograph.read())).convert("RGB")


def _variants(image: Image.Image, rng: np.random.Generator) -> Iterator[Image.Image]:
    """`image`, then copies of it cropped by up to a tenth on each side and up to a fifth brighter or darker."""
    yield image
    for _ in range(_VARIANTS - 1):
        left, top, right, bottom = rng.uniform(0, 0.1, size=4)
        box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
        cropped = image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
        yield ImageEnhance.Brightness(cropped).enhance(rng.uniform(0.8, 1.2))


def _shifted(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A batch shifted by up to two pixels, with edges repeated."""
    down, right = rng.integers(0, 5, size=2)
    padded = torch.nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    return padded[:, :, down : down + SIDE, right : right + SIDE]


def _pixels(processor: Any, images: list[Image.Image]) -> torch.Tensor:
    prepared: torch.Tensor = processor(images=images, return_tensors="pt")["pixel_values"]
    return prepared


def _prompt(tokenizer: Any) -> list[int]:
    ids: list[int] = tokenizer(Generation().prompt, add_special_tokens=False)["input_ids"]
    return ids


def _tokens(tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Token ids of shape (n, longest), each row with [SEP] at its end, padded on the right."""
    rows = [[*ids, tokenizer.sep_token_id] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    longest = max(
        len(ids) for ids in tokenizer(list(captions.PHOTOGRAPHS.values()), add_special_tokens=False)["input_ids"]
    )
    return torch.tensor([row + [tokenizer.pad_token_id] * (longest + 1 - len(row)) for row in rows])


if __name__ == "__main__":
    main()
