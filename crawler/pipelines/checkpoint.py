"""Inspection of a checkpoint: a repository with a model_index.json, by its pipeline class and its configurations.

An adapter is sampled with its base model, which is a checkpoint too and is inspected in the same way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.catalog import Architecture, Task
from crawler.hub.repository import Repository
from crawler.hyperparameters import settings_in_configs
from crawler.model_index import MODEL_INDEX, NOT_DOWNLOADED, components
from crawler.pipelines.architecture import architecture_of
from crawler.pipelines.traits import PipelineTraits, component_exists, describe
from crawler.pipelines.weight_files import Download, checkpoint_files
from crawler.reasons import Incompatible, Reason

# Components that process the image, in the order in which diffusers' pipelines take its size from them.
_DENOISERS = ("unet", "transformer")
_DECODERS = ("vae", "vqvae", "movq", "vqgan")
#: Tells for a pipeline class whether the size of its images is known without the configurations.
SizeKnown = Callable[[PipelineTraits], bool]


@dataclass
class Checkpoint:
    """What is known of a checkpoint. Where the inspection ends early, it has what is known up to there."""

    class_name: str | None = None
    traits: PipelineTraits | None = None
    architecture: Architecture = "Other"
    architecture_evidence: str = "not inspected"
    task: Task | None = None
    #: Settings in its configurations (`crawler.hyperparameters.settings_in_configs`).
    config: Mapping[str, Any] = field(default_factory=dict)
    download: Download = field(default_factory=lambda: Download(()))
    #: Why it cannot be sampled; None: it can.
    incompatible: Incompatible | None = None


def inspect_checkpoint(
    repository: Repository, tags: tuple[str, ...] = (), size_known: SizeKnown = lambda _traits: False
) -> Checkpoint:
    """Inspect a checkpoint; an error that concerns only this repository is in its `incompatible`. Raises `HubError`.

    Where `size_known` says that the card gives the size of the images, the decoder's configuration, which costs a
    request, is not read.
    """
    checkpoint = Checkpoint()
    try:
        _inspect(checkpoint, repository, tags, size_known)
    except Incompatible as error:
        checkpoint.incompatible = error
    return checkpoint


def _inspect(checkpoint: Checkpoint, repository: Repository, tags: tuple[str, ...], size_known: SizeKnown) -> None:
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
    try:
        parts = components(index)
    except ValueError as error:
        raise Incompatible(Reason.MALFORMED, str(error)) from error
    checkpoint.class_name = class_name
    checkpoint.traits = describe(class_name)
    checkpoint.architecture, checkpoint.architecture_evidence = architecture_of(parts, class_name, tags)
    checkpoint.task = checkpoint.traits.task if checkpoint.traits is not None else None
    _check_code(repository, class_name, checkpoint.traits, parts)
    traits = _check_traits(class_name, checkpoint.traits)
    _check_components(traits, parts)
    checkpoint.config = _read_configs(repository, parts, size_known(traits))
    checkpoint.download = checkpoint_files(repository.files, parts, traits)
    if checkpoint.download.pickled is not None:
        raise Incompatible(Reason.PICKLE_ONLY, checkpoint.download.pickled)
    if checkpoint.task is None:
        needed = ", ".join(sorted(traits.required)) or "neither a prompt nor a number of images is a parameter"
        raise Incompatible(Reason.NEEDS_OTHER_INPUT, f"{class_name}: {needed}")


def _check_code(
    repository: Repository, class_name: str, traits: PipelineTraits | None, parts: Mapping[str, tuple[str, str]]
) -> None:
    for name, (library, _) in parts.items():
        if f"{name}/{library}.py" in repository.files:
            raise Incompatible(Reason.REMOTE_CODE, f"{name} is Python code of the repository, {name}/{library}.py")
    if traits is None and "pipeline.py" in repository.files:
        raise Incompatible(Reason.REMOTE_CODE, f"{class_name} is Python code of the repository, pipeline.py")


def _check_traits(class_name: str, traits: PipelineTraits | None) -> PipelineTraits:
    if traits is None:
        for prefix, reason in (("Onnx", Reason.ONNX_ONLY), ("Flax", Reason.OTHER_FORMAT)):
            if class_name.startswith(prefix):
                raise Incompatible(reason, f"{class_name} is not a PyTorch pipeline")
        raise Incompatible(Reason.UNKNOWN_CLASS, f"the installed diffusers has no pipeline {class_name}")
    if traits.output == "video":
        raise Incompatible(Reason.VIDEO, f"{class_name} generates videos")
    if traits.output == "audio":
        raise Incompatible(Reason.AUDIO, f"{class_name} generates audio")
    if traits.needs_input_image:
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, f"{class_name} needs an image, a mask or an image embedding")
    if traits.output != "image":
        raise Incompatible(Reason.NO_IMAGE_OUTPUT, f"{class_name} does not return images")
    return traits


def _check_components(traits: PipelineTraits, parts: Mapping[str, tuple[str, str]]) -> None:
    for name, (library, class_name) in parts.items():
        replaced = name in NOT_DOWNLOADED and name in traits.optional_components
        if not replaced and not component_exists(library, class_name):
            raise Incompatible(Reason.UNKNOWN_CLASS, f"{name}: no {class_name} in the installed {library}")


def _read_configs(repository: Repository, parts: Mapping[str, tuple[str, str]], size_known: bool) -> dict[str, Any]:
    denoiser = next((name for name in _DENOISERS if name in parts), None)
    decoder = next((name for name in _DECODERS if name in parts), None)
    scheduler = repository.read_json("scheduler/scheduler_config.json") if "scheduler" in parts else None
    denoiser_config = _read_config(repository, denoiser)
    if size_known or denoiser_config is None or denoiser_config.get("sample_size") is None:
        return settings_in_configs(scheduler, None, None)  # no need for the decoder's scale, which costs a request
    decoder_config = _read_config(repository, decoder)
    if decoder is not None and decoder_config is None:
        return settings_in_configs(scheduler, None, None)  # the size is unknown without its scale
    return settings_in_configs(scheduler, denoiser_config, decoder_config)


def _read_config(repository: Repository, component: str | None) -> dict[str, Any] | None:
    config = repository.read_json(f"{component}/config.json") if component is not None else None
    if config is not None and config.get("quantization_config") is not None:
        raise Incompatible(Reason.QUANTIZED_ONLY, f"{component}/config.json has a quantization_config")
    return config
