"""Which dataset the page shows: the choices of its build, its version, and the recipe of the workspace."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from manifests.choices import read_choices
from manifests.manifest import manifest_path
from manifests.reproduction.record import read_reproduction
from workspace import recipe
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

_NAMES = {"license_allow": "licences allowed", "real_per_generated": "real images per generated one"}


@dataclass(frozen=True)
class About:
    """Names and values, and the recipe as stage, setting and value."""

    facts: dict[str, str]
    recipe: tuple[tuple[str, str, str], ...]


def about(workspace: Workspace) -> About:
    """What is shown of the manifest as it is."""
    manifest = manifest_path(workspace)
    choices = asdict(read_choices(manifest))
    if not choices["license_allow"]:
        del choices["license_allow"]  # a full edition has all
    named = {_NAMES.get(name, name.replace("_", " ")): _text(value) for name, value in choices.items()}
    found = read_reproduction(workspace)
    again = {} if found is None else {"images made again": found.text()}
    facts = {
        **named,
        **again,
        "built by": f"community-forensics {version('community-forensics')}",
        "sha256 of manifest.parquet": sha256_of_file(manifest),
    }
    return About(facts, tuple(_recipe_settings(workspace, read_choices(manifest).rounds)))


def latest_settings(workspace: Workspace, last_round: int) -> dict[str, str]:
    """The settings of the recipe as a round has them, by stage and name."""
    latest = {stage: table for one in _rounds(workspace, last_round) for stage, table in one.tables.items()}
    return {f"{stage}: {name}": value for stage, table in latest.items() for name, value in _settings(table)}


def _recipe_settings(workspace: Workspace, last_round: int) -> Iterator[tuple[str, str, str]]:
    """The settings of the recipe, of the rounds up to one: stage, setting, value; of a later round only what differs
    from the one before."""
    before: dict[str, dict[str, str]] = {}
    for one in _rounds(workspace, last_round):
        for stage, table in sorted(one.tables.items()):
            settings, former = dict(_settings(table)), before.get(stage, {})
            named = stage if one.number == 1 else f"{stage}, round {one.number}"
            yield from ((named, name, value) for name, value in settings.items() if former.get(name) != value)
            yield from ((named, name, "no longer set") for name in former if name not in settings)
            before[stage] = settings


def _rounds(workspace: Workspace, last_round: int) -> list[recipe.Round]:
    return [one for one in recipe.rounds(workspace) if one.number <= last_round]


def _settings(table: Mapping[str, recipe.Setting]) -> Iterator[tuple[str, str]]:
    """Names and values of one table, in order."""
    for name, value in sorted(table.items()):
        if isinstance(value, dict):
            yield from ((f"{name}: {key}", _in_words(inner)) for key, inner in sorted(value.items()))
        else:
            yield name, ", ".join(value) if isinstance(value, list) else str(value)


def _in_words(inner: object) -> str:
    """A value, or the settings of some generators as `steps 20, scheduler DDIMScheduler`."""
    return ", ".join(f"{key} {each}" for key, each in inner.items()) if isinstance(inner, Mapping) else str(inner)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
