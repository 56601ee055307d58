"""The catalogue: one row a generator, pinned to a commit. It is the lock file of a run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crawler.options import Kind
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.records import column

Architecture = Literal["LatDiff", "PixDiff", "GAN", "Other"]
Task = Literal["text-to-image", "class-conditional", "unconditional"]
Status = Literal["compatible", "incompatible"]
Origin = Literal["card", "config", "default"]
LicenseFamily = Literal["open", "openrail", "non-commercial", "research-only", "proprietary", "unknown"]

_TEXTS = pa.list_(pa.field("element", pa.string(), nullable=False))

# Folders of components that run once an image, or not at all; what is left is the denoiser.
_ONCE = re.compile(r"(?:^|_)(?:text_encoder|image_encoder|vae|vqvae|vqgan|movq|bert|safety_checker)(?:_\d+)?$")


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file that sampling will download."""

    path: str = column(pa.string(), "path inside the repository, with forward slashes")
    size: int = column(pa.int64(), "bytes")
    sha256: str | None = column(
        pa.string(),
        "of the bytes, as the Hub states it; null for small files kept in git, of which the Hub knows a git hash only",
        default=None,
    )
    git_oid: str | None = column(
        pa.string(), "git blob sha1, as the Hub states it, for files without a sha256", default=None
    )

    @property
    def folder(self) -> str:
        """The component it belongs to, such as unet; empty for a file of the pipeline as a whole."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """How the generator wants to be sampled; null where nobody said."""

    num_inference_steps: int | None = column(pa.int32(), "denoising steps", default=None)
    guidance_scale: float | None = column(pa.float64(), "classifier-free guidance scale", default=None)
    height: int | None = column(pa.int32(), "pixels", default=None)
    width: int | None = column(pa.int32(), "pixels", default=None)
    scheduler: str | None = column(pa.string(), "scheduler class of diffusers", default=None)
    prediction_type: str | None = column(pa.string(), "epsilon, v_prediction, sample or flow", default=None)
    negative_prompt: str | None = column(pa.string(), "as the card gives it", default=None)
    trigger_words: str | None = column(pa.string(), "what the card says must stand in the prompt", default=None)
    extra: str | None = column(pa.string(), "JSON object: further literal arguments of the pipeline call", default=None)


@dataclass(frozen=True, kw_only=True)
class HyperparameterSources:
    """Where each hyper-parameter comes from: card | config | default; null where there is no value."""

    num_inference_steps: Origin | None = column(pa.string(), "card | config | default", default=None)
    guidance_scale: Origin | None = column(pa.string(), "card | config | default", default=None)
    height: Origin | None = column(pa.string(), "card | config | default", default=None)
    width: Origin | None = column(pa.string(), "card | config | default", default=None)
    scheduler: Origin | None = column(pa.string(), "card | config | default", default=None)
    prediction_type: Origin | None = column(pa.string(), "card | config | default", default=None)
    negative_prompt: Origin | None = column(pa.string(), "card | config | default", default=None)
    trigger_words: Origin | None = column(pa.string(), "card | config | default", default=None)
    extra: Origin | None = column(pa.string(), "card | config | default", default=None)


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One generator as the Hub had it when it was crawled."""

    model_name: str = column(pa.string(), "repository id, ORG/NAME")
    revision: str = column(pa.string(), "commit sha the row speaks of, and sampling will use")
    subset: Literal["Systematic", "Manual", "Commercial"] = column(pa.string(), "part of the study's dataset")
    rank: int = column(pa.int32(), "place by downloads among what was listed, from 1")
    downloads: int = column(pa.int64(), "of the last 30 days, as the Hub counts them")
    downloads_all_time: int | None = column(pa.int64(), "as the Hub counts them", default=None)
    likes: int = column(pa.int64(), "as the Hub counts them")
    license: str | None = column(pa.string(), "SPDX id where one exists, else verbatim; null: none given", default=None)
    license_source: Literal["card", "tag", "none"] = column(pa.string(), "card | tag | none")
    license_family: LicenseFamily = column(
        pa.string(), "open | openrail | non-commercial | research-only | proprietary | unknown"
    )
    license_name: str | None = column(pa.string(), "the author's name for it, where license is other", default=None)
    license_link: str | None = column(pa.string(), "where its text is, where license is other", default=None)
    hf_pipeline_tag: str | None = column(pa.string(), "the Hub's task tag", default=None)
    hf_diffusers_tag: str | None = column(
        pa.string(), "pipeline class named by model_index.json; an adapter's: that of its base", default=None
    )
    tags: tuple[str, ...] = column(_TEXTS, "all tags of the Hub", default=())
    architecture: Architecture = column(pa.string(), "LatDiff | PixDiff | GAN | Other")
    architecture_evidence: str = column(pa.string(), "what that is known from")
    task: Task | None = column(
        pa.string(), "text-to-image | class-conditional | unconditional; null: none of them", default=None
    )
    kind: Kind = column(pa.string(), "checkpoint | lora | textual-inversion")
    base_model: str | None = column(pa.string(), "repository id the card says this one was made from", default=None)
    base_revision: str | None = column(pa.string(), "commit sha of base_model; null unless an adapter", default=None)
    lineage: tuple[str, ...] = column(_TEXTS, "all known ancestors, nearest first", default=())
    hyperparameters: Hyperparameters = column(doc="how it wants to be sampled", of=Hyperparameters)
    hyperparameter_sources: HyperparameterSources = column(
        doc="where each of these comes from", of=HyperparameterSources
    )
    files: tuple[ModelFile, ...] = column(
        doc="exactly what sampling will download from this repository", of=ModelFile, many=True, default=()
    )
    base_files: tuple[ModelFile, ...] = column(
        doc="exactly what sampling an adapter will download from base_model", of=ModelFile, many=True, default=()
    )
    variant: str | None = column(pa.string(), "weight variant the files are of, such as fp16", default=None)
    download_bytes: int = column(pa.int64(), "sum of the sizes of files and base_files")
    gated: Literal["auto", "manual"] | None = column(pa.string(), "auto | manual; null: open to everyone", default=None)
    created_at: str | None = column(pa.string(), "UTC, ISO 8601", default=None)
    last_modified: str | None = column(pa.string(), "UTC, ISO 8601", default=None)
    crawled_at: str = column(pa.string(), "UTC, ISO 8601: when this revision was looked at")
    status: Status = column(pa.string(), "compatible: can be sampled | incompatible")
    reason: str | None = column(
        pa.string(), "why it is incompatible, of the closed set in crawler/reasons.py", default=None
    )
    reason_detail: str | None = column(pa.string(), "the reason in words: what and where", default=None)


def denoiser_files(files: Iterable[ModelFile]) -> list[ModelFile]:
    """The weights that run at every step: what makes a generator another one than its neighbour with the same VAE."""
    return [file for file in files if file.path.endswith(".safetensors") and not _ONCE.search(file.folder)]


def read_catalog(workspace: Workspace) -> list[CatalogEntry]:
    """The catalogue by rank; raises `UsageError` when there is none yet."""
    if not workspace.catalog.exists():
        raise UsageError(f"{workspace.catalog} does not exist: run `cf-crawl` first")
    return records.read(workspace.catalog, CatalogEntry)
