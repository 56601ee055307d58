"""How a generator is called, as the table `program` of a TOML file says it (`crawler/recipe_files.py`).

    ["me/faces".program]
    format = "python"
    file = "faces.py"                 # or adapter = "stylegan3": a module of this project
    function = "sample"
    files = ["generator.pth"]
    code = ["../clones/stylegan3"]
    packages = ["click"]

    ["me/digits".program]
    format = "onnx"                   # or torchscript, torch-export
    file = "digits.onnx"
    noise = [1, 32, 32]
    pixels = "-1..1"
    classes = 10

Files and folders keep the last part of their path: the program finds all of them side by side in one folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from crawler.catalog import PixelRange, Program, ProgramFormat
from crawler.local_generator import check_keys, checked_path, checked_text
from crawler.programs.shipped import shipped_folder
from crawler.recipe_files import GeneratorRecipe
from workspace.errors import UsageError

_OF_ALL = ("format", "file", "files", "pixels", "classes")
_OF_MODULES = ("adapter", "function", "code", "packages")
_OF_MODELS = ("noise",)
#: The function of a module that names none.
_FUNCTION = "sample"
_MOST_CLASSES, _MOST_VALUES = 1_000_000, 1 << 28


@dataclass(frozen=True)
class ProgramTable:
    """How a generator is called, and where its files are."""

    program: Program
    places: Mapping[str, Path]
    """The file or folder of each name in the generator's folder."""

    @classmethod
    def read(cls, recipe: GeneratorRecipe, folder: Path | None = None) -> "ProgramTable":
        """Read the table of a generator; its paths are below `folder`, None: that of the TOML file.

        Raises `UsageError` for what is wrong or missing in it.
        """
        table, where = recipe.how, recipe.where
        if recipe.kind != "program":
            raise UsageError(f'["{recipe.name}"]: is of kind {recipe.kind}, not program')
        kind = _format(where, table)
        others = _OF_MODULES if kind == "python" else _OF_MODELS
        check_keys(where, table, (*_OF_ALL, *others))
        if recipe.task is None:
            raise UsageError(f'["{recipe.name}"]: needs task: text-to-image, class-conditional or unconditional')
        if recipe.task == "text-to-image" and kind != "python":
            raise UsageError(f"{where}: a model takes no prompts: give the module that prepares them, format = python")
        below = folder or recipe.folder
        main = _adapter(where, table) if "adapter" in table else checked_path(_required(where, table, "file"), below)
        # What adapters share is beside each of them.
        shared = sorted(main.parent.glob("_[a-z]*.py")) if "adapter" in table else []
        code = [checked_path(text, below) for text in _texts(where, table, "code")]
        files = [checked_path(text, below) for text in _texts(where, table, "files")]
        return cls(
            Program(
                format=kind,
                file=main.name,
                function=(checked_text(where, table, "function") or _FUNCTION) if kind == "python" else None,
                code=tuple(path.name for path in code),
                packages=("onnxruntime",) if kind == "onnx" else _packages(where, table),
                classes=_classes(where, table, recipe.task == "class-conditional"),
                noise=() if kind == "python" else _noise(where, table),
                pixels=_pixels(where, table, required=kind != "python"),
            ),
            _by_name(where, [main, *shared, *files, *code]),
        )


def _format(where: str, table: Mapping[str, Any]) -> ProgramFormat:
    kinds = get_args(ProgramFormat)
    kind: ProgramFormat | None = table.get("format")
    if kind is None or kind not in kinds:
        raise UsageError(f"{where}: format must be one of {', '.join(kinds)}")
    return kind


def _adapter(where: str, table: Mapping[str, Any]) -> Path:
    """The module of this project that calls a published code base."""
    if "file" in table:
        raise UsageError(f"{where}: give file or adapter, not both")
    folder = shipped_folder("adapters")
    names = sorted(path.stem for path in folder.glob("[a-z]*.py")) if folder is not None else []
    name = checked_text(where, table, "adapter")
    if folder is None or name not in names:
        raise UsageError(f"{where}: there is no adapter {name}; there are {', '.join(names)}")
    return folder / f"{name}.py"


def _required(where: str, table: Mapping[str, Any], key: str) -> str:
    text = checked_text(where, table, key)
    if text is None:
        raise UsageError(f"{where}: needs {key}")
    return text


def _texts(where: str, table: Mapping[str, Any], key: str) -> list[str]:
    texts = table.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise UsageError(f'{where}: {key} must be a list of texts, such as ["one", "two"]')
    return texts


def _packages(where: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    packages = _texts(where, table, "packages")
    if wrong := next((name for name in packages if not name.isidentifier()), None):
        raise UsageError(f"{where}: packages has {wrong!r}: name packages as they are imported, such as PIL")
    return tuple(packages)


def _classes(where: str, table: Mapping[str, Any], needed: bool) -> int | None:
    classes = table.get("classes")
    if (classes is not None) != needed:
        also = "needs classes, their number" if needed else 'has classes, so its task must be "class-conditional"'
        raise UsageError(f"{where}: {also}")
    if classes is not None and not (type(classes) is int and 1 <= classes <= _MOST_CLASSES):
        raise UsageError(f"{where}: classes must be a number from 1 to {_MOST_CLASSES:,}")
    return classes


def _noise(where: str, table: Mapping[str, Any]) -> tuple[int, ...]:
    noise = table.get("noise")
    whole = isinstance(noise, list) and noise and all(type(side) is int and 0 < side <= _MOST_VALUES for side in noise)
    product = 1
    for side in noise if isinstance(noise, list) and whole else ():
        product *= side
    if not isinstance(noise, list) or not whole or product > _MOST_VALUES:
        raise UsageError(f"{where}: needs noise, the shape of one image's noise, such as [100, 1, 1]")
    return tuple(noise)


def _pixels(where: str, table: Mapping[str, Any], *, required: bool) -> PixelRange | None:
    pixels: PixelRange | None = table.get("pixels")
    if pixels is None and not required:
        return None
    if pixels not in get_args(PixelRange):
        raise UsageError(f"{where}: pixels must be one of {', '.join(get_args(PixelRange))}: what the values mean")
    return pixels


def _by_name(where: str, paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if not path.name or found.setdefault(path.name, path) != path:
            other = found.get(path.name, path)
            raise UsageError(f"{where}: {other} and {path} have one name, and would be in one folder: rename one")
    return found
