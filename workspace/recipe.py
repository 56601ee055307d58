"""The recipe: every choice that changes a pixel or a row, in one file a person can read.

Each stage has a table of settings in `recipe.toml`. The first run of a stage writes its table; every later run,
on any node, must bring the same settings or stops with an error that shows the difference. So what is in a
workspace was made one way.
"""

import tomllib
from collections.abc import Mapping
from typing import TypeAlias

import tomli_w
from filelock import FileLock

from workspace.atomic import write_bytes
from workspace.errors import UsageError
from workspace.layout import Workspace

#: What a setting may be: TOML has no null, so an absent setting is left out.
Setting: TypeAlias = bool | int | float | str | list[str] | dict[str, str] | dict[str, float]


def pin(workspace: Workspace, stage: str, settings: Mapping[str, Setting | None]) -> None:
    """Write `settings` as the recipe's table `stage`, or require that they equal the table that is there.

    Settings that are None are left out. Raises `UsageError` with the difference when the workspace was made
    another way.
    """
    wanted = {name: value for name, value in sorted(settings.items()) if value is not None}
    # Several shards may start at once; without a lock two first writers could lose each other's table.
    with FileLock(workspace.root / ".recipe.lock"):
        recipe = read(workspace)
        if stage not in recipe:
            text = tomli_w.dumps({**recipe, stage: wanted})
            write_bytes(workspace.recipe, text.encode())
            return
    made_with = recipe[stage]
    # Compared as they are shown: in Python True equals 1 and 1 equals 1.0, in the recipe they are different choices.
    shown = {name: (_show(made_with.get(name)), _show(wanted.get(name))) for name in made_with.keys() | wanted.keys()}
    changes = [f"{name} was {was}, now {now}" for name, (was, now) in sorted(shown.items()) if was != now]
    if changes:
        raise UsageError(
            f"{workspace.recipe} says this workspace was made another way: [{stage}] {'; '.join(changes)}. "
            "Run with the former settings, or name a new --workspace"
        )


def read(workspace: Workspace) -> dict[str, dict[str, Setting]]:
    """The recipe's tables by stage; empty before the first stage ran. Raises `UsageError` when it is not TOML."""
    try:
        return tomllib.loads(workspace.recipe.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{workspace.recipe} is not TOML: {error}") from error


def _show(setting: Setting | None) -> str:
    return "unset" if setting is None else repr(setting)
