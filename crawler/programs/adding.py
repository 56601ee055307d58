"""Adding programs to a catalogue: the rows of a TOML file's tables, and where their files are on this machine."""

import importlib.util
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from crawler.adding import Added, add
from crawler.catalog import CatalogEntry
from crawler.local.rows import digest
from crawler.options import AddOptions
from crawler.programs.files import files_of
from crawler.programs.modules import settings_of_function
from crawler.programs.table import ProgramTable
from crawler.reasons import Reason
from crawler.recipe_files import GeneratorRecipe, read_recipes, row_of
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.roots import place_name, record_roots


def add_programs(workspace: Workspace, file: Path, options: AddOptions = AddOptions()) -> Added:
    """Add the programs of a TOML file to the workspace's catalogue. Their files are hashed, and not run.

    Raises `UsageError` for a file that cannot be read or describes no program, for files that are not there, and as
    `crawler.adding.add`.
    """
    places: dict[str, Path] = {}
    rows: list[CatalogEntry] = []
    for recipe in _chosen(read_recipes(file), file, options.only):
        table = ProgramTable.read(recipe, options.files and options.files.absolute())
        rows.append(_row(recipe, table))
        name = place_name(recipe.name, rows[-1].revision)
        places |= {f"{name}/{part}": place for part, place in table.places.items()}
    added = add(workspace, rows, options.update, options.replace_revisions)
    record_roots(workspace, places)
    return added


def _chosen(recipes: Iterable[GeneratorRecipe], file: Path, only: tuple[str, ...]) -> list[GeneratorRecipe]:
    """The programs of a file; those that `only` names."""
    listed = list(recipes)
    names = [recipe.name for recipe in listed]
    if unknown := next((name for name in only if name not in names), None):
        raise UsageError(f"--only {unknown}: {file} has no such generator; it has {', '.join(names)}")
    chosen = [recipe for recipe in listed if not only or recipe.name in only]
    programs = [recipe for recipe in chosen if recipe.kind == "program"]
    others = [recipe for recipe in chosen if recipe.kind != "program"]
    if others and (only or not programs):
        commands = {"import": "cf-import", "remote": "cf-sample --remote"}
        raise UsageError(f"{others[0].name} is of kind {others[0].kind}, which is for `{commands[others[0].kind]}`")
    return programs


def _row(recipe: GeneratorRecipe, table: ProgramTable) -> CatalogEntry:
    program = table.program
    hint = f": {recipe.name} needs it" + (f"; it comes from {recipe.weights}" if recipe.weights else "")
    files = files_of(table.places, hint)
    if program.function is not None and recipe.task is not None:
        settings = settings_of_function(table.places[program.file], program.function, recipe.task)
        program = replace(program, settings=settings)
    row = row_of(
        recipe,
        revision=digest(files),
        files=files,
        download_bytes=sum(file.size for file in files),
        program=program,
    )
    missing = [package for package in program.packages if importlib.util.find_spec(package) is None]
    if not missing:
        return row
    detail = f"it needs {' and '.join(missing)}, not installed here: install it, and add it again with `cf-add`"
    return replace(row, status="incompatible", reason=Reason.NEEDS_PACKAGE.value, reason_detail=detail)
