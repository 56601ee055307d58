"""Saving memory, step by step.

For a generator that does not fit, calls are halved, down to one image; then its VAE decodes image by image (slicing);
then, on GPUs, its models wait in the machine's memory until they are needed (offload). The steps that were necessary
are written into each row, and a resumed run starts with them. Tiling is not among the steps: it changes the pixels of
every image that is larger than a tile.
"""

import gc
from contextlib import suppress
from typing import Any

from samplers.sample import Memory


def place_on_device(pipeline: Any, device: str, memory: Memory | None) -> None:
    """Move `pipeline` to `device`, saving memory as `memory` says; None: not at all."""
    if memory is not None and _can_slice(pipeline):
        pipeline.vae.enable_slicing()
    if memory == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)


def next_saving(pipeline: Any, device: str, memory: Memory | None) -> Memory | None:
    """The step that saves more memory than `memory`; None: there is none."""
    if memory is None and _can_slice(pipeline):
        return "slicing"
    return "offload" if memory != "offload" and can_offload(pipeline, device) else None


def can_offload(pipeline: Any, device: str) -> bool:
    """Whether models can wait in the machine's memory: on a CPU they are there already."""
    return device != "cpu" and getattr(pipeline, "model_cpu_offload_seq", None) is not None


def free_memory() -> None:
    """Free memory that is no longer referenced. Not to be called in an `except` block: a traceback holds tensors."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        # Where an error has ended the use of the device, every call raises that error again.
        with suppress(RuntimeError):
            torch.cuda.empty_cache()


def _can_slice(pipeline: Any) -> bool:
    return hasattr(getattr(pipeline, "vae", None), "enable_slicing")
