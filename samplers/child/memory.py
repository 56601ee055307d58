"""Making do with less memory, step by step.

A generator that does not fit is asked for half as many images in one call, and half of that, down to one; then its
VAE decodes image by image (slicing); then, on GPUs, its models wait in the machine's memory until it is their turn
(offload). What it took goes into each row, and a run that is resumed starts there. Tiling is not among the steps: it
changes the pixels of every image that is larger than a tile.
"""

import gc
from typing import Any

from samplers.sample import Memory


def place(pipeline: Any, device: str, memory: Memory | None) -> None:
    """Put `pipeline` on `device`, saving memory as `memory` says; None: not at all."""
    if memory is not None and _can_slice(pipeline):
        pipeline.vae.enable_slicing()
    if memory == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)


def next_step(pipeline: Any, device: str, memory: Memory | None) -> Memory | None:
    """What saves more memory than `memory` does; None: nothing does."""
    if memory is None and _can_slice(pipeline):
        return "slicing"
    return "offload" if memory != "offload" and can_offload(pipeline, device) else None


def can_offload(pipeline: Any, device: str) -> bool:
    """Whether models can wait elsewhere than on the device: on a CPU they are where they would wait."""
    return device != "cpu" and getattr(pipeline, "model_cpu_offload_seq", None) is not None


def free_memory() -> None:
    """Give back what nobody holds any more. To be called where no exception is at hand: its traceback holds tensors."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _can_slice(pipeline: Any) -> bool:
    return hasattr(getattr(pipeline, "vae", None), "enable_slicing")
