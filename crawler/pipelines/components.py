"""The classes of pipeline components in the installed diffusers and transformers, and the packages that they need.

A class can exist and still not load, because a package that it needs is not installed: torchsde for some schedulers,
torchvision for the processors of many language models.
"""

import functools
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crawler.pipelines.packages import is_installed, package_folder
from crawler.pipelines.source_code import UNKNOWN, class_in, module_at, public_names, unavailable_names

_IMPORTING = threading.Lock()
# Names in an untrusted file; one becomes a path, and what is known of each is kept.
_LIBRARY, _CLASS = re.compile(r"\w{1,100}", re.ASCII), re.compile(r"[A-Z]\w{0,99}", re.ASCII)
# Names that transformers 5 still resolves, although its classes do not have this ending any more.
_FORMERLY_FAST = re.compile(r"(Tokenizer|ImageProcessor)Fast$")


def component_exists(library: str, class_name: str) -> bool:
    """Whether the installed libraries have that class of a pipeline component, with the packages that it needs."""
    return missing_packages(library, class_name) == frozenset()


def missing_packages(library: str, class_name: str) -> frozenset[str] | None:
    """The packages that a component's class needs and that are not installed; None: there is no such class.

    `library` as in model_index.json: diffusers, transformers, or one of diffusers' pipeline modules such as
    stable_diffusion.
    """
    if not (_CLASS.fullmatch(class_name) and _LIBRARY.fullmatch(library)):
        return None
    return _missing(library, class_name)


@functools.cache
def _missing(library: str, class_name: str) -> frozenset[str] | None:
    if library == "transformers":
        return _missing_for_transformers(class_name)
    diffusers = package_folder("diffusers")
    if diffusers is None:
        return None
    if library == "diffusers":
        return _missing_in(diffusers, class_name)
    for folder in (diffusers / "pipelines" / library, diffusers / "pipelines" / "deprecated" / library):
        package = module_at(folder / "__init__")
        if package is None:
            continue
        found = _missing_in(folder, class_name)
        if found is not None:
            return found
        # Some packages define a class for another library in their __init__.py, or import it from there.
        if package.class_named(class_name) is not None:
            return frozenset()
        if package.imports_from("transformers", class_name):
            return _missing_for_transformers(class_name)
    return None


@functools.cache
def scheduler_defaults(class_name: str) -> Mapping[str, Any]:
    """The settings of a scheduler of diffusers whose constructor gets no arguments, as far as they are literals."""
    diffusers = package_folder("diffusers")
    if diffusers is None or not component_exists("diffusers", class_name):
        return {}
    cls = class_in(diffusers / "schedulers", class_name)
    constructor = cls.method("__init__") if cls is not None else None
    arguments = constructor.arguments() if constructor is not None else []
    return {argument.name: argument.default for argument in arguments if argument.default is not UNKNOWN}


@functools.cache
def scheduler_names() -> frozenset[str]:
    """The scheduler classes of the installed diffusers, also those that need further packages."""
    diffusers = package_folder("diffusers")
    if diffusers is None:
        return frozenset()
    named = {name for name in (*public_names(diffusers), *unavailable_names(diffusers)) if name.endswith("Scheduler")}
    found = ((name, class_in(diffusers / "schedulers", name)) for name in named)
    mixin = "SchedulerMixin"
    return frozenset(name for name, cls in found if cls and any(one.node.name == mixin for one in cls.lineage()))


def _missing_in(package: Path, name: str) -> frozenset[str] | None:
    """Missing packages for a public name of a package of diffusers; None: it has no such name."""
    return frozenset() if name in public_names(package) else unavailable_names(package).get(name)


def _missing_for_transformers(class_name: str) -> frozenset[str] | None:
    # During the import of transformers, a second thread sees an incomplete module.
    with _IMPORTING:
        names, missing, modules = _transformers()
        name = class_name if class_name in names else _FORMERLY_FAST.sub(r"\1", class_name)
        if name not in names:
            return None
        # Without torchvision, transformers takes the class that works with Pillow, unless the fast one is asked for.
        if name == class_name and f"{name}Pil" in names and f"{name}Pil" not in missing:
            return frozenset()
        needed = frozenset(package for package in missing.get(name, ()) if not is_installed(package))
        return needed | _missing_for_films(name, modules)


def _missing_for_films(class_name: str, modules: Mapping[str, str]) -> frozenset[str]:
    """torchvision, if this processor takes a processor of videos: those are made with torchvision only."""
    folder = package_folder("transformers")
    if folder is None or not class_name.endswith("Processor") or class_name not in modules:
        return frozenset()
    if is_installed("torchvision"):
        return frozenset()
    cls = class_in(folder.joinpath(*modules[class_name].split(".")), class_name)
    made = cls.method("__init__") if cls is not None else None
    films = made is not None and any(argument.name == "video_processor" for argument in made.arguments())
    return frozenset({"torchvision"}) if films else frozenset()


@functools.cache
def _transformers() -> tuple[frozenset[str], Mapping[str, list[str]], Mapping[str, str]]:
    """transformers' tables: its names, the missing packages of a name, the module of a class."""
    # This import loads neither torch nor a model.
    import transformers

    module: Any = transformers
    missing = getattr(module, "_object_missing_backend", {})
    return frozenset(dir(transformers)), missing, getattr(module, "_class_to_module", {})
