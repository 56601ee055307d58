"""A complete pipeline from a folder of files, or the reason why not.

`DiffusionPipeline.from_pretrained` silently repairs what should stop a run: a missing tokenizer becomes one with two
tokens, a missing tensor gets random or arbitrary values. So every model is loaded by itself, with the list of missing
tensors, and given to the pipeline; the files of the other components must exist. What the previous generator loaded
from the same bytes is reused (`component_cache`). Only classes of diffusers and transformers are loaded, never code of
a repository.
"""

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.model_index import MODEL_INDEX, REPLACED, components
from samplers.child.adapters import apply_lora, apply_textual_inversion, components_changed_by
from samplers.child.classes import component_class, is_model, pipeline_class
from samplers.child.component_cache import (
    ComponentCache,
    ComponentHandle,
    Identity,
    can_be_shared,
    fingerprint_of,
    identity_of,
)
from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.child.file_checks import check_files
from samplers.child.memory import can_offload, place_on_device
from samplers.child.models import load_model
from samplers.messages import Assignment
from samplers.sample import Memory
from workspace.errors import in_one_line

#: Files that a tokenizer's folder may have besides its vocabulary.
_NO_VOCABULARY = re.compile(r".*_config\.json|config\.json|special_tokens_map\.json|added_tokens\.json")


@dataclass(frozen=True)
class Generator:
    """A pipeline that is ready to be called."""

    pipeline: Any
    dtype: str
    """float32 | float16 | bfloat16"""
    placeholder_token: str | None = None
    """The token of a textual inversion, which must be in the prompt."""
    device: str = "cpu"
    memory: Memory | None = None
    """How memory is saved."""
    handles: tuple[ComponentHandle, ...] = ()
    """Components that the next generator may reuse when this one ends well."""


