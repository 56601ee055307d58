"""A whole pipeline from a folder of files, or a reason why not.

`DiffusionPipeline.from_pretrained` mends in silence what should stop a run: a missing tokenizer becomes one of two
tokens, a missing tensor random values or one that was never filled. So every model is loaded by itself, with the
list of what was missing, and handed to the pipeline; its other parts are required to be there first. What the last
generator had from the same bytes is taken over from it (`components`). Nothing that is not a class of diffusers or
transformers is loaded, and no repository's own code, ever.
"""

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.child.adapters import apply_lora, apply_textual_inversion, changed_by
from samplers.child.classes import component_class, is_model, pipeline_class
from samplers.child.component_cache import (
    ComponentCache,
    ComponentHandle,
    Identity,
    can_be_shared,
    identity_of,
    mark_of,
)
from samplers.child.failures import GeneratorError, in_words, is_out_of_memory
from samplers.child.file_checks import check_files
from samplers.child.memory import can_offload, place
from samplers.child.models import load_model
from samplers.messages import Assignment
from samplers.sample import Memory

#: Our checker judges every image with a feature extractor of its own, and watermarks change pixels: these are left out
#: wherever the class calls them optional, as the crawler does when it lists what to download.
_LEFT_OUT = frozenset({"safety_checker", "feature_extractor", "watermarker"})
#: What a tokenizer's folder may hold without holding a vocabulary.
_NO_VOCABULARY = re.compile(r".*_config\.json|config\.json|special_tokens_map\.json|added_tokens\.json")


@dataclass(frozen=True)
class Generator:
    """A pipeline ready to be called."""

    pipeline: Any
    dtype: str
    """float32 | float16 | bfloat16"""
    word: str | None = None
    """What a textual inversion taught it; must stand in the prompt."""
    device: str = "cpu"
    memory: Memory | None = None
    """How memory is being saved."""
    handles: tuple[ComponentHandle, ...] = ()
    """Components that may be handed on when it ends well."""


