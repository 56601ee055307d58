"""Inspection of a checkpoint: a repository with a model_index.json, by its pipeline class and its configurations.

An adapter is sampled with its base model, and a decoder with its prior; both are checkpoints too and are inspected in
the same way.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.catalog import Architecture, Task
from crawler.hub.repository import Repository
from crawler.hyperparameters import settings_in_configs
from crawler.model_index import MODEL_INDEX, NOT_DOWNLOADED, components
from crawler.pipelines.architecture import architecture_of
from crawler.pipelines.components import missing_packages
from crawler.pipelines.traits import PipelineTraits, combined_class, describe, does_without, missing_for_pipeline
from crawler.pipelines.weight_files import Download, checkpoint_files, folder_of
from crawler.reasons import Incompatible, Reason

# Components that process the image, in the order in which diffusers' pipelines take its size from them.
_DENOISERS = ("unet", "transformer")
_DECODERS = ("vae", "vqvae", "movq", "vqgan")
# Classes of other runtimes, which have their own formats: optimum's and those that diffusers had.
_OTHER_RUNTIMES = (
    (re.compile(r"(?:StableDiffusion)?O(?:nnx|RT)[A-Z]"), Reason.ONNX_ONLY),
    (re.compile(r"(?:Flax|OV|Neuron|IPU|Gaudi|RBLN|TensorRT|TRT|CoreML|MLX|TF)[A-Z]"), Reason.OTHER_FORMAT),
)
# Classes whose denoiser has one input for each output unless a call also gives it an image (inpainting, control).
_CONDITIONED = frozenset({"UNet2DConditionModel", "FluxTransformer2DModel"})
# A text encoder of CLIP is too small to be quantized, and its configuration is as good as always this short (bytes). It
# differs between fine-tunes, so reading it would cost most models a request; those of other encoders are shared.
_CLIP, _CLIP_CONFIG = re.compile(r"^CLIPText"), 700
#: Characters of the name of a pipeline class at most; what is known of each name is kept.
MAX_CLASS_NAME = 100
#: Tells for a pipeline class whether the size of its images is known without the configurations.
SizeKnown = Callable[[PipelineTraits], bool]
#: Of the components, by their classes, those whose weights are in a single file and not in the repository.
InFile = Callable[[Mapping[str, str]], Collection[str]]


@dataclass
class Checkpoint:
    """What is known of a checkpoint. Where the inspection ends early, it has what is known up to there."""

    class_name: str | None = None
    #: Of the pipeline that is called: that of the prior and the decoder together, where it is a decoder.
    traits: PipelineTraits | None = None
    #: The prior's repository must be added, or the checkpoint is not complete.
    needs_prior: bool = False
    architecture: Architecture = "Other"
    architecture_evidence: str = "not inspected"
    task: Task | None = None
    #: Components by name: library and class.
    components: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: Settings in its configurations (`crawler.hyperparameters.settings_in_configs`).
    config: Mapping[str, Any] = field(default_factory=dict)
    download: Download = field(default_factory=lambda: Download(()))
    #: Why it cannot be sampled; None: it can.
    incompatible: Incompatible | None = None


def inspect_checkpoint(
    repository: Repository,
    tags: tuple[str, ...] = (),
    size_known: SizeKnown = lambda _traits: False,
    is_prior: bool = False,
    in_file: InFile = lambda _classes: (),
) -> Checkpoint:
    """Inspect a checkpoint; an error that concerns only this repository is in its `incompatible`. Raises `HubError`.

    Where `size_known` says that the card gives the size of the images, the decoder's configuration, which costs a
    request, is not read. A prior need not return images. Of components that `in_file` names, only the configuration is
    downloaded.
    """
    checkpoint = Checkpoint()
    try:
        _inspect(checkpoint, repository, tags, size_known, is_prior, in_file)
    except Incompatible as error:
        checkpoint.incompatible = error
    return checkpoint


def _inspect(
    checkpoint: Checkpoint,
    repository: Repository,
    tags: tuple[str, ...],
    size_known: SizeKnown,
    is_prior: bool,
    in_file: InFile,
) -> None:
    index = repository.read_json(MODEL_INDEX)
    if index is None:
        checkpoint.architecture, checkpoint.architecture_evidence = architecture_of({}, None, tags)
        raise Incompatible(Reason.NO_MODEL_INDEX, f"{repository.model_name} has no {MODEL_INDEX}")
    class_name = index.get("_class_name")
    if isinstance(class_name, list):
        raise Incompatible(
            Reason.REMOTE_CODE, f"{MODEL_INDEX}: the pipeline is Python code of the repository, {class_name}"
        )
    if not isinstance(class_name, str) or not class_name:
        raise Incompatible(Reason.MALFORMED, f"{MODEL_INDEX} has no _class_name")
    if len(class_name) > MAX_CLASS_NAME:
        raise Incompatible(Reason.MALFORMED, f"{MODEL_INDEX}: _class_name has more than {MAX_CLASS_NAME} characters")
    own = describe(class_name)
    combined = None if is_prior else combined_class(class_name)
    checkpoint.class_name = class_name
    checkpoint.traits = describe(combined) if combined is not None else own
    checkpoint.needs_prior = combined is not None
    checkpoint.task = checkpoint.traits.task if checkpoint.traits is not None else None
    try:
        parts = components(index, own.taken if own is not None else None)
    except ValueError as error:
        raise Incompatible(Reason.MALFORMED, str(error)) from error
    checkpoint.components = parts
    checkpoint.architecture, checkpoint.architecture_evidence = architecture_of(parts, class_name, tags)
    _check_code(repository, class_name, own, parts)
    own = _check_class(class_name, own)
    if not is_prior:
        _check_traits(class_name, checkpoint.traits or own)
    _check_components(own, index, parts)
    checkpoint.config = _read_configs(repository, parts, is_prior or size_known(checkpoint.traits or own))
    _check_quantization(repository, parts)
    without_weights = in_file({name: class_name for name, (_, class_name) in parts.items()})
    checkpoint.download = checkpoint_files(repository.files, parts, own, without_weights)
    if checkpoint.download.pickled is not None:
        raise Incompatible(Reason.PICKLE_ONLY, checkpoint.download.pickled)
    if checkpoint.task is None and not is_prior:
        needed = ", ".join(sorted(own.required)) or "neither a prompt nor a number of images is a parameter"
        raise Incompatible(Reason.NEEDS_OTHER_INPUT, f"{class_name}: {needed}")


def _check_code(
    repository: Repository, class_name: str, traits: PipelineTraits | None, parts: Mapping[str, tuple[str, str]]
) -> None:
    for name, (library, _) in parts.items():
        if f"{name}/{library}.py" in repository.files:
            raise Incompatible(Reason.REMOTE_CODE, f"{name} is Python code of the repository, {name}/{library}.py")
    if traits is None and "pipeline.py" in repository.files:
        raise Incompatible(Reason.REMOTE_CODE, f"{class_name} is Python code of the repository, pipeline.py")


def _check_class(class_name: str, traits: PipelineTraits | None) -> PipelineTraits:
    _check_runtime(class_name)
    missing = missing_for_pipeline(class_name)
    if missing:
        raise Incompatible(Reason.NEEDS_PACKAGE, f"{class_name} needs {_listed(missing)}, which is not installed")
    if traits is None:
        raise Incompatible(Reason.UNKNOWN_CLASS, f"the installed diffusers has no pipeline {class_name}")
    return traits


def _check_runtime(class_name: str) -> None:
    for pattern, reason in _OTHER_RUNTIMES:
        if pattern.match(class_name):
            raise Incompatible(reason, f"{class_name} is a class of another runtime than PyTorch")


def _check_traits(class_name: str, traits: PipelineTraits) -> None:
    if traits.output == "video":
        raise Incompatible(Reason.VIDEO, f"{class_name} generates videos")
    if traits.output == "audio":
        raise Incompatible(Reason.AUDIO, f"{class_name} generates audio")
    if traits.needs_input_image:
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, f"{class_name} needs an image, a mask or an image embedding")
    if traits.output != "image":
        raise Incompatible(Reason.NO_IMAGE_OUTPUT, f"{class_name} does not return images")


def _check_components(traits: PipelineTraits, index: Mapping[str, Any], parts: Mapping[str, tuple[str, str]]) -> None:
    for name, (library, class_name) in parts.items():
        if name in NOT_DOWNLOADED and name in traits.optional_components:
            continue
        missing = missing_packages(library, class_name)
        if missing is None or missing:
            _check_runtime(class_name)
        if missing is None:
            raise Incompatible(Reason.UNKNOWN_CLASS, f"{name}: no {class_name} in the installed {library}")
        if missing:
            detail = f"{name}: {class_name} needs {_listed(missing)}, which is not installed"
            raise Incompatible(Reason.NEEDS_PACKAGE, detail)
    for name in traits.components:
        if name in parts or name in traits.optional_components:
            continue
        if name not in index or not does_without(traits.class_name, name):
            detail = f"{MODEL_INDEX} names no {name}, which {traits.class_name} needs"
            raise Incompatible(Reason.MISSING_FILES, detail)


def _read_configs(repository: Repository, parts: Mapping[str, tuple[str, str]], size_known: bool) -> dict[str, Any]:
    denoiser = next((name for name in _DENOISERS if name in parts), None)
    decoder = next((name for name in _DECODERS if name in parts), None)
    scheduler = None
    if "scheduler" in parts:
        scheduler = repository.read_json(f"{folder_of('scheduler', repository.files)}scheduler_config.json")
        # The class of the index is the one that diffusers loads, whatever this file was made with.
        scheduler = {**scheduler, "_class_name": parts["scheduler"][1]} if scheduler is not None else None
    denoiser_config = _read_config(repository, denoiser, parts)
    if denoiser is not None and denoiser_config is not None:
        _check_channels(denoiser, parts[denoiser][1], denoiser_config)
    if size_known or denoiser_config is None or denoiser_config.get("sample_size") is None:
        return settings_in_configs(scheduler, None, None)  # no need for the decoder's scale, which costs a request
    decoder_config = _read_config(repository, decoder, parts)
    if decoder is not None and decoder_config is None:
        return settings_in_configs(scheduler, None, None)  # the size is unknown without its scale
    return settings_in_configs(scheduler, denoiser_config, decoder_config)


def _read_config(
    repository: Repository, component: str | None, parts: Mapping[str, tuple[str, str]]
) -> dict[str, Any] | None:
    if component is None:
        return None
    folder = folder_of(component, repository.files)
    config = repository.read_json(f"{folder}config.json")
    if config is not None and not folder and config.get("_class_name", parts[component][1]) != parts[component][1]:
        # The configuration at the root is that of another component, whose files are there.
        raise Incompatible(Reason.MISSING_FILES, f"the folder {component}/ of {parts[component][1]}")
    if config is not None and config.get("quantization_config") is not None:
        raise Incompatible(Reason.QUANTIZED_ONLY, f"{folder}config.json has a quantization_config")
    return config


def _check_quantization(repository: Repository, parts: Mapping[str, tuple[str, str]]) -> None:
    for name, (_, class_name) in parts.items():
        file = repository.files.get(f"{name}/config.json")
        if not name.startswith("text_encoder") or file is None:
            continue
        if file.size > _CLIP_CONFIG or not _CLIP.search(class_name):
            _read_config(repository, name, parts)


def _check_channels(component: str, class_name: str, config: Mapping[str, Any]) -> None:
    channels, outputs = config.get("in_channels"), config.get("out_channels")
    counted = isinstance(channels, int) and isinstance(outputs, int)
    if class_name in _CONDITIONED and counted and channels > outputs:  # type: ignore[operator]
        detail = f"{component} takes {channels} channels and returns {outputs}: the others are those of an image"
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, detail)


def _listed(packages: frozenset[str]) -> str:
    return " and ".join(sorted(packages))
