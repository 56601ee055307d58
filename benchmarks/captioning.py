"""Captioning photographs of 12 megapixels, against a plain loop over them.

The loop is the simplest code: open with Pillow, convert, preprocess, generate, one image at a time. Ours is the whole
stage, from listing the folder to the rows, with the start and end of its processes. Both load the captioner, which is
the demo's tiny one; imports are not counted.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.timing import Comparison, compare
from captioning.options import CaptionOptions
from captioning.prompt import read_prompts
from captioning.stage import caption
from demo.photographs import write_photos
from demo.zoo.captioner import REPOSITORY
from workspace.layout import Workspace

SIZE = (4000, 3000)
COPIES = 3
ROUNDS = 3


def run() -> Iterator[Comparison]:
    """One comparison; raises `AssertionError` when the captions differ."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        count = write_photographs(folder / "photographs")
        workspaces = iter(range(1000))
        ours: list[dict[str, str]] = []
        theirs: list[dict[str, str]] = []
        yield compare(
            f"captioning {count} JPEGs of 12 megapixels",
            lambda: ours.append(by_stage(folder / "photographs", folder / str(next(workspaces)))),
            lambda: theirs.append(by_plain_loop(folder / "photographs")),
            "at least 2 times as fast as a plain loop, same captions",
            rounds=ROUNDS,
        )
    assert all(said == theirs[0] for said in [*ours, *theirs])
    assert len(theirs[0]) == count


def write_photographs(folder: Path) -> int:
    """Write the demo's photographs at the size of a camera's, each `COPIES` times; returns their number."""
    with tempfile.TemporaryDirectory() as name:
        write_photos(Path(name))
        files = sorted(path for path in Path(name).iterdir() if path.suffix in {".png", ".jpg"})
        pictures = [Image.open(path).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC) for path in files]
    folder.mkdir()
    grain = np.random.default_rng(0).integers(-8, 9, (SIZE[1], SIZE[0], 1), dtype=np.int16)
    for number, picture in enumerate(pictures * COPIES):
        pixels = np.clip(np.asarray(picture) + np.roll(grain, number), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", quality=90)
    return len(pictures) * COPIES


def by_stage(photographs: Path, workspace: Path) -> dict[str, str]:
    """Captions by file name."""
    opened = Workspace.open(workspace)
    caption(opened, {"photographs": photographs}, CaptionOptions(captioner=str(REPOSITORY), device="cpu"))
    return {str(prompt.real_id): prompt.prompt for prompt in read_prompts(opened)}


def by_plain_loop(photographs: Path) -> dict[str, str]:
    """Captions by file name."""
    import torch
    from transformers import AutoImageProcessor, AutoTokenizer, BlipForConditionalGeneration

    processor: Any = AutoImageProcessor.from_pretrained(REPOSITORY, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(REPOSITORY)
    model = BlipForConditionalGeneration.from_pretrained(REPOSITORY).eval()
    prompt = tokenizer("a picture of", return_tensors="pt").input_ids
    captions = {}
    for path in sorted(photographs.iterdir()):
        image = Image.open(path).convert("RGB")
        pixels = processor(images=image, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            tokens = model.generate(
                pixel_values=pixels,
                input_ids=prompt.clone(),
                attention_mask=torch.ones_like(prompt),
                num_beams=3,
                max_length=30,
                min_length=10,
            )
        captions[path.name] = tokenizer.decode(tokens[0, prompt.shape[1] - 1 :], skip_special_tokens=True)
    return captions
