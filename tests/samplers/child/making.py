"""Tiny pipelines on the disk, and the assignments that ask for them."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from crawler.catalog import Hyperparameters
from samplers.messages import Assignment
from samplers.plan import Plan, Try


def plan(task: str = "unconditional", kind: str = "checkpoint", tries: int = 4, **hyperparameters: Any) -> Plan:
    prompts = ["a cat", "a dog", "a horse"]
    return Plan(
        model_name="org/name",
        revision="a" * 40,
        kind=kind,  # type: ignore[arg-type]
        task=task,  # type: ignore[arg-type]
        variant=hyperparameters.pop("variant", None),
        hyperparameters=Hyperparameters(**{"num_inference_steps": 2, **hyperparameters}),
        images=tries,
        batch_size=tries,
        tries=tuple(
            Try(index=index, seed=100 + index, prompt=prompts[index % 3] if task == "text-to-image" else None)
            for index in range(tries)
        ),
    )


def assignment(folder: Path, base: Path | None = None, **changes: Any) -> Assignment:
    return Assignment(
        plan=plan(**changes),
        workspace=folder.parent / "workspace",
        folder=folder,
        base_folder=base,
        next_index=0,
        next_part=0,
        call_size=4,
        kept=frozenset(),
    )


def save_stable_diffusion(folder: Path) -> Path:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    pipeline(base_unet()).save_pretrained(folder)
    return folder


def change_tensors(path: Path, change: Any) -> None:
    """Load a safetensors file, let `change` alter the dictionary, and write it back."""
    tensors: dict[str, torch.Tensor] = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
