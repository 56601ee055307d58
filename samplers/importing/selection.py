"""Which images of an import are whose."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samplers.importing.described import GeneratorImport, Import, named
from samplers.importing.prompts import Prompts
from samplers.importing.tree import Tree
from workspace.errors import UsageError
from workspace.printable import in_line
from workspace.repo_id import is_repo_id

#: Values of a column that are shown where the wanted one is missing.
_SHOWN = 30
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+|-{2,}|\.{2,}", re.ASCII)


@dataclass(frozen=True)
class Selected:
    """One generator and the names of its images, in order."""

    generator: GeneratorImport
    prompts: Prompts
    names: tuple[str, ...]
    missing: str | None = None
    """Where there are none: what was looked for, and what there is."""


def select(tree: Tree, what: Import) -> tuple[list[Selected], list[str]]:
    """The images of each generator, and those of none. Raises `UsageError` where no generator has any, and where one
    image is of two."""
    readers: dict[tuple[str | None, str | None], Prompts] = {}

    def prompts_of(one: GeneratorImport) -> Prompts:
        key = (one.prompts, one.prompt_column)
        if key not in readers:
            readers[key] = Prompts(tree, *key)
        return readers[key]

    cells = _Cells(tree, {column for one in what.generators for column in one.where})
    chosen = [
        (one, [name for name in tree.names if _is_its_own(tree, name, one, cells, prompts_of(one))])
        for one in what.generators
    ]
    if what.split is not None:
        chosen += _split(tree, what.split, prompts_of(what.split))
    owners: dict[str, GeneratorImport] = {}
    found: list[Selected] = []
    for one, names in chosen:
        if not names:
            wanted = [f"in a folder {one.folder!r}"] if one.folder is not None else []
            wanted += [f"with {column} {value!r}" for column, value in one.where.items()]
            there = "".join(_values(column, cells.of_all(prompts_of(one), column)) for column in one.where)
            missing = f"{one.recipe.name}: {what.path} has no image {' and '.join(wanted)}{there}"
            found.append(Selected(one, prompts_of(one), (), missing))
            continue
        for name in names:
            if name in owners:
                raise UsageError(
                    f"{name} is of {owners[name].recipe.name} and of {one.recipe.name}: correct the tables"
                )
            owners[name] = one
        found.append(Selected(one, prompts_of(one), tuple(names)))
    if not owners:
        raise UsageError(str(found[0].missing))
    return found, [name for name in tree.names if name not in owners]


class _Cells:
    """The values of some columns of the images' rows, each row read once."""

    def __init__(self, tree: Tree, columns: Collection[str]) -> None:
        self._tree, self._columns = tree, columns
        self._known: dict[int, dict[str, dict[str, str | None]]] = {}

    def of(self, prompts: Prompts, name: str) -> Mapping[str, str | None]:
        """Those of an image; null where its row cannot be read, or does not say it."""
        known = self._known.setdefault(id(prompts), {})
        if name not in known:
            try:
                row = prompts.of(name).row
            except OSError:
                row = {}
            known[name] = {column: _text(row.get(column)) for column in self._columns}
        return known[name]

    def of_all(self, prompts: Prompts, column: str) -> set[str]:
        """The values of one column that any image has."""
        values = (self.of(prompts, name)[column] for name in self._tree.names)
        return {value for value in values if value is not None}


def _values(column: str, values: Collection[str]) -> str:
    shown = ", ".join(in_line(value)[:80] for value in sorted(values)[:_SHOWN])
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return f"; {column} there: {shown}{more}" if values else f"; no image there has {column}"


def _is_its_own(tree: Tree, name: str, one: GeneratorImport, cells: _Cells, prompts: Prompts) -> bool:
    if not one.has_folder(tree.folder(name)):
        return False
    return not one.where or all(cells.of(prompts, name)[column] == value for column, value in one.where.items())


def _split(tree: Tree, common: GeneratorImport, prompts: Prompts) -> list[tuple[GeneratorImport, list[str]]]:
    """A generator for each value of the column, or for each first folder, with its images."""
    images: dict[str, list[str]] = {}
    column, cells = common.column, _Cells(tree, {common.column or ""})
    for name in tree.names:
        folder = tree.folder(name)
        value = cells.of(prompts, name)[column] if column is not None else folder.partition("/")[0] or None
        if value is not None and common.has_folder(folder):
            images.setdefault(value, []).append(name)
    if not images:
        what = "folders" if column is None else f"column {column!r}"
        there = (
            "" if column is None else f"; the columns are {', '.join(map(in_line, prompts.columns[:_SHOWN])) or 'none'}"
        )
        raise UsageError(
            f"{common.recipe.name}: the import has no {what} that says which generator an image is of{there}"
        )
    known = sorted(images)
    names = [_name(common.recipe.name, value) for value in known]
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise UsageError(f"{twice} would be the name of two generators: describe them in a TOML file")
    return [(named(common, value, name), images[value]) for value, name in zip(known, names, strict=True)]


def _name(organization: str, value: str) -> str:
    name = f"{organization}/{_NOT_IN_NAMES.sub('-', value).strip('-._')[:90]}"
    if not is_repo_id(name):
        raise UsageError(f"{value!r} cannot be the name of a generator: describe it in a TOML file")
    return name


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, list | dict) else str(value).strip() or None


def side_files_of(prompts: Prompts, names: Sequence[str]) -> set[str]:
    """The side files that what is known of some images depends on."""
    return {*prompts.side_files, *(side for name in names for side in prompts.beside(name))}
