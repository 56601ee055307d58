"""The manifest: one row an image, generated and real, with all that is known about where it comes from.

It joins the three records: what was sampled, from which generator, with whose caption. `docs/manifest.md` explains the
columns; where the published Community Forensics dataset has a name for a thing, that is the name here. Rows are in one
order: generated images by generator and index, then real ones by the title of their source and by id. Nothing in it
depends on when or where it was built.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.holdout import Split
from samplers.sample import Origin
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column

#: The values of `label`, as in the study's dataset.
REAL, FAKE = 0, 1

#: `subset` of real images; generated ones have that of their generator.
REAL_SUBSET = "Real"


#: Whose words a caption is: the real data set's own, the captioner's, or those of a file of prompts (`--prompts`).
CaptionOrigin = Literal["dataset", "generated", "user"]

#: Type of a list of texts, none of them null.
TEXTS = pa.list_(pa.field("element", pa.string(), nullable=False))


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One image of the dataset."""

    image_name: str = column(pa.string(), "file name, such as 00000162.png")
    label: int = column(pa.int64(), "1: generated, 0: real")
    subset: str = column(pa.string(), "Systematic | Manual | Commercial; Real for real images")
    split: Split | None = column(
        pa.string(), "train | validation | test; null: in none, because it shares something with several", default=None
    )
    round: int = column(
        pa.int32(),
        "round of the workspace that made the image, from 1; of a real image the one in which it joined the dataset",
    )
    generator: str | None = column(
        pa.string(),
        "the generator's name, unique: model_name, for a further revision of a repository with @ and the start of its "
        "commit; null for real images",
        default=None,
    )
    model_name: str | None = column(pa.string(), "the generator's repository id; null for real images", default=None)
    revision: str | None = column(
        pa.string(),
        "the generator's commit sha, or the SHA-256 of a local generator's files; null for real images",
        default=None,
    )
    origin: Origin | None = column(
        pa.string(),
        "sampled: made by the project's sampler | imported: a file that others made | delivered: by the provider of a "
        "remote generator; null for real images",
        default=None,
    )
    index: int | None = column(
        pa.int64(), "number of the sample within its generator, from 0; null for real images", default=None
    )
    architecture: str = column(pa.string(), "LatDiff | PixDiff | GAN | Other | Commercial; real for real images")
    license: str | None = column(pa.string(), "of the generator, or of the real image; null: none given", default=None)
    license_source: str | None = column(
        pa.string(),
        "where the generator's licence is from: card | tag | user | none; null for real images",
        default=None,
    )
    license_family: str = column(
        pa.string(), "open | openrail | non-commercial | research-only | proprietary | unknown"
    )
    license_effective: str | None = column(
        pa.string(),
        "the strictest licence of the generator and of the models it is made from; null: none given, or a real image",
        default=None,
    )
    license_family_effective: str = column(
        pa.string(), "family of license_effective; unknown for real images", default="unknown"
    )
    hf_pipeline_tag: str | None = column(pa.string(), "the Hub's task tag of the generator", default=None)
    hf_diffusers_tag: str | None = column(pa.string(), "the generator's pipeline class", default=None)
    task: str | None = column(
        pa.string(), "text-to-image | class-conditional | unconditional; null for real images", default=None
    )
    kind: str | None = column(pa.string(), "checkpoint | lora | textual-inversion; null for real images", default=None)
    base_model: str | None = column(pa.string(), "repository id the generator was made from", default=None)
    lineage: tuple[str, ...] | None = column(
        TEXTS, "all known ancestors of the generator, nearest first; null for real images", default=None
    )
    prompt: str | None = column(
        pa.string(), "exactly what the pipeline was given; of a real image its caption", default=None
    )
    prompt_source: str | None = column(
        pa.string(),
        "of an imported image: where its prompt was read: table:NAME, beside:NAME, column:NAME, file:FIELD of the "
        "image's own metadata; null: none was, or the prompt is the plan's",
        default=None,
    )
    negative_prompt: str | None = column(pa.string(), "exactly what the pipeline was given", default=None)
    caption_origin: CaptionOrigin | None = column(
        pa.string(),
        "dataset: the real data set's own caption | generated: by the captioner | user: of a file of prompts; null: "
        "no prompt",
        default=None,
    )
    captioner: str | None = column(pa.string(), "model@revision, for generated captions", default=None)
    real_source: str | None = column(
        pa.string(),
        "data set of the real image whose caption was the prompt, or of this real image, by its name in prompts/",
        default=None,
    )
    real_title: str | None = column(
        pa.string(), "published name of that data set: COCO, FFHQ, ...; real_source where it has none", default=None
    )
    real_id: str | None = column(pa.string(), "that image's id in its data set", default=None)
    real_sha256: str | None = column(pa.string(), "of that image's file", default=None)
    prompted: bool | None = column(
        pa.bool_(),
        "of a real image: whether its caption was the prompt of a generated image of its round or of one before; null "
        "for generated images",
        default=None,
    )
    class_label: int | None = column(pa.int32(), "class id, for class-conditional generators", default=None)
    seed: int | None = column(
        pa.int64(),
        "of this image's own CPU torch.Generator, or as sent to a provider; null: none is known",
        default=None,
    )
    num_inference_steps: int | None = column(pa.int32(), "denoising steps; null: none taken", default=None)
    guidance_scale: float | None = column(
        pa.float64(), "classifier-free guidance scale; null: none taken", default=None
    )
    scheduler: str | None = column(pa.string(), "scheduler class that was used", default=None)
    dtype: str | None = column(pa.string(), "float32 | float16 | bfloat16", default=None)
    vae_dtype: str | None = column(pa.string(), "type in which the VAE decoded; null: none was seen", default=None)
    memory: str | None = column(
        pa.string(), "slicing, offload: how memory had to be saved; null: there was enough", default=None
    )
    device: str | None = column(pa.string(), "kind of device: cpu, or the GPU's name", default=None)
    cpu_threads: int | None = column(
        pa.int32(), "threads of a CPU that computed it: another number adds in another order; null: a GPU", default=None
    )
    cpu_instructions: str | None = column(
        pa.string(), "of a CPU: the instructions that it computed with, such as AVX512; null: a GPU", default=None
    )
    batch_size: int | None = column(
        pa.int32(), "images that the recipe samples together; null for real images", default=None
    )
    call_size: int | None = column(
        pa.int32(),
        "images of the same pipeline call: fewer than batch_size where memory was short or the pipeline takes one at a "
        "time; null for real images",
        default=None,
    )
    libraries: str | None = column(pa.string(), "versions: diffusers=..., torch=..., transformers=...", default=None)
    format: str = column(pa.string(), "PNG for sampled images; of others as decoded")
    mode: str | None = column(
        pa.string(),
        "RGB or L; of images that were not sampled as their file has it (RGB, L, CMYK, P, ...)",
        default=None,
    )
    width: int = column(pa.int32(), "pixels")
    height: int = column(pa.int32(), "pixels")
    file_size: int | None = column(pa.int64(), "of the image file, bytes; null: unknown", default=None)
    jpeg_quality: int | None = column(
        pa.int32(), "1 to 100, estimated from the quantisation tables; null: no JPEG", default=None
    )
    chroma_subsampling: str | None = column(
        pa.string(), "of a JPEG: 4:4:4, 4:2:2, 4:2:0, ...; 4:0:0 for grey; null: no JPEG", default=None
    )
    progressive: bool | None = column(pa.bool_(), "whether a JPEG is progressive; null: no JPEG", default=None)
    has_exif: bool | None = column(
        pa.bool_(), "whether the file has EXIF data: never of sampled images; null: unknown", default=None
    )
    has_icc: bool | None = column(
        pa.bool_(), "whether the file has a colour profile: never of sampled images; null: unknown", default=None
    )
    has_c2pa: bool | None = column(
        pa.bool_(),
        "whether a generated image's file has Content Credentials (C2PA), which are not verified: never of sampled "
        "images; null for real images",
        default=None,
    )
    metadata: str | None = column(
        pa.string(),
        "JSON object: what an imported file, or the provider's answer, says beside the pixels; null: nothing",
        default=None,
    )
    original_name: str | None = column(
        pa.string(), "of an imported image: its path in what was imported; null: not imported", default=None
    )
    perceptual_hash: str | None = column(
        pa.string(),
        "64 bits (pHash) of an imported or delivered image, 16 hexadecimal digits; null for others",
        default=None,
    )
    sha256: str = column(pa.string(), "of the image file")
    also_by: tuple[str, ...] | None = column(
        TEXTS,
        "other generators that made an image of the same sha256 in its round or in one before; null: none",
        default=None,
    )
    also_in: tuple[str, ...] | None = column(
        TEXTS,
        "of a real image: <real_source>/<real_id> of the other real images with the same sha256, of its round or of "
        "one before; null: none",
        default=None,
    )
    nsfw_flag: bool | None = column(
        pa.bool_(),
        "whether the safety checker flagged it: never true; null for real images, which are not checked",
        default=None,
    )
    nsfw_score: float | None = column(
        pa.float32(), "largest (cosine - threshold) over its concepts; above 0 is flagged", default=None
    )
    redistributable: bool | None = column(
        pa.bool_(), "whether a real image may be passed on, null: unknown; null for generated images", default=None
    )
    path: str = column(
        pa.string(),
        "the file, or the sample part and the image's name in it: relative to the workspace; of a real image a "
        "locator: root://SOURCE/PATH (roots.toml has the folder), hf://...",
    )


