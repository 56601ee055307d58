"""An image that others made, before it is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class ForeignImage:
    """One image of a generator, and what is known of it besides its file. Columns as in `samplers.sample.Sample`."""

    content: bytes | None
    """The file; None: there is none, and `status` and `detail` say why."""
    suffix: str = ""
    """Of its name, such as .jpg."""
    status: Literal["broken", "refused", "unanswered"] | None = None
    """Of one without a file: it could not be read, its provider did not make it, or may have made it and no answer
    came."""
    detail: str | None = None
    original_name: str | None = None
    prompt: str | None = None
    """None: the prompt in the file's own metadata counts."""
    prompt_source: str | None = None
    prompt_id: str | None = None
    negative_prompt: str | None = None
    real_source: str | None = None
    class_label: int | None = None
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What its source says beside the file, for the column `metadata`; values of JSON."""
