"""`python -m benchmarks.sampling_limit WORKSPACE FOLDER`: the shortest time that sampling can take.

Samples the images of the workspace's plan with nothing but calls of pipelines, which are all in memory before the clock
starts. Prints the seconds, and the sha256 of each generator's first image.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetunes import BATCH, IMAGES
from captioning.prompt import read_prompts
from crawler.catalog import read_catalog
from samplers.child.png import encode_png
from samplers.planning.plan import Plan, plans_of
from samplers.planning.prompting import PromptPool
from samplers.planning.segments import segments_of
from workspace.layout import Workspace


def main() -> None:
    """Load all pipelines, then sample all images."""
    workspace, folder = Workspace(Path(sys.argv[1])), Path(sys.argv[2])
    plans = _plans(workspace)
    pipelines = [_loaded(folder / plan.model_name) for plan in plans]
    first: dict[str, str] = {}
    started = time.perf_counter()
    for plan, pipeline in zip(plans, pipelines, strict=True):
        for start in range(0, IMAGES, BATCH):
            pictures = _call(pipeline, plan, start)
            if start == 0:
                pixels = (pictures[0].clip(0, 1) * 255).round().astype(np.uint8)
                first[plan.model_name] = hashlib.sha256(encode_png(pixels)).hexdigest()
    print(json.dumps({"seconds": time.perf_counter() - started, "first": first}))


def _plans(workspace: Workspace) -> list[Plan]:
    from benchmarks.duty import recipe

    prompts = PromptPool(read_prompts(workspace))
    entries = [entry for entry in read_catalog(workspace) if entry.status == "compatible"]
    rounds = (recipe(prompts),)
    return [plans_of(entry, segments_of(entry, rounds), {1: prompts})[0] for entry in entries]


def _loaded(folder: Path) -> Any:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _call(pipeline: Any, plan: Plan, start: int) -> Any:
    import torch

    samples = plan.samples[start : start + BATCH]
    return pipeline(
        [one.prompt for one in samples],
        num_inference_steps=plan.hyperparameters.num_inference_steps,
        guidance_scale=plan.hyperparameters.guidance_scale,
        height=plan.hyperparameters.height,
        width=plan.hyperparameters.width,
        generator=[torch.Generator("cpu").manual_seed(one.seed) for one in samples],
        output_type="np",
    ).images


if __name__ == "__main__":
    main()
