"""Which dataset the page shows: the choices of its build, its version, and the recipe of the workspace."""

from collections.abc import Iterator
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
    return About(facts, tuple(recipe_settings(workspace)))


def recipe_settings(workspace: Workspace) -> Iterator[tuple[str, str, str]]:
    """The settings of the recipe: stage, setting, value."""
    for stage, settings in sorted(recipe.read(workspace).items()):
        for name, value in sorted(settings.items()):
            if isinstance(value, dict):
                yield from ((stage, f"{name}: {key}", str(inner)) for key, inner in sorted(value.items()))
            else:
                yield stage, name, ", ".join(value) if isinstance(value, list) else str(value)


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