def load(assignment: Assignment, device: str, cache: ComponentCache | None = None) -> Generator:
    """The generator in the assignment's folder, on `device`, with components that `cache` has of it.

    Raises `GeneratorError` (load-failed) when any part of it is missing, damaged or of a class that is not loaded.
    """
    plan = assignment.plan
    folder = assignment.folder
    check_files(folder)
    if plan.kind != "checkpoint":
        if assignment.base_folder is None:
            raise GeneratorError("load-failed", "an adapter without a base model")
        folder = assignment.base_folder
        check_files(folder)
    pipeline, dtype, handles = _pipeline(folder, assignment, device, cache or ComponentCache())
    placeholder_token = None
    if plan.kind == "lora":
        apply_lora(pipeline, assignment.folder)
    elif plan.kind == "textual-inversion":
        placeholder_token = apply_textual_inversion(pipeline, assignment.folder)
    changed = components_changed_by(plan.kind, pipeline)
    _set_scheduler(pipeline, plan.hyperparameters.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    memory = assignment.memory
    if memory == "offload" and not can_offload(pipeline, device):
        memory = "slicing"
    place_on_device(pipeline, device, memory)
    unchanged = tuple(handle for handle in handles if handle.identity.name not in changed)
    return Generator(pipeline, str(dtype).removeprefix("torch."), placeholder_token, device, memory, unchanged)


def _pipeline(
    folder: Path, assignment: Assignment, device: str, cache: ComponentCache
) -> tuple[Any, Any, list[ComponentHandle]]:
    """The pipeline, the dtype of its weights, and its components that another generator may share."""
    index = _model_index(folder)
    cls = pipeline_class(index.get("_class_name"))
    left_out = REPLACED & set(cls._optional_components)
    wanted = {name: value for name, value in _components(index).items() if name not in left_out}
    dtype, variant = _dtype(folder, device), assignment.plan.variant
    identities = {
        name: identity_of(cls.__name__, name, value, assignment.hashes, str(dtype), variant)
        for name, value in wanted.items()
    }
    # First, so that components that are not shared free their memory.
    cache.keep_only({identity for identity in identities.values() if identity is not None})
    handles: dict[str, ComponentHandle] = {}
    loaded: dict[str, Any] = {}
    for name, (library, class_name) in wanted.items():
        component_cls = component_class(name, library, class_name)
        # ByT5's tokenizer has no vocabulary file, its tokens are bytes; its class says so.
        reads = "Tokenizer" in class_name and getattr(component_cls, "vocab_files_names", None) != {}
        _require_files(folder / name, name, class_name, reads)
        reused = cache.take(identities[name])
        if reused is not None:
            handles[name], loaded[name] = reused, reused.component
        elif is_model(component_cls):
            loaded[name] = load_model(component_cls, folder / name, variant, dtype, assignment.plan.allow_pickle)
            handles |= _handle_of(identities[name], loaded[name])
    loaded |= dict.fromkeys(left_out)
    parameters = inspect.signature(cls.__init__).parameters
    settings = {"requires_safety_checker": False, "add_watermarker": False}
    loaded |= {name: value for name, value in settings.items() if name in parameters}
    try:
        pipeline = _without(loaded, cls, index).from_pretrained(
            folder, dtype=dtype, use_safetensors=True, local_files_only=True, **loaded
        )
        pipeline.__class__ = cls
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", in_one_line(error)) from error
    absent = [name for name in wanted if getattr(pipeline, name, None) is None]
    if absent:
        raise GeneratorError("load-failed", f"components did not load: {', '.join(absent)}")
    _require_values(pipeline)
    for name in wanted.keys() - loaded.keys():
        handles |= _handle_of(identities[name], getattr(pipeline, name))
    return pipeline, dtype, list(handles.values())


def _handle_of(identity: Identity | None, component: Any) -> dict[str, ComponentHandle]:
    """A component's handle by its name; empty where it cannot be shared."""
    if identity is None or not can_be_shared(component):
        return {}
    return {identity.name: ComponentHandle(identity, component, fingerprint_of(component))}


def _without(loaded: dict[str, Any], cls: Any, index: dict[str, Any]) -> Any:
    """The pipeline class `cls`, which loads by an index without the components that are `loaded` already.

    diffusers loads every component of the index for which the constructor has a default, even where it is passed: it
    would look for a left-out safety checker, and load the second text encoder of Hunyuan-DiT twice.
    """
    rest = {name: value for name, value in index.items() if name not in loaded}
    return type(cls.__name__, (cls,), {"load_config": classmethod(lambda _cls, *_args, **_kwargs: dict(rest))})


def _model_index(folder: Path) -> dict[str, Any]:
    try:
        index = json.loads((folder / MODEL_INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GeneratorError("load-failed", f"{MODEL_INDEX} cannot be read: {in_one_line(error)}") from error
    if not isinstance(index, dict):
        raise GeneratorError("load-failed", f"{MODEL_INDEX} is not a JSON object")
    return index


def _components(index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    try:
        return components(index)
    except ValueError as error:
        raise GeneratorError("load-failed", str(error)) from error


def _require_files(folder: Path, name: str, class_name: str, reads: bool) -> None:
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if reads:
        files = [path for path in files if not _NO_VOCABULARY.fullmatch(path.name)]
    if not files:
        what = "vocabulary" if reads else "files"
        raise GeneratorError("load-failed", f"{name} ({class_name}) has no {what}")


def _require_values(pipeline: Any) -> None:
    """No tensor may remain on torch's `meta` device, where it has a shape and no values."""
    import torch

    for name, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            for tensor_name, tensor in (*component.named_parameters(), *component.named_buffers()):
                if tensor.is_meta:
                    raise GeneratorError("load-failed", f"{name}: {tensor_name} has no values")


def _set_scheduler(pipeline: Any, class_name: str | None) -> None:
    """Use the scheduler that the catalogue names, where the pipeline's own lists it as compatible."""
    current = getattr(pipeline, "scheduler", None)
    if class_name is None or current is None or type(current).__name__ == class_name:
        return
    for cls in getattr(current, "compatibles", ()):
        if cls.__name__ == class_name:
            pipeline.scheduler = cls.from_config(current.config)


def _dtype(folder: Path, device: str) -> Any:
    """float32 on a CPU. On a GPU the dtype that the weights are stored in, if it has 16 bits; else float16.

    bfloat16 is kept because models trained in it overflow float16.
    """
    import torch
    from safetensors import safe_open

    if device == "cpu":
        return torch.float32
    largest = max(folder.rglob("*.safetensors"), key=lambda path: path.stat().st_size, default=None)
    if largest is not None:
        try:
            with safe_open(largest, framework="pt") as weights:
                first = next(iter(weights.keys()), None)
                if first is not None and weights.get_slice(first).get_dtype() == "BF16":
                    return torch.bfloat16
        except Exception as error:
            raise GeneratorError("load-failed", f"{largest.name}: {in_one_line(error)}") from error
    return torch.float16
