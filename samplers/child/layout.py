"""Where the files of a pipeline's components lie: in a folder of the component's name, or all in the root.

diffusers looks for a folder first and takes the root where there is none; repositories of the first years, such as
google/ddpm-cifar10-32, have everything there. The libraries would also take a root that has nothing of the component,
and a tokenizer without vocabulary, so the files are required here.
"""

import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crawler.model_index import MODEL_INDEX, components
from samplers.child.failures import GeneratorError
from workspace.errors import in_one_line

#: Files that a tokenizer's folder may have besides its vocabulary.
_NO_VOCABULARY = re.compile(r".*_config\.json|config\.json|special_tokens_map\.json|added_tokens\.json")
#: Components that a pipeline may be saved without although its class has no default for them, as Stable Diffusion 3
#: without its largest text encoder: the class replaces what they would give.
_MAY_BE_NULL = re.compile(r"(tokenizer|text_encoder|image_encoder)(_\d+)?")


@dataclass(frozen=True)
class PipelineFolder:
    """A folder with a pipeline's files, and what its `model_index.json` says."""

    path: Path
    index: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "PipelineFolder":
        """Raises `GeneratorError` (load-failed) without a readable index."""
        return cls(path, _json(path, MODEL_INDEX))

    def components(self, cls: Any) -> dict[str, tuple[str, str]]:
        """Library and class of each component that the pipeline class `cls` takes; other entries are ignored, as
        diffusers does. Raises `GeneratorError` for names that lead elsewhere, and values that are no pair of names."""
        taken = _parameters(cls)
        entries = {name: value for name, value in self.index.items() if name in taken or not name.isidentifier()}
        try:
            return components(entries)
        except ValueError as error:
            raise GeneratorError("load-failed", str(error)) from error

    def absent(self, cls: Any) -> set[str]:
        """Components that `cls` takes and that this pipeline was saved without."""
        return {
            name
            for name, value in self.index.items()
            if name in _parameters(cls) and value == [None, None] and _MAY_BE_NULL.fullmatch(name)
        }

    def folder_of(self, component: str) -> Path:
        """Where diffusers looks for the files of a component."""
        folder = self.path / component
        return folder if folder.is_dir() else self.path

    def require_files(self, component: str, class_name: str, reads_vocabulary: bool) -> None:
        """Raise `GeneratorError` where the component has no files of its own."""
        folder = self.folder_of(component)
        files = [path for path in folder.iterdir() if path.is_file()]
        if folder == self.path:
            files = self._in_root(class_name)
        if reads_vocabulary:
            files = [path for path in files if not _NO_VOCABULARY.fullmatch(path.name)]
        if not files:
            what = "vocabulary" if reads_vocabulary else "files"
            raise GeneratorError("load-failed", f"{component} ({class_name}) has no {what}")

    def _in_root(self, class_name: str) -> list[Path]:
        """The component's configuration in the root. A model's must state its class: there is only one such file."""
        if "Scheduler" in class_name:
            return [path for path in (self.path / "scheduler_config.json",) if path.is_file()]
        path = self.path / "config.json"
        return [path] if path.is_file() and _json(self.path, path.name).get("_class_name") == class_name else []


def _parameters(cls: Any) -> Any:
    return inspect.signature(cls.__init__).parameters


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GeneratorError("load-failed", f"{name} cannot be read: {in_one_line(error)}") from error
    if not isinstance(content, dict):
        raise GeneratorError("load-failed", f"{name} is not a JSON object")
    return content
