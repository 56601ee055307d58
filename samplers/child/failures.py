"""How a generator fails in the child: a status of the closed set, and a detail in words."""

from crawler.reasons import Reason
from samplers.outcomes import Status


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
    # torch raises a plain RuntimeError where a CPU allocator fails, its own or that of C++.
    text = str(error) if isinstance(error, RuntimeError) else ""
    return "can't allocate memory" in text or "std::bad_alloc" in text
