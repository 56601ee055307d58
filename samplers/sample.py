"""The sample: one image that was tried, kept or rejected.

A row never changes once written. It depends on its generator, the recipe, its index, and the kind of device and library
versions that it names, and on nothing else: no clock, host, shard or other generator.
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
SampleStatus = Literal["ok", "nsfw", "blank", "nan", "removed"]


_IN_PART = re.compile(r"(samples/[^/#]+/part-[0-9]+\.parquet)#([0-9]+\.png)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """The `datasets` library's layout of an image: its bytes inside, or a path beside."""

    bytes: builtins.bytes | None = column(pa.binary(), "the PNG file; null: it is at path", default=None)
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
        "ok: kept | nsfw, blank, nan: rejected | removed: taken out later (`cf-remove`); without pixels unless ok",
    )
    image: ImageFile = column(doc="the PNG; both null unless status is ok", of=ImageFile)
    seed: int = column(pa.int64(), "of this image's own CPU torch.Generator")
    batch_size: int = column(pa.int32(), "images that the recipe samples together")
    call_size: int | None = column(
        pa.int32(),
        "images of the same pipeline call: fewer than batch_size where memory was short or the pipeline takes one at a "
        "time; null: not recorded",
        default=None,
    )
    device: str = column(pa.string(), "kind of device: cpu, or the GPU's name")
    dtype: str = column(pa.string(), "float32 | float16 | bfloat16")
    scheduler: str = column(pa.string(), "scheduler class that was used; empty where the pipeline has none")
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
    libraries: str = column(pa.string(), "versions: diffusers=..., torch=..., transformers=...")
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
    sha256: str | None = column(pa.string(), "of the PNG file; null where it was rejected", default=None)
    file_size: int | None = column(pa.int32(), "of the PNG file, bytes; null unless ok", default=None)
    format: str | None = column(pa.string(), "PNG; null unless ok", default=None)
    mode: str | None = column(pa.string(), "RGB or L; null unless ok", default=None)
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
    negative_prompt: str | None = column(pa.string(), "exactly what the pipeline was given", default=None)
    class_label: int | None = column(pa.int32(), "class id, for class-conditional generators", default=None)
    real_source: str | None = column(pa.string(), "real source of the prompt", default=None)
    num_inference_steps: int | None = column(pa.int32(), "null: the pipeline takes no such argument", default=None)
    guidance_scale: float | None = column(pa.float64(), "null: the pipeline takes no such argument", default=None)


def image_name(index: int) -> str:
    """The file name of the sample with that index: 00000162.png."""
    return f"{index:08d}.png"


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
