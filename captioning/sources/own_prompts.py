"""Sets of the user's own prompts, from the files that `--prompts` names: `[NAME=]FILE`.

A set has the name of its file, or NAME, or what the column `source` says of a prompt; so one file may hold several
sets. Prompts are numbered in their file, and the number is the id. The real image of a prompt, where it has one, is a
file below the folder of the prompt's file, or below the root of that name (`--root NAME=PATH`).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from captioning.images import UnusableImageError
from captioning.sources.prompt_file import OwnPrompt, read_prompt_file
from captioning.sources.source import RealImage
from workspace.errors import UsageError
from workspace.identity import sha256_of_file
from workspace.layout import checked_source


@dataclass(frozen=True)
class OwnPrompts:
    """A set of prompts as a collection. `root` is the folder of their images; `remarks` what was not read."""

    name: str
    root: Path
    prompts: Mapping[str, OwnPrompt]
    remarks: Sequence[str] = ()

    @property
    def ids(self) -> Sequence[str]:
        """The numbers of the prompts, with nine digits."""
        return list(self.prompts)

    def image_of(self, real_id: str) -> RealImage | None:
        """The real image of the prompt with that id; None: it has none. Raises `UnusableImageError` for a path that
        leads out of the root."""
        prompt = self.prompts[real_id]
        if prompt.image is None:
            return None
        if not is_printable_path(prompt.image):
            raise UnusableImageError("name", "its path is not UTF-8, or has a null character")
        path = PurePath(os.path.normpath(self.root / prompt.image.replace("\\", "/")))
        if not path.is_relative_to(self.root):
            raise UnusableImageError("outside", f"not in the folder of its set: --root {self.name}=PATH names another")
        below = path.relative_to(self.root).as_posix()
        return RealImage(
            below,
            self.root / below,
            license=prompt.license,
            redistributable=prompt.redistributable,
            within=self.root,
        )


@dataclass(frozen=True)
class PromptSets:
    """The sets of a file; `digest` is the sha256 of its content, and `name` what the recipe calls it."""

    name: str
    digest: str
    sets: Sequence[OwnPrompts] = field(default_factory=tuple)


def read_prompt_sets(text: str, roots: Mapping[str, Path]) -> PromptSets:
    """Read the file of a `[NAME=]FILE`; `roots`: by name of a set, the folder of its images where it is not that of the
    file.

    Raises `UsageError` in one line when it is not there, holds no prompts, or names a set that cannot be.
    """
    name, path = _parse(text)
    file = read_prompt_file(path)
    sets: dict[str, dict[str, OwnPrompt]] = {}
    for prompt in file.prompts:
        source = prompt.source or name
        if source not in sets:
            _check_name(source, f"{path}, prompt {prompt.number + 1}: source")
        sets.setdefault(source, {})[f"{prompt.number:09d}"] = prompt
    return PromptSets(
        name,
        f"sha256:{sha256_of_file(path)}",
        [
            OwnPrompts(source, roots.get(source, path.parent), prompts, file.remarks if not number else ())
            for number, (source, prompts) in enumerate(sorted(sets.items()))
        ],
    )


def is_printable_path(text: str) -> bool:
    """Whether a text can be the path of a file, and be stored in a table."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _parse(text: str) -> tuple[str, Path]:
    """The name and the file of a `[NAME=]FILE`."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).expanduser().is_file():
        path, name = text, re.sub(r"[^A-Za-z0-9._-]+", "-", Path(text).stem).strip("-._")[:64]
        _check_name(name, f"--prompts {text}: give it a name, as --prompts NAME=FILE;")
    else:
        _check_name(name, f"--prompts {text}:")
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise UsageError(f"--prompts {path} does not exist, or is not a file: name a file with a prompt a line")
    return name, file


def _check_name(name: str, what: str) -> None:
    try:
        checked_source(name)
    except UsageError as error:
        raise UsageError(f"{what} {error}") from error
