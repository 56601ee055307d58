"""How a generator fails inside the child: under a code of the closed set, in words."""

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
    """It does not fit, not even one image at a time."""

    def __init__(self, detail: str) -> None:
        super().__init__("out-of-memory", detail)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory, the device's or the machine's, was not enough."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch raises a plain RuntimeError where an allocator of the CPU gets nothing, its own or C++'s.
    said = str(error) if isinstance(error, RuntimeError) else ""
    return "can't allocate memory" in said or "std::bad_alloc" in said


def in_words(error: BaseException) -> str:
    """An exception in one line of at most 300 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
