"""Checks of a batch that the child made, before any of it counts.

The child opens untrusted files. If these made it run code, it could send anything: rows of other samples, images that
are not pictures, values that no column takes. So what the plan decides is compared with the plan, and what only the
child knows is checked: types, sizes, the structure of each PNG file, and that the safety checker did not flag it. A
batch that does not fit is refused as a whole.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pyarrow as pa

from samplers.planning.plan import Plan
from samplers.png_structure import png_fault
from samplers.sample import ImageFile, Sample, image_name
from workspace import records

#: Pixels of a side, and bytes of a PNG file, at most: those of the largest pipelines with room to spare.
MAX_SIDE = 16_384
MAX_FILE = 256 * 10**6
#: Characters of a text, such as a prompt, at most.
MAX_TEXT = 100_000

_KNOWN = tuple(field.name for field in fields(Sample) if field.name != "image")
#: Columns of images that others made: a child makes none.
_OF_OTHERS = (
    *("prompt_source", "original_name", "detail", "similar_to", "perceptual_hash", "jpeg_quality"),
    *("chroma_subsampling", "progressive", "has_exif", "has_icc", "has_c2pa", "metadata"),
)
#: What a child may say became of a sample.
_STATUSES = ("ok", "nsfw", "blank", "nan")
#: What is known of every sample that is made here.
_OF_SAMPLED = ("device", "dtype", "scheduler", "libraries")


class InvalidBatchError(ValueError):
    """What the child sent is not a batch of its assignment."""


@dataclass(kw_only=True)
class Expected:
    """Which samples may come next."""

    plan: Plan
    next_index: int
    stop: int
    """The samples [next_index, stop) may come, in order."""


def image_size(row: Any) -> int | None:
    """Bytes of the image that follows a row of a message; None: none follows. Raises `InvalidBatchError`."""
    _require(isinstance(row, dict), "a row is not an object")
    size = row.get("file_size")
    if row.get("status") != "ok":
        return None
    _require(type(size) is int and 0 < size <= MAX_FILE, "an image has no possible size")
    return int(size)


def checked_batch(
    rows: Sequence[dict[str, Any]], contents: Sequence[bytes | None], expected: Expected
) -> tuple[list[Sample], dict[int, bytes]]:
    """The rows and, by index, the images of a batch. Raises `InvalidBatchError`."""
    plan = expected.plan
    _require(0 < len(rows) <= plan.batch_size, "a batch has no rows, or too many")
    samples: list[Sample] = []
    images: dict[int, bytes] = {}
    for row, content in zip(rows, contents, strict=True):
        _require(set(row) == set(_KNOWN), "a row has other columns")
        index = expected.next_index + len(samples)
        _require(index < expected.stop, "a batch has more rows than are expected")
        sample = _checked_row({**row, "image": ImageFile()}, plan, index)
        if content is not None:
            _check_image(sample, content)
            images[index] = content
        samples.append(sample)
    try:
        records.to_table(Sample, samples)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidBatchError(f"a value does not fit its column: {error}") from error
    return samples, images


def _checked_row(values: dict[str, Any], plan: Plan, index: int) -> Sample:
    planned = plan.sample(index)
    given = {
        "model_name": plan.model_name,
        "revision": plan.revision,
        "index": index,
        "round": plan.round,
        "seed": planned.seed,
        "batch_size": plan.batch_size,
        "prompt_id": planned.prompt_id,
        "real_source": planned.real_source,
    }
    for name, value in given.items():
        _require(values[name] == value and type(values[name]) is type(value), f"{name} is not that of the plan")
    for name, value in values.items():
        _require(not isinstance(value, str) or len(value) <= MAX_TEXT, f"{name} is too long")
        _require(not isinstance(value, float) or math.isfinite(value), f"{name} is not finite")
    _require(values["status"] in _STATUSES, "unknown status")
    _require(values["origin"] == "sampled", "a sample is not sampled here")
    _require(all(values[name] is None for name in _OF_OTHERS), "a sample has a column of imported images")
    # The module of a program does not say in which dtype it computes.
    of_sampled = [name for name in _OF_SAMPLED if name != "dtype" or plan.program is None]
    _require(all(values[name] is not None for name in of_sampled), "a sample lacks how it was made")
    sample = Sample(**values)
    kept = sample.status == "ok"
    of_file = (sample.image_name, sample.sha256, sample.file_size, sample.format, sample.mode)
    _require(
        all((value is not None) == kept for value in of_file), "a rejected sample has an image, or a kept one none"
    )
    _require(not kept or sample.nsfw_flag is False, "an image was kept although flagged, or not checked")
    return replace(sample, image_name=image_name(index) if kept else None)


def _check_image(sample: Sample, content: bytes) -> None:
    width, height, mode = sample.width, sample.height, sample.mode
    sides = isinstance(width, int) and isinstance(height, int) and 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
    _require(sides and mode in ("L", "RGB") and sample.format == "PNG", "an image has no possible size or mode")
    _require(len(content) == sample.file_size, "an image has another size than its row says")
    _require(hashlib.sha256(content).hexdigest() == sample.sha256, "an image has another sha256 than its row says")
    fault = png_fault(content, str(mode), int(width or 0), int(height or 0))
    _require(fault is None, f"an image is not the PNG file of its row ({fault})")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise InvalidBatchError(what)
