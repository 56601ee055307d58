"""What the options of cf-import say, as an import: in the words of a TOML file, so that both are checked alike."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crawler.recipe_files import recipe_of
from samplers.importing.described import GeneratorImport, Import, generator_import, read_import
from samplers.importing.options import ImportOptions
from workspace.errors import UsageError

#: Keys of a generator's table, and of its table `import`, as the options have them.
_SAID = ("architecture", "license", "trained_on", "subset", "task", "base_model", "link")
_HOW = ("folder", "image_column", "prompt_column", "prompts", "real_source", "match")
#: The name by which several generators are described whose names are found.
_ANY = "generator"


def described_by(name: str, path: str | None, options: ImportOptions) -> Import:
    """The import that the options describe. Raises `UsageError`."""
    said = {key: getattr(options, key) for key in _SAID}
    how = {key: getattr(options, key) for key in _HOW}
    return described(name, path, said, how, options.generator_column, by_folders=options.generator_folders)


def described(
    name: str,
    path: str | None,
    said: Mapping[str, str | None],
    how: Mapping[str, str | None],
    column: str | None = None,
    *,
    by_folders: bool = False,
) -> Import:
    """The import. `said`: keys of a generator's table, `how`: those of its table `import`; `column`, `by_folders`: how
    the names of several generators are found. Raises `UsageError`."""
    if name.endswith(".toml"):
        given = [key for key, value in {**said, **how}.items() if value not in (None, "Manual", "prompt")]
        if given or column is not None or by_folders:
            option = (given[0] if given else "generator-column").replace("_", "-")
            raise UsageError(f"{name} describes its generators itself: leave out --{option}")
        return read_import(Path(name), path)
    if path is None:
        raise UsageError("say where the images are: cf-import NAME PATH")
    if column is not None and by_folders:
        raise UsageError("--generator-column and --generator-folders: give one of them")
    several = column is not None or by_folders
    if several == ("/" in name):
        raise UsageError(
            f"{name}: give the organization alone, as the names are found: {name.partition('/')[0]}"
            if several
            else f"{name}: a generator needs a name such as ORG/NAME; ORG alone is for --generator-column and "
            "--generator-folders"
        )
    if said.get("architecture") is None:
        raise UsageError("--architecture is needed: LatDiff, PixDiff, GAN, Other or Commercial")
    table: dict[str, Any] = {"kind": "import", **{key: value for key, value in said.items() if value is not None}}
    table["import"] = {key: value for key, value in how.items() if value is not None}
    one = _one(f"{name}/{_ANY}" if several else name, table)
    if not several:
        return Import(path=path, generators=(one,))
    return Import(path=path, split=_of_several(one, name, column))


def _one(name: str, table: Mapping[str, Any]) -> GeneratorImport:
    return generator_import(recipe_of(name, table, Path.cwd()))


def _of_several(one: GeneratorImport, organization: str, column: str | None) -> GeneratorImport:
    return replace(one, recipe=replace(one.recipe, name=organization), column=column)
