"""Runs: one folder for each detector that is trained, named by what it is made from.

    detect/<model>-<first digits of the recipe's hash>/
      recipe.toml         model, protocol, data, seed, steps, settings, versions
      state/              checkpoints, the last two (`checkpoints`); removed when the run is finished
      training.parquet    a row a step (`training_log`)
      model.safetensors   the result
      model.json          how it is used: registry name, settings, threshold, temperature. Written last: a run that has
                          it is finished
      scores/             written by evaluation

The same recipe is the same folder, so a command that is repeated finds the finished run, or continues it.
"""

import hashlib
import json
import math
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import tomli_w

from workspace.atomic import write_bytes, write_json
from workspace.errors import UsageError, in_one_line
from workspace.layout import Workspace

#: A hyper-parameter; TOML has no null, so an absent one is left out.
Setting: TypeAlias = bool | int | float | str

#: In front of the protocol of a study's runs.
STUDY = "study of "

_RECIPE = "recipe.toml"

#: Hexadecimal digits of the hash in a run's name.
_DIGITS = 12
#: What changes a result; recorded beside the settings.
_PACKAGES = ("accelerate", "numpy", "opencv-python-headless", "pillow", "scikit-learn", "torch", "transformers")


def library_versions() -> dict[str, str]:
    """The installed versions of the packages that change a detector."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a detector is made from."""

    model: str
    """Name in the registry, such as cf-vit-s-384 or ufd-nn:9."""
    protocol: str
    """Who trains and who is tested, such as generator:5."""
    fold: str
    """The fold of the protocol."""
    rows: str
    """Digest of the rows that train and validate."""
    data: Mapping[str, str]
    """Digest of the index of each source, by the source's name."""
    seed: int
    steps: int
    """Optimiser steps; 0 for a model without any, or with published weights."""
    settings: Mapping[str, Setting]
    """All hyper-parameters, defaults included."""
    versions: Mapping[str, str] = field(default_factory=library_versions)
    """Of libraries. No part of the name: a finished run stays the same run after an upgrade."""

    @cached_property
    def digest(self) -> str:
        """sha256 of everything but the versions."""
        content = {name: value for name, value in self.as_dict().items() if name != "versions"}
        return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()

    @property
    def is_of_study(self) -> bool:
        """Whether it is a run of a study, which trains on a part of what its protocol has for training."""
        return self.protocol.startswith(STUDY)

    @property
    def name(self) -> str:
        """The name of its run, one path component."""
        # A folder is named by its last part: where it lies is nobody's business.
        model = (
            self.model
            if ":" not in self.model or not self.model.partition(":")[2].startswith(("/", "."))
            else f"{self.model.partition(':')[0]}-{Path(self.model).name}"
        )
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', model.replace('/', '--'))}-{self.digest[:_DIGITS]}"

    @property
    def detector(self) -> str:
        """The name of the detector: runs that differ in their fold only are one. Those of a study differ in what they
        train on, so that each is its own."""
        return self.name if self.is_of_study else replace(self, fold="", rows="").name

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as recipe.toml has them."""
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in asdict(self).items()}

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """The recipe of a file. Raises `UsageError` where there is none, or another program wrote it."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
            for name, kind in _KINDS.items():
                if not isinstance(found.get(name, kind()), kind) or isinstance(found.get(name), bool):
                    raise TypeError(f"{name} is a {type(found[name]).__name__}")
            return cls(**found)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
            raise UsageError(f"{path} is not the recipe of a run: {in_one_line(error, 200)}") from error


