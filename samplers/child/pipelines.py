"""A complete pipeline from a folder of files, or the reason why not.

`DiffusionPipeline.from_pretrained` silently repairs what should stop a run: a missing tokenizer becomes one with two
tokens, a missing tensor gets random or arbitrary values. So every model is loaded by itself, with the list of missing
tensors, and given to the pipeline; the files of the other components must exist. What the previous generator loaded
from the same bytes is reused (`component_cache`). Only classes of diffusers and transformers are loaded, never code of
a repository.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.checkpoint_layout import DENOISERS
from crawler.model_index import REPLACED
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
from samplers.child.layout import PipelineFolder
from samplers.child.models import load_model, variant_of
from samplers.child.single_file import SingleFile
from workspace.errors import in_one_line


@dataclass(frozen=True)
class Source:
    """Where a pipeline is loaded from, and how."""

    folder: PipelineFolder
    hashes: Mapping[str, str]
    """Content keys by path in the folder."""
    variant: str | None
    """The weight variant that is declared; None: full precision, or the only one that the files have."""
    allow_pickle: bool
    single_file: SingleFile | None = None
    """A checkpoint in one file, which has the weights of some components; None: all are in the folder."""

    @property
    def cls(self) -> Any:
        """The pipeline class that its index names; raises `GeneratorError`."""
        return pipeline_class(self.folder.index.get("_class_name"))


@dataclass(frozen=True)
class LoadedPipeline:
    """A complete pipeline."""

    pipeline: Any
    dtype: str
    """float32 | float16 | bfloat16"""
    variant: str | None
    """The weight variant that was loaded."""
    handles: tuple[ComponentHandle, ...]
    """Components that another generator may share."""


def load_pipeline(source: Source, device: str, cache: ComponentCache) -> LoadedPipeline:
    """The pipeline; raises `GeneratorError` (load-failed) where anything of it is missing or damaged."""
    dtype = common_dtype([source], device)
    cache.keep_only(identities_of(source, dtype).values())
    return assemble(source, dtype, cache)


def identities_of(source: Source, dtype: Any) -> dict[str, Identity]:
    """The identity of each component whose files are known."""
    cls, variant = source.cls, variant_of(source.folder.path, source.variant)
    found = {
        name: identity_of(cls.__name__, name, value, _hashes_of(source, name), str(dtype), variant)
        for name, value in _wanted(source, cls).items()
    }
    return {name: identity for name, identity in found.items() if identity is not None}


def assemble(source: Source, dtype: Any, cache: ComponentCache) -> LoadedPipeline:
    """The pipeline in `dtype`, of components from `cache` and from the files."""
    folder, cls, identities = source.folder, source.cls, identities_of(source, dtype)
    wanted, variant = _wanted(source, cls), variant_of(folder.path, source.variant)
    handles: dict[str, ComponentHandle] = {}
    loaded: dict[str, Any] = {}
    for name, (library, class_name) in wanted.items():
        component_cls = component_class(name, library, class_name)
        # ByT5's tokenizer has no vocabulary file, its tokens are bytes; its class says so.
        reads = "Tokenizer" in class_name and getattr(component_cls, "vocab_files_names", None) != {}
        folder.require_files(name, class_name, reads)
        reused = cache.take(identities.get(name))
        if reused is not None:
            handles[name], loaded[name] = reused, reused.component
        elif is_model(component_cls):
            place = folder.folder_of(name)
            if source.single_file is not None and source.single_file.has(name):
                loaded[name] = source.single_file.load(component_cls, name, place, dtype)
            else:
                loaded[name] = load_model(component_cls, name, place, variant, dtype, source.allow_pickle)
            handles |= _handle_of(identities.get(name), loaded[name])
    parameters = inspect.signature(cls.__init__).parameters
    loaded |= dict.fromkeys(REPLACED & set(cls._optional_components))
    loaded |= dict.fromkeys(folder.absent(cls) - loaded.keys())
    settings = {"requires_safety_checker": False, "add_watermarker": False}
    loaded |= {name: value for name, value in settings.items() if name in parameters}
    try:
        pipeline = _without(loaded, cls, folder.index).from_pretrained(
            folder.path, dtype=dtype, use_safetensors=True, local_files_only=True, **loaded
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
        handles |= _handle_of(identities.get(name), getattr(pipeline, name))
    return LoadedPipeline(pipeline, str(dtype).removeprefix("torch."), variant, tuple(handles.values()))


def common_dtype(sources: Iterable[Source], device: str) -> Any:
    """float32 on a CPU. On a GPU the dtype that the weights are stored in, if it has 16 bits; else float16.

    bfloat16 is kept, for all, because models trained in it overflow float16; those stored in 8 bits were.
    """
    import torch
    from safetensors import safe_open

    if device == "cpu":
        return torch.float32
    for path, name in filter(None, map(_largest_weights, sources)):
        try:
            with safe_open(path, framework="pt") as weights:
                first = name or next(iter(weights.keys()), None)
                if first is not None and weights.get_slice(first).get_dtype().startswith(("BF16", "F8_")):
                    return torch.bfloat16
        except Exception as error:
            raise GeneratorError("load-failed", f"{path.name}: {in_one_line(error)}") from error
    return torch.float16


def _largest_weights(source: Source) -> tuple[Path, str | None] | None:
    """The largest file with weights, and the tensor whose dtype counts; None: the first one."""
    if source.single_file is not None:
        names = source.single_file.parts.names
        return source.single_file.path, next((names[part][0] for part in DENOISERS if part in names), None)
    files = source.folder.path.rglob("*.safetensors")
    largest = max(files, key=lambda path: path.stat().st_size, default=None)
    return None if largest is None else (largest, None)


def _hashes_of(source: Source, component: str) -> Mapping[str, str]:
    """The content keys of the files that a component is loaded from, and of others."""
    single = source.single_file
    if single is None or not single.has(component):
        return source.hashes
    # Where the content of the file is not known, that of the component is not either.
    return {} if single.key is None else {**source.hashes, f"{component}/{single.path.name}": single.key}


def _wanted(source: Source, cls: Any) -> dict[str, tuple[str, str]]:
    """The components to load."""
    left_out = REPLACED & set(cls._optional_components)
    return {name: value for name, value in source.folder.components(cls).items() if name not in left_out}


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


def _require_values(pipeline: Any) -> None:
    """No tensor may remain on torch's `meta` device, where it has a shape and no values."""
    import torch

    for name, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            for tensor_name, tensor in (*component.named_parameters(), *component.named_buffers()):
                if tensor.is_meta:
                    raise GeneratorError("load-failed", f"{name}: {tensor_name} has no values")
