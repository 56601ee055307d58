"""A whole pipeline from a folder of files, or a reason why not.

`DiffusionPipeline.from_pretrained` mends in silence what should stop a run: a missing tokenizer becomes one of two
tokens, a missing tensor random values or one that was never filled. So every model is loaded by itself, with the
list of what was missing, and handed to the pipeline; its other parts are required to be there first. Nothing that
is not a class of diffusers or transformers is loaded, and no repository's own code, ever.
"""

import importlib
import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.child.adapters import apply_lora, apply_textual_inversion
from samplers.child.failures import GeneratorError, in_words, is_out_of_memory
from samplers.child.intake import look_over
from samplers.child.proportion import in_proportion
from samplers.messages import Assignment

#: Our checker judges every image with a feature extractor of its own, and watermarks change pixels: these are left out
#: wherever the class calls them optional, as the crawler does when it lists what to download.
_LEFT_OUT = frozenset({"safety_checker", "feature_extractor", "watermarker"})
#: What a tokenizer's folder may hold without holding a vocabulary.
_NO_VOCABULARY = re.compile(r".*_config\.json|config\.json|special_tokens_map\.json|added_tokens\.json")
_LIBRARY = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Generator:
    """A pipeline ready to be called."""

    pipeline: Any
    dtype: str
    """float32 | float16 | bfloat16"""
    word: str | None = None
    """What a textual inversion taught it; must stand in the prompt."""


def load(assignment: Assignment, device: str) -> Generator:
    """The generator in the assignment's folder, on `device`.

    Raises `GeneratorError` (load-failed) when any part of it is missing, damaged or not ours to run.
    """
    plan = assignment.plan
    look_over(assignment.folder)
    if plan.kind == "checkpoint":
        pipeline, dtype = _pipeline(assignment.folder, plan.variant, device, plan.allow_pickle)
        word = None
    else:
        if assignment.base_folder is None:
            raise GeneratorError("load-failed", "an adapter without a base")
        look_over(assignment.base_folder)
        pipeline, dtype = _pipeline(assignment.base_folder, plan.variant, device, plan.allow_pickle)
        word = None
        if plan.kind == "lora":
            apply_lora(pipeline, assignment.folder)
        else:
            word = apply_textual_inversion(pipeline, assignment.folder)
    _set_scheduler(pipeline, plan.hyperparameters.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return Generator(pipeline.to(device), str(dtype).removeprefix("torch."), word)


def _pipeline(folder: Path, variant: str | None, device: str, allow_pickle: bool) -> tuple[Any, Any]:
    from diffusers import DiffusionPipeline

    index = _index(folder)
    cls = _pipeline_class(index.get("_class_name"))
    named = {
        name: (value[0], value[1])
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    }
    left_out = _LEFT_OUT & set(cls._optional_components)
    wanted = {name: value for name, value in named.items() if name not in left_out}
    dtype = _dtype(folder, device)
    components: dict[str, Any] = {}
    for name, (library, class_name) in wanted.items():
        component_class = _component_class(name, library, class_name)
        _require_files(folder / name, name, class_name)
        if _is_model(component_class):
            components[name] = _model(component_class, folder / name, variant, dtype, allow_pickle)
    components |= dict.fromkeys(left_out)
    known = inspect.signature(cls.__init__).parameters
    settings = {"requires_safety_checker": False, "add_watermarker": False}
    components |= {name: value for name, value in settings.items() if name in known}
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, local_files_only=True, **components
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", in_words(error)) from error
    absent = [name for name in wanted if getattr(pipeline, name, None) is None]
    if absent:
        raise GeneratorError("load-failed", f"components did not load: {', '.join(absent)}")
    _require_values(pipeline)
    return pipeline, dtype


def _index(folder: Path) -> dict[str, Any]:
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GeneratorError("load-failed", f"model_index.json cannot be read: {in_words(error)}") from error
    if not isinstance(index, dict):
        raise GeneratorError("load-failed", "model_index.json is not an object")
    return index


def _pipeline_class(name: Any) -> Any:
    import diffusers

    cls = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.DiffusionPipeline)):
        raise GeneratorError("load-failed", f"{name!r} is no pipeline class of the installed diffusers")
    return cls


def _component_class(name: str, library: str, class_name: str) -> Any:
    """The class of a component, from diffusers, transformers or one of diffusers' pipelines, nowhere else."""
    if not name.isidentifier():
        raise GeneratorError("load-failed", f"model_index.json: {name[:100]!r} is no name of a component")
    module = None
    if library in ("diffusers", "transformers"):
        module = importlib.import_module(library)
    elif _LIBRARY.fullmatch(library):
        module = _pipeline_module(library)
    cls = getattr(module, class_name, None) if module is not None and class_name.isidentifier() else None
    # transformers has renamed classes (CLIPFeatureExtractor, ...); diffusers knows how, for what is no model.
    renamed = library == "transformers" and re.search("FeatureExtractor|ImageProcessor|Tokenizer", class_name)
    if not inspect.isclass(cls) and not renamed:
        raise GeneratorError("load-failed", f"{name} is a {library}.{class_name}, which is not installed here")
    return cls


def _pipeline_module(library: str) -> Any:
    """A module of `diffusers.pipelines`; those that diffusers moved to `deprecated` are put back where the
    repositories, and diffusers' own loading, look for them."""
    import diffusers.pipelines

    for parent in ("diffusers.pipelines", "diffusers.pipelines.deprecated"):
        try:
            module = importlib.import_module(f"{parent}.{library}")
        except ImportError:
            continue
        setattr(diffusers.pipelines, library, module)
        return module
    return None


def _require_files(folder: Path, name: str, class_name: str) -> None:
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if "Tokenizer" in class_name:
        files = [path for path in files if not _NO_VOCABULARY.fullmatch(path.name)]
    if not files:
        what = "a vocabulary" if "Tokenizer" in class_name else "its files"
        raise GeneratorError("load-failed", f"{name} ({class_name}) lacks {what}")


def _is_model(cls: Any) -> bool:
    import torch

    return inspect.isclass(cls) and issubclass(cls, torch.nn.Module) and hasattr(cls, "from_pretrained")


def _model(cls: Any, folder: Path, variant: str | None, dtype: Any, allow_pickle: bool) -> Any:
    """One model with every tensor it needs; from a pickle by the user's word only, where there is nothing else, and as
    weights only."""
    pickled = allow_pickle and not any(folder.glob("*.safetensors"))
    files = folder.glob("*.bin" if pickled else "*.safetensors")
    present = variant is not None and any(f".{variant}." in path.name for path in files)
    try:
        with in_proportion(folder):
            model, loading = cls.from_pretrained(
                folder,
                variant=variant if present else None,
                use_safetensors=not pickled,
                weights_only=True,
                local_files_only=True,
                output_loading_info=True,
                dtype=dtype,
            )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"{folder.name}: {in_words(error)}") from error
    for problem in ("missing_keys", "mismatched_keys"):
        names = sorted(str(key) for key in loading[problem])
        if names:
            word = problem.removesuffix("_keys")
            raise GeneratorError("load-failed", f"{folder.name}: {len(names)} {word} tensors, such as {names[0]}")
    return model.eval()


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
