"""`python -m tests_gpu.plain_loop FOLDER DEVICE IMAGES BATCH STEPS INTO`: the simplest code that samples a generator.

Loads the pipeline, calls it batch by batch, saves PNG files. Prints the seconds of loading and of sampling as JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from tests_gpu.memory import dtype_of
from tests_gpu.pipelines import size_of


def main() -> None:
    """Sample."""
    folder, device, into = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[6])
    images, batch, steps = (int(argument) for argument in sys.argv[3:6])
    started = time.perf_counter()
    dtype = torch.float32 if device == "cpu" else dtype_of(folder)
    size = size_of(folder)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=dtype, safety_checker=None).to(device)
    pipeline.set_progress_bar_config(disable=True)
    loaded = time.perf_counter()
    for first in range(0, images, batch):
        prompts = [f"a cat, number {first + place}" for place in range(batch)]
        generators = [torch.Generator("cpu").manual_seed(first + place) for place in range(batch)]
        made = pipeline(prompts, num_inference_steps=steps, generator=generators, **size).images
        for place, image in enumerate(made):
            image.save(into / f"{first + place:08}.png")
    ended = time.perf_counter()
    print(json.dumps({"load": loaded - started, "sample": ended - loaded}))


if __name__ == "__main__":
    main()