#: The types of the fields of a recipe.
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("model", "protocol", "fold", "rows"), str),
    **dict.fromkeys(("seed", "steps"), int),
    **dict.fromkeys(("data", "settings", "versions"), dict),
}


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path
    recipe: Recipe

    @classmethod
    def open(cls, workspace: Workspace, recipe: Recipe) -> "Run":
        """The run of this recipe, made where there is none."""
        run = cls(workspace.detect / recipe.name, recipe)
        if run.recipe_file.exists():
            return cls.read(run.folder)
        write_bytes(run.recipe_file, tomli_w.dumps(recipe.as_dict()).encode())
        return run

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """The run in a folder. Raises `UsageError` where there is none."""
        return cls(folder, Recipe.read(folder / _RECIPE))

    @classmethod
    def find(cls, workspace: Workspace, name: str) -> "Run":
        """The one run of a workspace that `find_folds` finds. Raises `UsageError` where there is none, or several."""
        found = cls.find_folds(workspace, name)
        if len(found) > 1:
            raise UsageError(_several(name, found))
        return found[0]

    @classmethod
    def find_folds(cls, workspace: Workspace, name: str) -> "list[Run]":
        """The run of a workspace with this name, which may be shortened, or be that of its model or detector; or that
        in a folder. Several where they are folds of one detector.

        Runs of studies, which are many, are found by their full names only. Raises `UsageError` where there is none, or
        are several detectors.
        """
        if (folder := workspace.detect / name / _RECIPE).exists() or (folder := Path(name) / _RECIPE).exists():
            return [cls.read(folder.parent)]
        known = [run for run in runs(workspace) if not run.recipe.is_of_study]
        found = [
            run
            for run in known
            if run.name.startswith(name) or run.recipe.detector.startswith(name) or run.recipe.model == name
        ]
        if not found:
            names = ", ".join(run.name for run in known)
            raise UsageError(
                f"there is no run {name}: " + (f"there are {names}" if names else "run `cf-detect train` first")
            )
        if len({run.recipe.detector for run in found}) > 1:
            raise UsageError(_several(name, found))
        return found

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def recipe_file(self) -> Path:
        """recipe.toml."""
        return self.folder / _RECIPE

    @property
    def state(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "state"

    @property
    def weights(self) -> Path:
        """model.safetensors."""
        return self.folder / "model.safetensors"

    @property
    def description(self) -> Path:
        """model.json."""
        return self.folder / "model.json"

    @property
    def training(self) -> Path:
        """training.parquet."""
        return self.folder / "training.parquet"

    @property
    def scores(self) -> Path:
        """The folder of scores."""
        return self.folder / "scores"

    @property
    def is_finished(self) -> bool:
        """Whether the detector is there."""
        return self.description.exists()

    def remove_unless_begun(self) -> None:
        """Remove the folder where nothing was made in it yet."""
        if not (self.is_finished or self.state.exists() or self.scores.exists()):
            shutil.rmtree(self.folder, ignore_errors=True)

    def remove_state(self) -> None:
        """Remove the checkpoints: nothing needs them any more."""
        shutil.rmtree(self.state, ignore_errors=True)

    def finish(self, description: Mapping[str, Any]) -> None:
        """Write model.json: the run is finished."""
        write_json(self.description, dict(description))

    def number(self, name: str, usual: float) -> float:
        """A number of model.json; `usual` where it is absent, null or 0. Raises `UsageError` for another value, and as
        `described`."""
        found = self.described().get(name) or usual
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise UsageError(f"{self.description} is damaged: its {name} is no number")
        return float(found)

    def described(self) -> dict[str, Any]:
        """What model.json says. Raises `UsageError` for a run that is not finished."""
        try:
            content = json.loads(self.description.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                f"{self.name} is not finished: run the `cf-detect train` command that began it again"
            ) from None
        except ValueError as error:
            raise UsageError(f"{self.description} is damaged: {in_one_line(error, 200)}") from error
        if not isinstance(content, dict):
            raise UsageError(f"{self.description} is damaged: it is no JSON object")
        return content


def _several(name: str, found: Sequence[Run]) -> str:
    said = ", ".join(f"{run.name} ({run.recipe.protocol}, {run.recipe.fold})" for run in found)
    return f"{len(found)} runs are named {name}: {said}; name one of them"


def runs(workspace: Workspace) -> list[Run]:
    """All runs of a workspace, by name."""
    return list(_runs(workspace))


def _runs(workspace: Workspace) -> Iterator[Run]:
    for recipe in sorted(workspace.detect.glob(f"*/{_RECIPE}")):
        yield Run.read(recipe.parent)
