"""What a checkpoint is: a repository with a model_index.json, looked at through its class and its configurations.

An adapter is sampled through its base, which is a checkpoint too; so the same look serves both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.catalog import Architecture, Task
from crawler.hub.repository import Repository
from crawler.hyperparameters import config_implies
from crawler.model_index import MODEL_INDEX, NOT_DOWNLOADED, components
from crawler.pipelines.architecture import architecture_of
from crawler.pipelines.traits import PipelineTraits, component_exists, describe
from crawler.pipelines.weight_files import Download, checkpoint_files
from crawler.reasons import Incompatible, Reason

# Components that work on the image itself, in the order in which diffusers' pipelines ask them for its size.
_DENOISERS = ("unet", "transformer")
_DECODERS = ("vae", "vqvae", "movq", "vqgan")
#: Whether the size of the images that a pipeline class makes is known without its configurations.
Sized = Callable[[PipelineTraits], bool]


@dataclass
class Checkpoint:
    """What is known of a checkpoint; filled step by step, so that a verdict on the way keeps what was found."""

    class_name: str | None = None
    traits: PipelineTraits | None = None
    architecture: Architecture = "Other"
    architecture_evidence: str = "not looked into"
    task: Task | None = None
    #: What its configuration implies about sampling (`crawler.hyperparameters.config_implies`).
    config: Mapping[str, Any] = field(default_factory=dict)
    download: Download = field(default_factory=lambda: Download(()))
    verdict: Incompatible | None = None


def look_at(repository: Repository, tags: tuple[str, ...] = (), sized: Sized = lambda _traits: False) -> Checkpoint:
    """Look into a checkpoint. Its `verdict` says why it cannot be sampled; raises `HubError` only.

    `sized` tells whether a card already says the size of the images that a class makes: the decoder's
    configuration, which costs a request, is then left alone.
    """
    found = Checkpoint()
    try:
        _look(found, repository, tags, sized)
    except Incompatible as verdict:
        found.verdict = verdict
    return found


def _look(found: Checkpoint, repository: Repository, tags: tuple[str, ...], sized: Sized) -> None:
    index = repository.read_object(MODEL_INDEX)
    if index is None:
        found.architecture, found.architecture_evidence = architecture_of({}, None, tags)
        raise Incompatible(Reason.NO_MODEL_INDEX, f"{repository.model_name} has no {MODEL_INDEX}")
    class_name = index.get("_class_name")
    if isinstance(class_name, list):
        raise Incompatible(Reason.REMOTE_CODE, f"{MODEL_INDEX}: its pipeline is Python code of its own, {class_name}")
    if not isinstance(class_name, str) or not class_name:
        raise Incompatible(Reason.MALFORMED, f"{MODEL_INDEX} names no pipeline class")
    try:
        parts = components(index)
    except ValueError as error:
        raise Incompatible(Reason.MALFORMED, str(error)) from error
    found.class_name = class_name
    found.traits = describe(class_name)
    found.architecture, found.architecture_evidence = architecture_of(parts, class_name, tags)
    found.task = found.traits.task if found.traits is not None else None
    _check_code(repository, class_name, found.traits, parts)
    traits = _check_traits(class_name, found.traits)
    _check_components(traits, parts)
    found.config = _read_configs(repository, parts, sized(traits))
    found.download = checkpoint_files(repository.files, parts, traits)
    if found.download.pickled is not None:
        raise Incompatible(Reason.PICKLE_ONLY, found.download.pickled)
    if found.task is None:
        needed = ", ".join(sorted(traits.required)) or "its call takes neither a prompt nor a number of images"
        raise Incompatible(Reason.NEEDS_OTHER_INPUT, f"{class_name}: {needed}")


def _check_code(
    repository: Repository, class_name: str, traits: PipelineTraits | None, parts: Mapping[str, tuple[str, str]]
) -> None:
    for name, (library, _) in parts.items():
        if f"{name}/{library}.py" in repository.files:
            raise Incompatible(Reason.REMOTE_CODE, f"{name} is Python code of its own, {name}/{library}.py")
    if traits is None and "pipeline.py" in repository.files:
        raise Incompatible(Reason.REMOTE_CODE, f"{class_name} is Python code of its own, pipeline.py")


def _check_traits(class_name: str, traits: PipelineTraits | None) -> PipelineTraits:
    if traits is None:
        for prefix, reason in (("Onnx", Reason.ONNX_ONLY), ("Flax", Reason.OTHER_FORMAT)):
            if class_name.startswith(prefix):
                raise Incompatible(reason, f"{class_name} is not for PyTorch")
        raise Incompatible(Reason.UNKNOWN_CLASS, f"the installed diffusers has no pipeline {class_name}")
    if traits.output == "video":
        raise Incompatible(Reason.VIDEO, f"{class_name} makes films")
    if traits.output == "audio":
        raise Incompatible(Reason.AUDIO, f"{class_name} makes sound")
    if traits.needs_input_image:
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, f"{class_name} starts from a picture, a mask or an embedding")
    if traits.output != "image":
        raise Incompatible(Reason.NO_IMAGE_OUTPUT, f"{class_name} returns no images")
    return traits


def _check_components(traits: PipelineTraits, parts: Mapping[str, tuple[str, str]]) -> None:
    for name, (library, class_name) in parts.items():
        replaced = name in NOT_DOWNLOADED and name in traits.optional_components
        if not replaced and not component_exists(library, class_name):
            raise Incompatible(Reason.UNKNOWN_CLASS, f"{name}: no {class_name} in the installed {library}")


def _read_configs(repository: Repository, parts: Mapping[str, tuple[str, str]], sized: bool) -> dict[str, Any]:
    denoiser = next((name for name in _DENOISERS if name in parts), None)
    decoder = next((name for name in _DECODERS if name in parts), None)
    scheduler = repository.read_object("scheduler/scheduler_config.json") if "scheduler" in parts else None
    denoiser_config = _read_config(repository, denoiser)
    if sized or denoiser_config is None or denoiser_config.get("sample_size") is None:
        return config_implies(scheduler, None, None)  # the decoder's scale would say nothing: not worth a request
    decoder_config = _read_config(repository, decoder)
    if decoder is not None and decoder_config is None:
        return config_implies(scheduler, None, None)  # without its scale the size is not known
    return config_implies(scheduler, denoiser_config, decoder_config)


def _read_config(repository: Repository, component: str | None) -> dict[str, Any] | None:
    config = repository.read_object(f"{component}/config.json") if component is not None else None
    if config is not None and config.get("quantization_config") is not None:
        raise Incompatible(Reason.QUANTIZED_ONLY, f"{component}/config.json has a quantization_config")
    return config
