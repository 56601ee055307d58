"""The recipe of one round of sampling: the choices that change a pixel or a row, and what they make of the settings of
a generator."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from samplers.options import Store
from samplers.planning.reservation import Reservation
from samplers.settings_file import FIELDS, Value
from samplers.user_settings import UserSettings
from workspace import recipe as recipes
from workspace.errors import UsageError
from workspace.identity import SEED_BITS
from workspace.layout import Workspace
from workspace.recipe import Setting

#: Settings that follow from the round: its prompts.
BY_ROUND = frozenset({"prompts"})

#: Batches of one part: fewer make more files, more make a damaged part dearer and are more in memory. And as in
#: workspaces of the version before, whose recipe does not name them.
BATCHES_A_PART, FORMER_BATCHES_A_PART = 8, 4

#: Settings that are those of all rounds: they say where images are, or which generators share no prompt.
_OF_ALL_ROUNDS = ("store", "safety_checker", "evaluation_prompts", "holdout", "validation", "seed_bits")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The choices of one round that change a pixel or a row."""

    round: int = 1
    """Its number."""
    images: int
    batch_size: int
    max_tries: int
    seed: int
    steps: int | None
    safety_checker: str
    """repository@commit"""
    prompts: str | None
    """Digest of the prompts of this round and those before; None where there are none."""
    source_weights: dict[str, float] | None = None
    """Of every real source; None: all equal."""
    store: Store = "files"
    allow_pickle: bool = False
    """Whether generators with pickled weights are sampled, loaded with `weights_only`."""
    images_per_prompt: int = 1
    """How often in a row each drawn prompt is used."""
    evaluation_prompts: float = 0.0
    """Share of the prompts that is reserved for held-out generators, and another such share for those of validation."""
    holdout: list[str] | None = None
    """The held-out generators, as `Holdout` texts in order; None: none."""
    validation: list[str] | None = None
    """Those of validation."""
    seed_bits: int = SEED_BITS
    """Of every seed; workspaces of the version with 63 do not name it."""
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    negative_prompt: str | None = None
    scheduler: str | None = None
    """As `steps`, what the user sets instead of all generators' authors; None: each generator's own."""
    settings: dict[str, dict[str, Value]] | None = None
    """What the user sets for some generators, by name or pattern (`samplers/user_settings.py`)."""

    batches_a_part: int | None = None
    """Batches whose rows are one file; None: `FORMER_BATCHES_A_PART`."""

    @property
    def rows_a_part(self) -> int:
        """Rows of one part."""
        return self.batch_size * (self.batches_a_part or FORMER_BATCHES_A_PART)

    @cached_property
    def user_settings(self) -> UserSettings:
        """What the user sets instead of the generators' authors."""
        general = {name: getattr(self, name) for name in FIELDS}
        return UserSettings({name: value for name, value in general.items() if value is not None}, self.settings or {})

    def of(self, entry: CatalogEntry) -> "Recipe":
        """The recipe with the number of images that the user sets for one generator, and tries in proportion."""
        images = self.user_settings.images(entry, self.images)
        if images == self.images:
            return self
        return replace(self, images=images, max_tries=-(-self.max_tries * images // self.images))

    @property
    def reservation(self) -> Reservation:
        """Which prompts are reserved for which generators."""
        return Reservation.named(self.evaluation_prompts, self.holdout or (), self.validation or ())

    @classmethod
    def of_settings(cls, number: int, settings: Mapping[str, Any]) -> "Recipe":
        """The recipe of a round, from its table `[sample]`. Raises `UsageError` for settings of another version."""
        names = {field.name for field in fields(cls)} - {"round"}
        absent = {"steps", "prompts", *(field.name for field in fields(cls) if field.default is None)}
        given: dict[str, Any] = {name: settings.get(name) for name in absent} | dict(settings)
        try:
            return cls(round=number, **given)
        except TypeError:
            wrong = ", ".join(sorted((names ^ given.keys()) - absent))
            raise UsageError(
                f"round {number} of recipe.toml was written by another version of community-forensics, or by hand "
                f"(settings {wrong}): continue with that version, or use another --workspace"
            ) from None

    def table(self) -> dict[str, Setting | None]:
        """The table `[sample]` of the workspace's recipe."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "round"}


def require_same_seeds(workspace: Workspace) -> None:
    """Raise `UsageError` where another version sampled the workspace, whose seeds, and so images, are other ones."""
    sampled = recipes.latest(workspace, "sample")
    if sampled is not None and sampled.get("seed_bits") != SEED_BITS:
        raise UsageError(
            f"{workspace.recipe}: the images of this workspace were written by another version of community-forensics, "
            f"with seeds of {sampled.get('seed_bits', 63)} bits instead of {SEED_BITS}: continue with that version, or "
            "use another --workspace"
        )


def recorded_recipes(workspace: Workspace) -> tuple[Recipe, ...]:
    """The recipes of all rounds that were sampled, in order. Raises `UsageError` where another version wrote one."""
    require_same_seeds(workspace)
    return tuple(
        Recipe.of_settings(one.number, one.tables["sample"])
        for one in recipes.rounds(workspace)
        if "sample" in one.tables
    )


def require_one_kind(former: Recipe, recipe: Recipe) -> None:
    """Raise `UsageError` where a round differs from one before in what must be the same in all of them."""
    for name in _OF_ALL_ROUNDS:
        before, now = getattr(former, name), getattr(recipe, name)
        if before != now:
            raise UsageError(
                f"--{name.replace('_', '-')} is {now} and was {before} in round {former.round}: it is the same in all "
                "rounds of a workspace; run with the previous one, or name a new --workspace"
            )


def settings_of(entry: CatalogEntry, recipe: Recipe) -> tuple[Hyperparameters, HyperparameterSources]:
    """How a generator is sampled in a round, and where each setting comes from."""
    row = recipe.user_settings.applied_to(entry)
    return row.hyperparameters, row.hyperparameter_sources
