"""How a generator fails in the child: a status of the closed set, and a detail in words."""

from crawler.reasons import Reason
from samplers.outcomes import Status

#: What torch, C++ and CUDA say where they get no memory, in errors of no class of their own: allocators of the CPU;
#: CUDA's runtime, driver and libraries (cuBLAS, cuDNN), which allocate beside torch; and the assertion by which torch
#: fails where it is to describe a lack of memory and NVIDIA's management library does not answer, as in a sandbox or
#: on a slice of a GPU (c10/cuda/CUDACachingAllocator.cpp).
_NO_MEMORY = ("can't allocate memory", "std::bad_alloc", "error: out of memory", "_STATUS_ALLOC_FAILED", "NVML_SUCCESS")


class GeneratorError(Exception):
    """This generator cannot be sampled; the next one may be."""

    def __init__(self, status: Status, detail: str, reason: Reason | None = None) -> None:
        super().__init__(detail)
        self.status: Status = status
        self.reason = reason
        self.detail = detail


class OutOfMemoryError(GeneratorError):
    """The generator does not fit into memory, not even one image at a time."""

    def __init__(self, detail: str) -> None:
        super().__init__("out-of-memory", detail)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that the device or the machine had too little memory."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error) if isinstance(error, RuntimeError) else ""
    return any(words in text for words in _NO_MEMORY)
