"""The sample: one image that was tried, kept or rejected.

A row never changes once written. It depends on its generator, the recipe, its index, and the kind of device and library
versions that it names, and on nothing else: no clock, host, shard or other generator.

Its `origin` says who made the file. What is sampled here is a PNG file without metadata. What others made (imported
from files that they published, or delivered by a provider) keeps its bytes, whatever these carry, and has no seed,
device or libraries that we know of.
"""

import builtins
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from workspace import records
from workspace.layout import Workspace, parts_below, parts_in
from workspace.records import column

Memory = Literal["slicing", "offload"]
SampleStatus = Literal["ok", "nsfw", "blank", "nan", "similar", "broken", "refused", "unanswered", "removed"]
Origin = Literal["sampled", "imported", "delivered"]

#: The formats of images that others made, as Pillow calls them, and the suffix of each in the name of a file.
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


_IN_PART = re.compile(r"(samples/[^/#]+/part-[0-9]+\.parquet)#([0-9]+\.(?:png|jpg|webp))", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """The `datasets` library's layout of an image: its bytes inside, or a path beside."""

    bytes: builtins.bytes | None = column(pa.binary(), "the file; null: it is at path", default=None)
    path: str | None = column(
        pa.string(),
        "relative to the workspace; the part and the image's name where the bytes are inside; null: no pixels",
        default=None,
    )


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image that was tried."""

    model_name: str = column(pa.string(), "the generator's repository id")
    revision: str = column(pa.string(), "its commit sha")
    index: int = column(pa.int64(), "number within its generator, from 0")
    round: int = column(pa.int32(), "round of the recipe that it belongs to, from 1")
    status: SampleStatus = column(
        pa.string(),
        "ok: kept | nsfw, blank, nan: rejected | similar: looks as an earlier image of the import | broken: a file "
        "that is no image, or none that is taken | refused: the provider did not make it | unanswered: it may be paid, "
        "and did not come from the provider | removed: taken out later (`cf-remove`); without pixels unless ok",
    )
    origin: Origin = column(
        pa.string(),
        "sampled: made here | imported: a file that others made | delivered: by the provider of a remote generator",
        default="sampled",
    )
    image: ImageFile = column(doc="the file; both null unless status is ok", of=ImageFile)
    seed: int | None = column(
        pa.int64(),
        "of this image's own CPU torch.Generator, or as sent to a provider; null: none is known",
        default=None,
    )
    batch_size: int | None = column(
        pa.int32(), "images that the recipe samples together; null unless sampled here", default=None
    )
    call_size: int | None = column(
        pa.int32(),
        "images of the same pipeline call: fewer than batch_size where memory was short or the pipeline takes one at a "
        "time; null: not recorded",
        default=None,
    )
    device: str | None = column(
        pa.string(), "kind of device: cpu, or the GPU's name; null unless sampled here", default=None
    )
    dtype: str | None = column(
        pa.string(), "float32 | float16 | bfloat16; null: a program did not say, or not sampled here", default=None
    )
    scheduler: str | None = column(
        pa.string(),
        "scheduler class that was used; empty where the pipeline has none; null unless sampled here",
        default=None,
    )
    scheduler_config: str | None = column(
        pa.string(), "JSON object: configuration of the scheduler that was used; null: not recorded", default=None
    )
    prediction_type: str | None = column(
        pa.string(), "epsilon, v_prediction, sample or flow, as the scheduler used it; null: it has none", default=None
    )
    adapter_scale: float | None = column(pa.float64(), "scale of the LoRA; null: no LoRA was used", default=None)
    embedding_tokens: str | None = column(
        pa.string(), "tokens of added embeddings, separated by spaces; null: none were added", default=None
    )
    clip_skip: int | None = column(
        pa.int32(), "layers of the text encoder that were skipped; null: none, as the pipeline has it", default=None
    )
    variant: str | None = column(
        pa.string(), "weight variant that was loaded, such as fp16; null: full precision", default=None
    )
    libraries: str | None = column(
        pa.string(),
        "versions: diffusers=..., torch=..., transformers=..., and a program's packages; null unless sampled here",
        default=None,
    )
    cpu_threads: int | None = column(
        pa.int32(), "threads of a CPU that computed it: another number adds in another order; null: a GPU", default=None
    )
    cpu_instructions: str | None = column(
        pa.string(), "of a CPU: the instructions that it computed with, such as AVX512; null: a GPU", default=None
    )
    memory: Memory | None = column(
        pa.string(), "how memory was saved: slicing, or offload (with slicing); null: not at all", default=None
    )
    vae_dtype: str | None = column(pa.string(), "dtype in which the VAE decoded; null: no VAE was used", default=None)
    image_name: str | None = column(pa.string(), "file name, such as 00000162.png; null unless ok", default=None)
    sha256: str | None = column(pa.string(), "of the file; null where it was rejected", default=None)
    file_size: int | None = column(pa.int32(), "of the file, bytes; null unless ok", default=None)
    format: str | None = column(
        pa.string(), "PNG; of imported and delivered images also JPEG or WEBP; null unless ok", default=None
    )
    mode: str | None = column(
        pa.string(),
        "RGB or L; of imported and delivered images as their file has it (RGBA, P, CMYK, ...); null unless ok",
        default=None,
    )
    width: int | None = column(pa.int32(), "pixels; null where there were none", default=None)
    height: int | None = column(pa.int32(), "pixels; null where there were none", default=None)
    nsfw_flag: bool | None = column(
        pa.bool_(), "whether the safety checker flagged it; null: not checked", default=None
    )
    nsfw_score: float | None = column(
        pa.float32(), "largest (cosine - threshold) over its concepts; above 0 is flagged", default=None
    )
    prompt_id: str | None = column(
        pa.string(),
        "the prompt's id; removed:HASH where its real image was removed; null for generators without prompts",
        default=None,
    )
    prompt: str | None = column(
        pa.string(), "exactly what the pipeline was given; null: no prompt, or its real image was removed", default=None
    )
    prompt_source: str | None = column(
        pa.string(),
        "of an imported image: where its prompt was read: table:NAME, beside:NAME, column:NAME, file:FIELD of the "
        "image's own metadata; null: none was, or the prompt is the plan's",
        default=None,
    )
    negative_prompt: str | None = column(pa.string(), "exactly what the pipeline was given", default=None)
    class_label: int | None = column(pa.int32(), "class id, for class-conditional generators", default=None)
    real_source: str | None = column(
        pa.string(), "real source of the prompt; of an imported image without one: as the user says", default=None
    )
    num_inference_steps: int | None = column(pa.int32(), "null: the pipeline takes no such argument", default=None)
    guidance_scale: float | None = column(pa.float64(), "null: the pipeline takes no such argument", default=None)
    original_name: str | None = column(
        pa.string(), "of an imported image: its path in what was imported; null: not imported", default=None
    )
    detail: str | None = column(pa.string(), "why it is broken, refused or unanswered, in words", default=None)
    similar_to: int | None = column(
        pa.int64(), "index of the earlier image that it looks as; null unless similar", default=None
    )
    perceptual_hash: str | None = column(
        pa.string(),
        "64 bits (pHash) of an imported or delivered image, 16 hexadecimal digits; null: sampled here, or no image",
        default=None,
    )
    jpeg_quality: int | None = column(
        pa.int32(), "1 to 100, estimated from the quantisation tables; null: no JPEG", default=None
    )
    chroma_subsampling: str | None = column(
        pa.string(), "of a JPEG: 4:4:4, 4:2:2, 4:2:0, ...; 4:0:0 for grey; null: no JPEG", default=None
    )
    progressive: bool | None = column(pa.bool_(), "whether a JPEG is progressive; null: no JPEG", default=None)
    has_exif: bool | None = column(
        pa.bool_(), "whether the file has EXIF data; null: sampled here, which has none", default=None
    )
    has_icc: bool | None = column(
        pa.bool_(), "whether the file has a colour profile; null: sampled here, which has none", default=None
    )
    has_c2pa: bool | None = column(
        pa.bool_(),
        "whether the file has Content Credentials (C2PA), which are not verified; null: sampled here, which has none",
        default=None,
    )
    metadata: str | None = column(
        pa.string(),
        "JSON object: what an imported file, or the provider's answer, says beside the pixels; null: nothing",
        default=None,
    )


def image_name(index: int, image_format: str = "PNG") -> str:
    """The file name of the sample with that index, in one of the formats of `SUFFIXES`: 00000162.png."""
    return f"{index:08d}.{SUFFIXES[image_format]}"


def place_in_part(part: str, image_name: str) -> str:
    """The path of an image inside a part: samples/org--name/part-00000.parquet#00000162.png."""
    return f"{part}#{image_name}"


def part_of(path: str) -> tuple[str, str] | None:
    """The part and the image's name in a path made by `place_in_part`; None: `path` is that of a file."""
    match = _IN_PART.fullmatch(path)
    return (match[1], match[2]) if match else None


def read_samples(workspace: Workspace, generator: str) -> list[Sample]:
    """All rows of one generator, in the order of their parts; empty before it was sampled."""
    parts = parts_in(workspace.samples_of(generator))
    return [sample for part in parts for sample in records.read(part, Sample)]


def sample_parts(workspace: Workspace) -> list[Path]:
    """All sample parts of all generators, by generator and number; none before sampling."""
    return parts_below(workspace.samples)