def load(assignment: Assignment, device: str, cache: ComponentCache | None = None) -> Generator:
    """The generator in the assignment's folder, on `device`, with what `cache` has of it.

    Raises `GeneratorError` (load-failed) when any part of it is missing, damaged or not ours to run.
    """
    plan = assignment.plan
    folder = assignment.folder
    check_files(folder)
    if plan.kind != "checkpoint":
        if assignment.base_folder is None:
            raise GeneratorError("load-failed", "an adapter without a base")
        folder = assignment.base_folder
        check_files(folder)
    pipeline, dtype, handles = _pipeline(folder, assignment, device, cache or ComponentCache())
    word = None
    if plan.kind == "lora":
        apply_lora(pipeline, assignment.folder)
    elif plan.kind == "textual-inversion":
        word = apply_textual_inversion(pipeline, assignment.folder)
    changed = changed_by(plan.kind, pipeline)
    _set_scheduler(pipeline, plan.hyperparameters.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    memory = assignment.memory
    if memory == "offload" and not can_offload(pipeline, device):
        memory = "slicing"
    place(pipeline, device, memory)
    unchanged = tuple(handle for handle in handles if handle.identity.name not in changed)
    return Generator(pipeline, str(dtype).removeprefix("torch."), word, device, memory, unchanged)


def _pipeline(
    folder: Path, assignment: Assignment, device: str, cache: ComponentCache
) -> tuple[Any, Any, list[ComponentHandle]]:
    """The pipeline, what its weights became, and its components that another generator may share."""
    index = _index(folder)
    cls = pipeline_class(index.get("_class_name"))
    named = {
        name: (value[0], value[1])
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    }
    left_out = _LEFT_OUT & set(cls._optional_components)
    wanted = {name: value for name, value in named.items() if name not in left_out}
    dtype, variant = _dtype(folder, device), assignment.plan.variant
    identities = {
        name: identity_of(cls.__name__, name, made_of, assignment.hashes, str(dtype), variant)
        for name, made_of in wanted.items()
    }
    # First, so that what is not shared makes room.
    cache.keep_only({identity for identity in identities.values() if identity is not None})
    handles: dict[str, ComponentHandle] = {}
    components: dict[str, Any] = {}
    for name, (library, class_name) in wanted.items():
        made_by = component_class(name, library, class_name)
        # The bytes of a text are ByT5's vocabulary: it says that it has no file of one.
        reads = "Tokenizer" in class_name and getattr(made_by, "vocab_files_names", None) != {}
        _require_files(folder / name, name, class_name, reads)
        taken = cache.take(identities[name])
        if taken is not None:
            handles[name], components[name] = taken, taken.component
        elif is_model(made_by):
            components[name] = load_model(made_by, folder / name, variant, dtype, assignment.plan.allow_pickle)
            handles |= _lent(identities[name], components[name])
    components |= dict.fromkeys(left_out)
    known = inspect.signature(cls.__init__).parameters
    settings = {"requires_safety_checker": False, "add_watermarker": False}
    components |= {name: value for name, value in settings.items() if name in known}
    try:
        pipeline = _knowing_of(cls, index, components).from_pretrained(
            folder, dtype=dtype, use_safetensors=True, local_files_only=True, **components
        )
        pipeline.__class__ = cls
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", in_words(error)) from error
    absent = [name for name in wanted if getattr(pipeline, name, None) is None]
    if absent:
        raise GeneratorError("load-failed", f"components did not load: {', '.join(absent)}")
    _require_values(pipeline)
    for name in wanted.keys() - components.keys():
        handles |= _lent(identities[name], getattr(pipeline, name))
    return pipeline, dtype, list(handles.values())


def _lent(identity: Identity | None, component: Any) -> dict[str, ComponentHandle]:
    if identity is None or not can_be_shared(component):
        return {}
    return {identity.name: ComponentHandle(identity, component, mark_of(component))}


def _knowing_of(cls: Any, index: dict[str, Any], handed: dict[str, Any]) -> Any:
    """The pipeline class `cls`, to be loaded by an index that does not name what is handed over.

    diffusers loads what the index names and the constructor has a default for, even if it was handed over: a left-out
    checker is then looked for, and the second text encoder of Hunyuan-DiT loaded twice.
    """
    rest = {name: value for name, value in index.items() if name not in handed}
    return type(cls.__name__, (cls,), {"load_config": classmethod(lambda _cls, *_args, **_kwargs: dict(rest))})


def _index(folder: Path) -> dict[str, Any]:
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GeneratorError("load-failed", f"model_index.json cannot be read: {in_words(error)}") from error
    if not isinstance(index, dict):
        raise GeneratorError("load-failed", "model_index.json is not an object")
    return index


def _require_files(folder: Path, name: str, class_name: str, reads: bool) -> None:
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if reads:
        files = [path for path in files if not _NO_VOCABULARY.fullmatch(path.name)]
    if not files:
        what = "a vocabulary" if reads else "its files"
        raise GeneratorError("load-failed", f"{name} ({class_name}) lacks {what}")


def _require_values(pipeline: Any) -> None:
    """No tensor may be left on torch's `meta` device, where it has a shape and no values."""
    import torch

    for name, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            for tensor_name, tensor in (*component.named_parameters(), *component.named_buffers()):
                if tensor.is_meta:
                    raise GeneratorError("load-failed", f"{name}: {tensor_name} has no values")


def _set_scheduler(pipeline: Any, class_name: str | None) -> None:
    """Change to the scheduler the catalogue names, where the pipeline's own says that it may be changed for it."""
    current = getattr(pipeline, "scheduler", None)
    if class_name is None or current is None or type(current).__name__ == class_name:
        return
    for cls in getattr(current, "compatibles", ()):
        if cls.__name__ == class_name:
            pipeline.scheduler = cls.from_config(current.config)


def _dtype(folder: Path, device: str) -> Any:
    """float32 on a CPU. On a GPU what the weights are stored in, where that is 16 bits; else float16.

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
            raise GeneratorError("load-failed", f"{largest.name}: {in_words(error)}") from error
    return torch.float16
