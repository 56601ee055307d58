"""Whether an image that was made again is equal to its row, and where it differs.

Equal means: the same bytes, or rejected again for the same reason. Bytes differ where an image was made otherwise: on
another kind of device, with other library versions or in another precision, or in a call of another size; the row of
each image has all of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from samplers.sample import Sample

Result = Literal["equal", "differs", "not-compared", "not-made"]

#: What explains other pixels, beside other weights.
ENVIRONMENT = (
    *("device", "cpu_threads", "cpu_instructions", "libraries", "dtype", "vae_dtype", "memory", "call_size", "variant"),
)
_SETTINGS = (
    *("scheduler", "scheduler_config", "prediction_type", "adapter_scale", "embedding_tokens", "clip_skip"),
    *("num_inference_steps", "guidance_scale", "prompt", "negative_prompt", "class_label"),
)
_OF_PICTURE = ("status", "width", "height", "mode", "sha256")
#: Columns of which null means that nothing is known.
_NOT_RECORDED = frozenset({"call_size", "scheduler_config", "status", "sha256"})
#: Characters of a value that are shown.
_SHOWN = 80

_SAME_ENVIRONMENT = (
    "device kind, libraries, precision and calls are those of the row: another model of processor, or another version "
    "of a library that rows do not name, makes other last bits, or the row was changed"
)


@dataclass(frozen=True)
class Comparison:
    """The result, what differs between the row and the image that was made again, and more in words."""

    result: Result
    differences: tuple[str, ...] = ()
    detail: str | None = None


def compare(expected: Mapping[str, Any], made: Sample, stored_sha256: str | None = None) -> Comparison:
    """Compare a row, as far as its columns are known, with the sample that was made again.

    `stored_sha256`: that of the row in the workspace, which may be another one than a table has.
    """
    result, detail = _result(expected, made)
    columns = (*ENVIRONMENT, *_SETTINGS, *_OF_PICTURE)
    different = [name for name in columns if name in expected and _differs(name, expected[name], getattr(made, name))]
    shown = tuple(f"{name} was {_show(expected[name])}, now {_show(getattr(made, name))}" for name in different)
    if result == "differs" and detail is None:
        if made.sha256 == stored_sha256:
            detail = "it is the image of the workspace, and the table names another one"
        elif not {*ENVIRONMENT, *_SETTINGS} & {*different}:
            detail = _SAME_ENVIRONMENT
    return Comparison(result, shown, detail)


def _result(expected: Mapping[str, Any], made: Sample) -> tuple[Result, str | None]:
    status, sha256 = expected.get("status"), expected.get("sha256")
    if status is not None and status != made.status:
        gone = made.status == "ok" and status == "nsfw"
        return "differs", "it was flagged, and is not any more: the image is not written" if gone else None
    if made.status != "ok" and status is not None:
        return "equal", f"rejected again: {made.status}"
    if sha256 is None:
        return "not-compared", "neither the workspace nor a table has its sha256"
    return ("equal" if sha256 == made.sha256 else "differs"), None


def _differs(name: str, was: Any, now: Any) -> bool:
    if was is None and name in _NOT_RECORDED:
        return False
    # Tables of text have no difference between no text and an empty one.
    return (was if was != "" else None) != (now if now != "" else None)


def _show(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
