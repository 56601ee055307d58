"""The catalogue: one row per generator, pinned to a commit. It is the lock file of a run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from crawler.options import Kind
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_name
from workspace.records import column

Architecture = Literal["LatDiff", "PixDiff", "GAN", "Other", "Commercial"]
Task = Literal["text-to-image", "class-conditional", "unconditional"]
Status = Literal["compatible", "incompatible"]
Origin = Literal["card", "config", "base", "default", "user"]
LicenseSource = Literal["card", "tag", "user", "none"]
ProgramFormat = Literal["python", "torchscript", "torch-export", "onnx"]
#: The values of an image's pixels as a program returns them.
PixelRange = Literal["-1..1", "0..1", "0..255"]
LicenseFamily = Literal["open", "openrail", "non-commercial", "research-only", "proprietary", "unknown"]

_TEXTS = pa.list_(pa.field("element", pa.string(), nullable=False))

#: Digits of a local generator's revision; a commit has 40.
LOCAL_DIGITS = 64

# Folders of components that run once per image, or not at all; the others are denoisers.
_NOT_DENOISER = re.compile(r"(?:^|_)(?:text_encoder|image_encoder|vae|vqvae|vqgan|movq|bert|safety_checker)(?:_\d+)?$")


#: How files of weights end.
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pt2", ".pth", ".ckpt", ".pkl", ".onnx", ".tar", ".npz")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFile:
    """A file that sampling downloads."""

    path: str = column(pa.string(), "path inside the repository, with forward slashes")
    size: int = column(pa.int64(), "bytes")
    sha256: str | None = column(
        pa.string(),
        "of the bytes, from the Hub; null for small files in git, of which the Hub has only a git hash",
        default=None,
    )
    git_oid: str | None = column(pa.string(), "git blob sha1, from the Hub, for files without a sha256", default=None)

    @property
    def folder(self) -> str:
        """The component it belongs to, such as unet; empty for a file of the pipeline itself."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """How the author samples the generator; null where nothing is given."""

    num_inference_steps: int | None = column(pa.int32(), "denoising steps", default=None)
    guidance_scale: float | None = column(pa.float64(), "classifier-free guidance scale", default=None)
    height: int | None = column(pa.int32(), "pixels", default=None)
    width: int | None = column(pa.int32(), "pixels", default=None)
    scheduler: str | None = column(pa.string(), "scheduler class of diffusers", default=None)
    scheduler_config: str | None = column(
        pa.string(), "JSON object: settings of the scheduler that differ from its configuration file", default=None
    )
    prediction_type: str | None = column(pa.string(), "epsilon, v_prediction, sample or flow", default=None)
    negative_prompt: str | None = column(pa.string(), "as written in the card", default=None)
    trigger_words: str | None = column(pa.string(), "words that must be in the prompt, from the card", default=None)
    adapter_scale: float | None = column(pa.float64(), "scale of the LoRA; null: 1", default=None)
    extra: str | None = column(pa.string(), "JSON object: other literal arguments of the pipeline's call", default=None)


@dataclass(frozen=True, kw_only=True)
class HyperparameterSources:
    """The source of each hyperparameter: card | config | base (what the base model's card says) | default;
    null where there is no value. No catalogue has `user`: it is the source of what sampling's options set."""

    num_inference_steps: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    guidance_scale: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    height: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    width: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    scheduler: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    scheduler_config: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    prediction_type: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    negative_prompt: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    trigger_words: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    adapter_scale: Origin | None = column(pa.string(), "card | config | base | default", default=None)
    extra: Origin | None = column(pa.string(), "card | config | base | default", default=None)


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a generator is called that is no pipeline of diffusers (`cf-add`)."""

    format: ProgramFormat = column(
        pa.string(), "python: a module with one function | torchscript | torch-export | onnx"
    )
    file: str = column(pa.string(), "path in files of the module or model")
    function: str | None = column(pa.string(), "the module's function; null: a model", default=None)
    code: tuple[str, ...] = column(
        _TEXTS, "folders in files from which the module imports, before the installed packages", default=()
    )
    packages: tuple[str, ...] = column(_TEXTS, "installed packages that it needs, as they are imported", default=())
    settings: tuple[str, ...] = column(_TEXTS, "settings that the function takes, by name", default=())
    classes: int | None = column(pa.int32(), "number of classes; null: it is not class-conditional", default=None)
    noise: tuple[int, ...] = column(
        pa.list_(pa.field("element", pa.int32(), nullable=False)),
        "shape of the normal noise of one image that a model gets; none: a module, which gets seeds",
        default=(),
    )
    pixels: PixelRange | None = column(
        pa.string(),
        "-1..1 | 0..1 | 0..255: values of the pixels that it returns; null: pictures or bytes",
        default=None,
    )


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Who samples a remote generator, and how it is asked (`cf-sample --remote`)."""

    name: str = column(
        pa.string(), "openai: an endpoint that speaks OpenAI's images API | an inference provider of Hugging Face"
    )
    model: str = column(pa.string(), "what the provider calls the model")
    endpoint: str | None = column(pa.string(), "address of the API; null: the provider's own", default=None)
    parameters: str | None = column(
        pa.string(), "JSON object: parameters of a request beside model, prompt and hyperparameters", default=None
    )


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One generator as it was on the Hub when it was crawled."""

    model_name: str = column(pa.string(), "repository id, ORG/NAME")
    revision: str = column(
        pa.string(),
        "commit sha that this row describes and sampling uses; of a local generator the SHA-256 of its files",
    )
    endpoint: str | None = column(
        pa.string(), "URL of the Hub that it was crawled from; null: a local generator", default=None
    )
    link: str | None = column(
        pa.string(), "page of a local generator, as its user says; null: its page on the Hub, or none", default=None
    )
    round: int = column(pa.int32(), "round of the recipe that added it, from 1", default=1)
    last_round: int | None = column(
        pa.int32(), "last round that samples it, as a newer revision takes its place; null: none", default=None
    )
    further_revision: bool = column(
        pa.bool_(), "whether the workspace has an earlier revision of it, whose folders are ORG--NAME", default=False
    )
    subset: Literal["Systematic", "Manual", "Commercial"] = column(pa.string(), "part of the study's dataset")
    rank: int = column(pa.int32(), "position by downloads in this crawl, from 1")
    downloads: int = column(pa.int64(), "of the last 30 days, counted by the Hub")
    downloads_all_time: int | None = column(pa.int64(), "counted by the Hub", default=None)
    likes: int = column(pa.int64(), "counted by the Hub")
    license: str | None = column(
        pa.string(), "SPDX id if there is one, else as the author writes it; null: none given", default=None
    )
    license_source: LicenseSource = column(pa.string(), "card | tag | user (who names a local generator) | none")
    license_family: LicenseFamily = column(
        pa.string(), "open | openrail | non-commercial | research-only | proprietary | unknown"
    )
    license_name: str | None = column(pa.string(), "name of the licence, where license is other", default=None)
    license_link: str | None = column(pa.string(), "link to its text, where license is other", default=None)
    license_effective: str | None = column(
        pa.string(), "the strictest licence of it and the models it is made from; null: none given", default=None
    )
    license_family_effective: LicenseFamily = column(
        pa.string(), "family of license_effective; values as in license_family", default="unknown"
    )
    license_chain: tuple[str, ...] = column(
        _TEXTS, "REPOSITORY: LICENCE of it and of each model it is made from, nearest first", default=()
    )
    hf_pipeline_tag: str | None = column(pa.string(), "task tag of the Hub", default=None)
    hf_diffusers_tag: str | None = column(
        pa.string(), "pipeline class in model_index.json; of an adapter: that of its base model", default=None
    )
    tags: tuple[str, ...] = column(_TEXTS, "all tags on the Hub", default=())
    architecture: Architecture = column(pa.string(), "LatDiff | PixDiff | GAN | Other | Commercial (not known)")
    architecture_evidence: str = column(pa.string(), "the facts that architecture was decided by")
    task: Task | None = column(
        pa.string(), "text-to-image | class-conditional | unconditional; null: none of these", default=None
    )
    kind: Kind = column(pa.string(), "checkpoint | lora | textual-inversion")
    base_model: str | None = column(
        pa.string(), "repository id of the model that this one was made from, by its card or tags", default=None
    )
    base_revision: str | None = column(
        pa.string(), "commit sha of base_model; adapters and single files only", default=None
    )
    lineage: tuple[str, ...] = column(_TEXTS, "all known ancestors, nearest first", default=())
    hyperparameters: Hyperparameters = column(doc="how the author samples it", of=Hyperparameters)
    hyperparameter_sources: HyperparameterSources = column(
        doc="source of each hyperparameter", of=HyperparameterSources
    )
    unread_settings: tuple[str, ...] = column(
        _TEXTS,
        "settings that its card gives in a form that cannot be read; they have the next source's value",
        default=(),
    )
    files: tuple[ModelFile, ...] = column(
        doc="all files that sampling downloads from this repository", of=ModelFile, many=True, default=()
    )
    base_files: tuple[ModelFile, ...] = column(
        doc="all files that sampling an adapter or a single file downloads from base_model",
        of=ModelFile,
        many=True,
        default=(),
    )
    single_file: str | None = column(
        pa.string(),
        "path in files of a checkpoint in one file, whose configurations are in base_files; null: the files are a "
        "pipeline's folder, or an adapter's",
        default=None,
    )
    adapter_file: str | None = column(
        pa.string(), "path in files of the LoRA's or textual inversion's weights; null: a checkpoint", default=None
    )
    embedding_file: str | None = column(
        pa.string(), "path in files of the embeddings that a LoRA was trained with; null: none", default=None
    )
    embedding_tokens: tuple[str, ...] = column(
        _TEXTS, "tokens of these embeddings, or of a textual inversion; none: those that the file names", default=()
    )
    prior_model: str | None = column(
        pa.string(), "repository id of the prior, for a decoder that needs one; null: it needs none", default=None
    )
    prior_revision: str | None = column(pa.string(), "commit sha of prior_model", default=None)
    prior_files: tuple[ModelFile, ...] = column(
        doc="all files that sampling downloads from prior_model", of=ModelFile, many=True, default=()
    )
    trained_on: str | None = column(
        pa.string(),
        "published name of the real source that it was trained on, as its user says; null: not said",
        default=None,
    )
    program: Program | None = column(
        doc="how it is called, where it is no pipeline of diffusers; null: it is one", of=Program, default=None
    )
    provider: Provider | None = column(
        doc="who samples it, where it is a remote generator; null: it is sampled here, or imported",
        of=Provider,
        default=None,
    )
    variant: str | None = column(
        pa.string(), "weight variant of the files, such as fp16; null: full precision", default=None
    )
    download_bytes: int = column(pa.int64(), "sum of the sizes of files, base_files and prior_files")
    gated: Literal["auto", "manual"] | None = column(
        pa.string(), "how access is granted, auto | manual; null: not gated", default=None
    )
    created_at: str | None = column(pa.string(), "UTC, ISO 8601", default=None)
    last_modified: str | None = column(pa.string(), "UTC, ISO 8601", default=None)
    crawled_at: str = column(pa.string(), "UTC, ISO 8601: when this revision was inspected")
    status: Status = column(pa.string(), "compatible: can be sampled | incompatible")
    reason: str | None = column(
        pa.string(), "why it is incompatible; one of the codes in crawler/reasons.py", default=None
    )
    reason_detail: str | None = column(pa.string(), "the reason in words, or what is wrong with the card", default=None)

    @property
    def generator(self) -> str:
        """Its name in the workspace, unique: ORG/NAME, or ORG/NAME@COMMIT for a further revision."""
        return generator_name(self.model_name, self.revision, self.further_revision)

    @property
    def is_local(self) -> bool:
        """Whether its files are on this machine, and not on a Hub."""
        return len(self.revision) == LOCAL_DIGITS

    @property
    def all_files(self) -> tuple[ModelFile, ...]:
        """Everything that sampling downloads: its own files, its base model's and its prior's."""
        return (*self.files, *self.base_files, *self.prior_files)


def denoiser_files(files: Iterable[ModelFile]) -> list[ModelFile]:
    """The weights that run at every step. Generators that differ only in other files, such as the VAE, share them."""
    return [file for file in files if file.path.endswith(".safetensors") and not _NOT_DENOISER.search(file.folder)]


def own_weights(entry: CatalogEntry) -> list[ModelFile]:
    """The weights that make a generator this one: its denoiser's; of a program all but those of its code and of
    components that many share, such as an autoencoder. Generators that have one of them in common are kin."""
    if entry.program is None:
        return denoiser_files(entry.files)
    code = tuple(f"{folder}/" for folder in entry.program.code)
    return [
        file
        for file in entry.files
        if (file.path == entry.program.file and entry.program.format != "python")
        or (file.path.endswith(_WEIGHTS) and not file.path.startswith(code) and not _is_shared(file))
    ]


def _is_shared(file: ModelFile) -> bool:
    return _NOT_DENOISER.search(file.folder.rpartition("/")[2]) is not None


def read_catalog(workspace: Workspace) -> list[CatalogEntry]:
    """The catalogue by rank; raises `UsageError` if it does not exist."""
    if not workspace.catalog.exists():
        raise UsageError(f"{workspace.catalog} does not exist: run `cf-crawl` first")
    return records.read(workspace.catalog, CatalogEntry)