#: What one process of a workspace does at a time (`workspace.exclusive`): writing manifest/, or copying it.
WORK = "manifest"


def manifest_path(workspace: Workspace) -> Path:
    """The manifest's file."""
    return workspace.manifest / "manifest.parquet"


def existing_manifest(workspace: Workspace) -> Path:
    """The manifest's file; raises `UsageError` when there is none yet, or one that another version wrote."""
    path = manifest_path(workspace)
    if not path.exists():
        raise UsageError(f"{path} does not exist: run `cf-build-manifest` first")
    check_version(path, ManifestRow)
    return path


def check_version(path: Path, record: type, remedy: str = "run `cf-build-manifest` again") -> None:
    """Raise `UsageError` for a file that another version wrote, whose columns may have another meaning."""
    with records.reading(path):
        written = pq.read_schema(path)
    if not written.equals(records.schema(record)):
        raise UsageError(f"{path} was written by another version: {remedy}")


def iterate_manifest(workspace: Workspace, batch_rows: int = 10_000) -> Iterator[pa.RecordBatch]:
    """The manifest's rows in order, `batch_rows` at a time, so that its size does not matter.

    Errors as `existing_manifest`.
    """
    with records.opened(existing_manifest(workspace), ManifestRow) as file:
        yield from file.iter_batches(batch_size=batch_rows)


