"""What a TOML file says of generators that no list of the Hub has: programs, images made elsewhere, remote services.

    ["manual/stylegan2-ffhq"]
    kind = "program"                # program: cf-add | import: cf-import | remote: cf-sample --remote
    study = "StyleGAN2"
    architecture = "GAN"
    task = "unconditional"
    license = "other"
    license_name = "NVIDIA Source Code License"
    link = "https://github.com/NVlabs/stylegan3"
    trained_on = "FFHQ"
    weights = "https://..."

    ["manual/stylegan2-ffhq".program]
    ...

A table for each generator says what it is, with keys that mean the same in all of them; the table below it, named as
its kind, says how its images are made or where they are, and belongs to the command of that kind.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

from crawler.card.licenses import license_of
from crawler.catalog import Architecture, CatalogEntry, Hyperparameters, HyperparameterSources, Task
from crawler.local_generator import check_addresses, check_keys, checked_settings, checked_text
from workspace.errors import UsageError
from workspace.printable import in_line
from workspace.repo_id import checked_repo_id, is_repo_id

RecipeKind = Literal["program", "import", "remote"]
Subset = Literal["Manual", "Commercial"]

_TEXTS = (
    "study",
    "study_source",
    "license",
    "license_name",
    "license_link",
    "link",
    "trained_on",
    "weights",
    "base_model",
)
_CHOICES: dict[str, Any] = {"kind": RecipeKind, "subset": Subset, "architecture": Architecture, "task": Task}
_SETTINGS = ("steps", "guidance_scale", "width", "height", "negative_prompt", "trigger_words", "extra")


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """One generator of a TOML file; columns as in `crawler.catalog.CatalogEntry`."""

    name: str
    """ORG/NAME"""
    kind: RecipeKind
    subset: Subset
    architecture: Architecture
    task: Task | None
    study: str | None
    """What the study calls it; None: it is none of the study's."""
    study_source: str | None = None
    """Its real source as the study gives it; None: the study does not."""
    license: str | None
    license_name: str | None
    license_link: str | None
    link: str | None
    """Its home."""
    trained_on: str | None
    weights: str | None
    """Where its weights, or its images, come from: an address, or in words."""
    base_model: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `crawler.catalog.Hyperparameters`."""
    how: Mapping[str, Any] = field(default_factory=dict)
    """The table named as its kind, which the command of that kind reads."""
    folder: Path
    """That of the file: its paths are relative to it."""

    @property
    def where(self) -> str:
        """The table of its kind, for messages."""
        return f'["{self.name}".{self.kind}]'


def read_recipes(path: Path) -> list[GeneratorRecipe]:
    """The generators of a TOML file, in order. Raises `UsageError`, which says what is wrong with which table."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f'{path} is not TOML: {error}; a table begins with a name in quotes, ["ORG/NAME"]') from error
    if not tables:
        raise UsageError(f'{path}: has no table ["ORG/NAME"]')
    try:
        return [recipe_of(name, table, path.parent.absolute()) for name, table in tables.items()]
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def row_of(recipe: GeneratorRecipe, *, revision: str, **columns: Any) -> CatalogEntry:
    """The row of a generator with what its table says; `columns` are further ones, or others than these."""
    stated = {name: getattr(recipe, name) for name in ("license", "license_name", "license_link")}
    found = license_of(stated, ())
    sources = {name: None if value is None else "user" for name, value in recipe.settings.items()}
    values: dict[str, Any] = {
        "model_name": recipe.name,
        "revision": revision,
        "link": recipe.link,
        "subset": recipe.subset,
        "rank": 0,
        "downloads": 0,
        "likes": 0,
        "license": found.license,
        "license_source": "user" if recipe.license is not None else "none",
        "license_family": found.license_family,
        "license_name": found.license_name,
        "license_link": found.license_link,
        "architecture": recipe.architecture,
        "architecture_evidence": "its user says so",
        "task": recipe.task,
        "kind": "checkpoint",
        "base_model": recipe.base_model,
        "hyperparameters": Hyperparameters(**recipe.settings),
        "hyperparameter_sources": HyperparameterSources(**cast(dict[str, Any], sources)),
        "trained_on": recipe.trained_on,
        "download_bytes": 0,
        "crawled_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "compatible",
    }
    return CatalogEntry(**values | columns)


def recipe_of(name: str, table: Any, folder: Path) -> GeneratorRecipe:
    """The generator of one table; `folder`: that of its file. Raises `UsageError`."""
    where = f'["{in_line(name)}"]'
    try:
        checked_repo_id(name, namespace=True)
    except UsageError as error:
        raise UsageError(f"{where}: the name of a generator must be ORG/NAME, in quotes") from error
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: must be a table")
    chosen = {key: _choice(where, table, key) for key in _CHOICES}
    for key in ("kind", "architecture"):
        if chosen[key] is None:
            raise UsageError(f"{where}: needs {key}, one of {', '.join(get_args(_CHOICES[key]))}")
    check_keys(where, table, (*_CHOICES, *_TEXTS, *_SETTINGS, chosen["kind"]))
    texts: dict[str, Any] = {key: checked_text(where, table, key) for key in _TEXTS}
    check_addresses(where, texts)
    if texts["base_model"] is not None and not is_repo_id(texts["base_model"]):
        raise UsageError(f"{where}: base_model must be ORG/NAME")
    how = table.get(chosen["kind"], {})
    if not isinstance(how, Mapping):
        raise UsageError(f'{where}: {chosen["kind"]} must be a table, ["{in_line(name)}".{chosen["kind"]}]')
    chosen["subset"] = chosen["subset"] or "Manual"
    settings = checked_settings(where, {key: table[key] for key in _SETTINGS if key in table})
    return GeneratorRecipe(name=name, settings=settings, how=how, folder=folder, **chosen, **texts)


def _choice(where: str, table: Mapping[str, Any], key: str) -> Any:
    """The text under a key that must be one of a set; None: there is none."""
    allowed = get_args(_CHOICES[key])
    value = table.get(key)
    if value is not None and value not in allowed:
        raise UsageError(f"{where}: {key} must be one of {', '.join(allowed)}")
    return value
