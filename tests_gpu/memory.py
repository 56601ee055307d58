"""The memory of the GPU: what a pipeline needs, and how to leave no more than that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


def free_bytes() -> int:
    """Bytes of the first GPU that are free, those that torch keeps here for later included; 0 without one."""
    if not torch.cuda.is_available():
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0]


def most_needed(folder: Path, device: str, batch: int, *, offload: bool = False, **settings: Any) -> int:
    """Bytes that torch reserves at most for a batch of the pipeline in `folder`, weights included; 0 on a CPU."""
    from diffusers import DiffusionPipeline

    if device == "cpu":
        return 0
    free_bytes()
    torch.cuda.reset_peak_memory_stats()
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=dtype_of(folder), safety_checker=None)
    if offload:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        pipeline(["a cat"] * batch, num_inference_steps=2, **settings)
    needed = torch.cuda.max_memory_reserved()
    del pipeline
    return needed


def dtype_of(folder: Path) -> torch.dtype:
    """The dtype that the weights of a pipeline are stored in."""
    from safetensors import safe_open

    largest = max(folder.rglob("*.safetensors"), key=lambda path: path.stat().st_size)
    with safe_open(largest, framework="pt") as weights:
        return weights.get_tensor(next(iter(weights.keys()))).dtype


@contextmanager
def leaving(size: int, device: str) -> Iterator[None]:
    """A block in which all but `size` bytes of the GPU are taken; on a CPU all are there."""
    if device == "cpu":
        yield
        return
    taken = torch.empty(max(0, free_bytes() - size), dtype=torch.uint8, device=device)
    try:
        yield
    finally:
        del taken
        torch.cuda.empty_cache()
