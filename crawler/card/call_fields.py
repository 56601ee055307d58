"""The hyperparameters that are arguments of a pipeline's call, and which values they can have."""

from typing import Any

from crawler.text import Plain

#: Fields of `crawler.catalog.Hyperparameters` that are arguments of the pipeline's call.
CALL_FIELDS = ("num_inference_steps", "guidance_scale", "height", "width", "negative_prompt")
#: Largest plausible values: no published sampler uses more steps, and no larger scale is useful.
MAX_STEPS, MAX_SCALE, MAX_PIXELS = 5000, 1000.0, 16384
#: Characters of a text at most; a longer one is unread.
MAX_TEXT = 5000


def valid_or_none(name: str, value: Plain) -> Any:
    """An argument of the call, of the type of its column; None if it has another type or is out of range."""
    if isinstance(value, bool):
        return None
    if name == "negative_prompt":
        return text_or_none(value) if isinstance(value, str) else None
    if name == "guidance_scale":
        return float(value) if isinstance(value, int | float) and 0 <= value <= MAX_SCALE else None
    largest = MAX_STEPS if name == "num_inference_steps" else MAX_PIXELS
    return value if isinstance(value, int) and 1 <= value <= largest else None


def text_or_none(text: str | None) -> str | None:
    """A text of at most `MAX_TEXT` characters; None for a longer one and for an empty one."""
    return text if text and len(text) <= MAX_TEXT else None
