"""`python -m benchmarks.plain_loop FOLDER`: the simplest code that samples all generators.

One generator after the other: download the repository, load it, sample it with its own safety checker, save PNGs.
Prints the seconds without imports.
"""

import json
import shutil
import sys
import time
from pathlib import Path

import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from huggingface_hub import snapshot_download

from benchmarks.finetunes import BATCH, GENERATORS, IMAGES, STEPS, name_of


def main() -> None:
    """Sample all generators."""
    folder = Path(sys.argv[1])
    assert issubclass(StableDiffusionPipeline, DiffusionPipeline)  # imported before the clock starts
    started = time.perf_counter()
    for number in range(GENERATORS):
        _sample(name_of(number), folder)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def _sample(name: str, folder: Path) -> None:
    pipeline = DiffusionPipeline.from_pretrained(snapshot_download(name, local_dir=folder / "weights"))
    pipeline.set_progress_bar_config(disable=True)
    images = folder / "images" / name
    images.mkdir(parents=True)
    for start in range(0, IMAGES, BATCH):
        generators = [torch.Generator("cpu").manual_seed(start + place) for place in range(BATCH)]
        prompts = [f"a photograph of a cat, number {start + place}" for place in range(BATCH)]
        made = pipeline(prompts, num_inference_steps=STEPS, generator=generators).images
        for place, image in enumerate(made):
            image.save(images / f"{start + place:08}.png")
    shutil.rmtree(folder / "weights")


if __name__ == "__main__":
    main()