def read_rows(workspace: Workspace, columns: Sequence[str] | None = None, split: Split | None = None) -> pa.Table:
    """The manifest's rows in order; `columns` and `split` limit what is read.

    Raises `UsageError` when there is no manifest, one of another version or a damaged one, or for an unknown column.
    """
    path = existing_manifest(workspace)
    records.read_table(path, ManifestRow, columns=[])
    known = records.schema(ManifestRow).names
    for name in columns or ():
        if name not in known:
            like = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"the manifest has no column {name!r}" + (f"; did you mean {like[0]!r}?" if like else ""))
    rows = None if split is None else pc.field("split") == split
    with records.reading(path):
        return pq.read_table(
            path, columns=columns, filters=rows, partitioning=None, page_checksum_verification=True
        ).replace_schema_metadata()


def rows_by_split(workspace: Workspace) -> Counter[Split | None]:
    """How many rows of the manifest are in each split and (None) in none; errors as `existing_manifest`."""
    rows: Counter[Split | None] = Counter()
    for (split, _), number in images_by_split(existing_manifest(workspace)).items():
        rows[split] += number
    return rows


def images_by_split(path: Path) -> Counter[tuple[Split | None, int]]:
    """How many rows of a manifest's file have each split (None: in none) and label. Raises `DamagedFileError`."""
    images: Counter[tuple[Split | None, int]] = Counter()
    with (
        records.reading(path),
        pq.ParquetFile(path, read_dictionary=["split"], page_checksum_verification=True) as file,
    ):
        for batch in file.iter_batches(columns=["split", "label"]):
            for label in (REAL, FAKE):
                splits = batch.column("split").filter(pc.equal(batch.column("label"), label))
                for found in pc.value_counts(splits).to_pylist():
                    images[found["values"], label] += found["counts"]
    return images
