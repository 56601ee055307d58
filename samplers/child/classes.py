"""The classes that may be loaded: those of diffusers and transformers, never code of a repository."""

import importlib
import inspect
import re
from typing import Any

from samplers.child.failures import GeneratorError

_LIBRARY = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


def pipeline_class(name: Any) -> Any:
    """The pipeline class of that name; raises `GeneratorError` when diffusers has none."""
    import diffusers

    cls = getattr(diffusers, name, None) if isinstance(name, str) and name.isidentifier() else None
    if not (inspect.isclass(cls) and issubclass(cls, diffusers.DiffusionPipeline)):
        raise GeneratorError("load-failed", f"{name!r} is not a pipeline class of the installed diffusers")
    return cls


def component_class(name: str, library: str, class_name: str) -> Any:
    """The class of the component `name`, from diffusers, transformers or a module of diffusers' pipelines only."""
    module = None
    if library in ("diffusers", "transformers"):
        module = importlib.import_module(library)
    elif _LIBRARY.fullmatch(library):
        module = _pipeline_module(library)
    cls = getattr(module, class_name, None) if module is not None and class_name.isidentifier() else None
    # transformers has renamed classes (CLIPFeatureExtractor, ...); diffusers finds their new names, except for models.
    renamed = library == "transformers" and re.search("FeatureExtractor|ImageProcessor|Tokenizer", class_name)
    if not inspect.isclass(cls) and not renamed:
        raise GeneratorError("load-failed", f"{name} is a {library}.{class_name}, which is not installed here")
    return cls


def _pipeline_module(library: str) -> Any:
    """A module of `diffusers.pipelines`; one that diffusers moved to `deprecated` is put back where the repositories,
    and diffusers' own loading, look for it."""
    import diffusers.pipelines

    for parent in ("diffusers.pipelines", "diffusers.pipelines.deprecated"):
        try:
            module = importlib.import_module(f"{parent}.{library}")
        except ImportError:
            continue
        setattr(diffusers.pipelines, library, module)
        return module
    return None


def is_model(cls: Any) -> bool:
    """Whether the class is a model that loads its own weights."""
    import torch

    return inspect.isclass(cls) and issubclass(cls, torch.nn.Module) and hasattr(cls, "from_pretrained")
