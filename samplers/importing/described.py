"""What the user says of generators whose images are imported: in options, or in tables of a TOML file.

    ["genimage/ADM"]
    kind = "import"
    architecture = "PixDiff"
    license = "other"
    trained_on = "ImageNet"

    ["genimage/ADM".import]
    folder = "**/ADM/**/ai"

    ["study/GALIP".import]
    path = "hf://ORG/NAME"
    where = { model_name = "GALIP", label = 1 }

The keys of the first table are those of every kind of generator (`crawler.recipe_files`); those of the second one are
`KEYS`.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from crawler.recipe_files import GeneratorRecipe, read_recipes
from samplers.importing.options import Match
from workspace.errors import UsageError

#: Keys of the table `import`: which images are a generator's (`folder`, a pattern over the folders below the path, and
#: `where`, values of columns of a Parquet file or of a table beside the images), the columns of images and prompts, the
#: table with the prompts, the real source by its name in prompts/, and how images are tied to its images.
KEYS = ("path", "folder", "where", "image_column", "prompt_column", "prompts", "real_source", "match", "note")
_TEXT = "import"


@dataclass(frozen=True, kw_only=True)
class GeneratorImport:
    """One generator of an import."""

    recipe: GeneratorRecipe
    folder: str | None = None
    first_folder: str | None = None
    """The first folder of its images, where folders say which generator an image is of."""
    where: Mapping[str, str] = field(default_factory=dict)
    """The values that columns of its images' rows have."""
    column: str | None = None
    """Of several generators whose names are found: the column that has them."""
    image_column: str | None = None
    prompt_column: str | None = None
    prompts: str | None = None
    real_source: str | None = None
    match: Match = "prompt"

    def has_folder(self, folder: str) -> bool:
        """Whether images in a folder below the path are its own; a pattern means the folders below it too."""
        if self.first_folder not in (None, folder.partition("/")[0]):
            return False
        if self.folder is None:
            return True
        pattern = self.folder.strip("/")
        parts = folder.split("/") if folder else []
        return any(_matches("/".join(parts[:end]), pattern) for end in range(1, len(parts) + 1))


@dataclass(frozen=True, kw_only=True)
class Import:
    """What is imported in one go."""

    path: str
    """A folder, a file, or hf://ORG/NAME..."""
    generators: tuple[GeneratorImport, ...] = field(default_factory=tuple)
    split: GeneratorImport | None = None
    """What all generators have in common whose names are found: one for each value of its column, or first folder."""


def read_import(file: Path, path: str | None) -> Import:
    """The generators of a TOML file, and where their images are: `path`, or what all of its tables say.

    Raises `UsageError`.
    """
    recipes = [recipe for recipe in read_recipes(file) if recipe.kind == _TEXT]
    if not recipes:
        raise UsageError(f'{file}: has no generator of kind = "{_TEXT}"')
    try:
        generators = tuple(generator_import(recipe) for recipe in recipes)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    paths = {str(recipe.how["path"]) for recipe in recipes if "path" in recipe.how}
    if path is None:
        if len(paths) != 1:
            raise UsageError(f"{file}: say where its images are: cf-import {file} PATH")
        (path,) = paths
        if "://" not in path:
            path = str(file.parent.absolute() / path)
    return Import(path=path, generators=generators)


def generator_import(recipe: GeneratorRecipe) -> GeneratorImport:
    """One generator, with what its table `import` says. Raises `UsageError`."""
    how = recipe.how
    unknown = sorted(set(how) - set(KEYS))
    if unknown:
        raise UsageError(f"{recipe.where}: unknown key {unknown[0]!r}; the keys are {', '.join(KEYS)}")
    texts = [key for key in KEYS if key != "where"]
    wrong = next((key for key in texts if key in how and not (isinstance(how[key], str) and how[key])), None)
    if wrong is not None:
        raise UsageError(f"{recipe.where}: {wrong} must be a text")
    where = how.get("where", {})
    if not isinstance(where, Mapping) or not all(isinstance(one, str | int) for one in where.values()):
        raise UsageError(f'{recipe.where}: where must be a table of columns and their values, {{ model = "NAME" }}')
    values: dict[str, Any] = {key: how[key] for key in texts if key in how and key not in ("path", "note")}
    values["where"] = {column: str(value) for column, value in where.items()}
    if values.get("match", "none") not in get_args(Match):
        raise UsageError(f"{recipe.where}: match must be one of {', '.join(get_args(Match))}")
    return GeneratorImport(recipe=recipe, **values)


def named(common: GeneratorImport, value: str, name: str) -> GeneratorImport:
    """One of several generators that are alike but for their names: that of a value of a column, or of a folder."""
    one = replace(common, recipe=replace(common.recipe, name=name))
    return replace(one, first_folder=value) if common.column is None else replace(one, where={common.column: value})


def _matches(folder: str, pattern: str) -> bool:
    """Whether a pattern matches a folder; `**` means any number of folders, none too, `*` any part of a name."""
    return _parts_match(folder.split("/"), pattern.split("/"))


def _parts_match(folders: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not folders
    if patterns[0] == "**":
        return any(_parts_match(folders[skipped:], patterns[1:]) for skipped in range(len(folders) + 1))
    return bool(folders) and fnmatch.fnmatchcase(folders[0], patterns[0]) and _parts_match(folders[1:], patterns[1:])
