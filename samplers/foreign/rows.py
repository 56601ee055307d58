"""The row of an image that others made, from what is known of it and what was found in its file."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from crawler.catalog import CatalogEntry
from samplers.foreign.examiner import Examined, Unusable
from samplers.foreign.image import ForeignImage
from samplers.sample import ImageFile, Origin, Sample, SampleStatus, image_name
from workspace.printable import printable, printable_values

#: Characters of a prompt, and of the JSON in the column `metadata`, at most.
MAX_TEXT, MAX_METADATA = 100_000, 100_000
_INT32 = (1 << 31) - 1


def row_of(
    entry: CatalogEntry,
    round_number: int,
    index: int,
    origin: Origin,
    image: ForeignImage,
    found: Examined | Unusable | None,
) -> Sample:
    """The row; `found`: None where there is no file. Whether it looks as an earlier image is not known here."""
    given: dict[str, Any] = {
        "model_name": entry.model_name,
        "revision": entry.revision,
        "index": index,
        "round": round_number,
        "origin": origin,
        "image": ImageFile(),
        "original_name": _text(image.original_name),
        "prompt": _text(image.prompt),
        "prompt_source": _text(image.prompt_source),
        "prompt_id": image.prompt_id,
        "negative_prompt": _text(image.negative_prompt),
        "real_source": image.real_source,
        "class_label": image.class_label,
        "seed": image.seed,
        "num_inference_steps": image.num_inference_steps,
        "guidance_scale": image.guidance_scale,
    }
    if not isinstance(found, Examined):
        detail = image.detail if found is None else found.detail
        became = (image.status if found is None else None) or "broken"
        return Sample(**given, status=became, detail=_text(detail), metadata=_json(dict(image.metadata)))
    said: dict[str, Any] = {**image.metadata, **found.texts}
    if (settings := found.settings) is not None:
        said["generation"] = {name: value for name, value in asdict(settings).items() if value is not None}
        if given["prompt"] is None and settings.prompt is not None and origin == "imported":
            given |= {"prompt": _text(settings.prompt), "prompt_source": f"file:{settings.field}"}
        # Settings of the file only beside its own prompt: a side file may be of another image.
        if given["prompt_source"] == f"file:{settings.field}":
            given["negative_prompt"] = given["negative_prompt"] or _text(settings.negative_prompt)
            if settings.steps is not None and settings.steps <= _INT32:
                given["num_inference_steps"] = given["num_inference_steps"] or settings.steps
            if given["guidance_scale"] is None:
                given["guidance_scale"] = settings.guidance_scale
    status: SampleStatus = "blank" if found.blank else "nsfw" if found.nsfw_flag else "ok"
    return Sample(
        **given,
        status=status,
        width=found.width,
        height=found.height,
        nsfw_flag=found.nsfw_flag,
        nsfw_score=found.nsfw_score,
        jpeg_quality=found.jpeg_quality,
        chroma_subsampling=found.chroma_subsampling,
        progressive=found.progressive,
        has_exif=found.has_exif,
        has_icc=found.has_icc,
        has_c2pa=found.has_c2pa,
        metadata=_json(said),
        perceptual_hash=found.perceptual_hash,
    )


def file_columns(image: ForeignImage, found: Examined, index: int) -> dict[str, Any]:
    """The columns of a row that is kept that describe its file."""
    assert image.content is not None
    return {
        "image_name": image_name(index, found.format),
        "sha256": hashlib.sha256(image.content).hexdigest(),
        "file_size": len(image.content),
        "format": found.format,
        "mode": found.mode,
    }


def _text(text: str | None) -> str | None:
    if text is None:
        return None
    shown = printable(text)
    if len(shown) > MAX_TEXT:
        shown = f"{shown[:MAX_TEXT]} (cut: {len(shown):,} characters)"
    return shown or None


def _json(values: dict[str, Any]) -> str | None:
    """What is said beside the pixels; fields at the end are left out, and named, where all would be too long."""
    if not values:
        return None
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    size = 0
    for name, value in printable_values(values).items():
        size += len(json.dumps({name: value}, ensure_ascii=False))
        if size <= MAX_METADATA:
            kept[name] = value
        else:
            left_out.append(name[:100])
    if left_out:
        kept["left_out"] = left_out[:100]
    return json.dumps(kept, ensure_ascii=False, sort_keys=True)
