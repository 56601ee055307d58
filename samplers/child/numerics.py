"""Settings of arithmetic that give the same pixels on every GPU of a kind, whatever torch or the environment chooses.

A CPU has one such choice, its number of threads, which decides in which order it adds. It is left to the machine, for
speed, and rows name it; an image that is made again is made with as many. Sources: torch's notes on numerical accuracy
and on reproducibility.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Variables that change the arithmetic of NVIDIA's libraries, which read them when they are first used: cuBLAS chooses
#: its kernels by the size of its workspace (this one gives equal results in every run), TensorFloat-32 is off in all of
#: them, and torch does not look for the kernels that are fastest at the moment.
_LIBRARIES = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NVIDIA_TF32_OVERRIDE": "0", "PYTORCH_TUNABLEOP_ENABLED": "0"}


def make_reproducible() -> None:
    """Set everything that may change a pixel, for the whole process."""
    import torch
    from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

    os.environ.update(_LIBRARIES)
    # Which library multiplies: torch's own choice, not that of TORCH_BLAS_PREFER_CUBLASLT and the like.
    torch.backends.cuda.preferred_blas_library("default")
    torch.backends.cuda.preferred_linalg_library("default")
    # float32 is float32, not TensorFloat-32 with its 10 bits; sums of 16-bit products are kept in 32 bits.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # Benchmarking chooses the fastest convolution of the moment: another one gives other last bits.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # torch's own attention, whose kernel depends on the shapes; not cuDNN's, nor the one of DIFFUSERS_ATTN_BACKEND.
    torch.backends.cuda.enable_flash_sdp(True)
    torch.backends.cuda.enable_mem_efficient_sdp(True)
    torch.backends.cuda.enable_math_sdp(True)
    torch.backends.cuda.enable_cudnn_sdp(False)
    _AttentionBackendRegistry.set_active_backend(AttentionBackendName.NATIVE)


@contextmanager
def cpu_threads(wanted: int | None) -> Iterator[None]:
    """A block that computes with so many threads of the CPU; None: as many as the machine or its environment says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_arithmetic(device: str) -> tuple[int | None, str | None]:
    """What decides the last bits on a CPU: its threads, and its instructions; nothing of it on another device."""
    import torch

    if device != "cpu":
        return None, None
    return torch.get_num_threads(), str(torch.backends.cpu.get_cpu_capability())
