"""The recipe: every setting that changes a pixel or a row, in one file that people can read.

Each stage has a table of settings in `recipe.toml`. The first run of a stage writes its table; every later run, on any
node, must have the same settings, or it stops with an error that names the differences. So all files of a workspace
were made with the same settings.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import TypeAlias

import tomli_w

from workspace.atomic import write_bytes
from workspace.errors import UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS
from workspace.removed import read_removals

#: What a setting may be: TOML has no null, so an absent setting is left out.
Setting: TypeAlias = bool | int | float | str | list[str] | dict[str, str] | dict[str, float]

#: Seconds to wait for another process that writes its table: longer than one that died on another host counts as alive.
_LOCK_SECONDS = 2 * SILENT_SECONDS

#: A setting that is the hash of a content; messages name the setting, because the hash tells a reader nothing.
_HASH = re.compile(r"(sha256:)?[0-9a-f]{64}")


def pin(workspace: Workspace, stage: str, settings: Mapping[str, Setting | None]) -> None:
    """Write `settings` as the table `stage` of the recipe, or compare them with that table where it exists.

    Settings that are None are left out, and names of removed generators are hidden. Raises `UsageError` with all
    differences.
    """
    removals = read_removals(workspace)
    wanted = {name: removals.hidden_values(value) for name, value in sorted(settings.items()) if value is not None}
    former = read(workspace).get(stage)
    if former is None:
        # Several shards may start at once; without a lock two first writers could lose each other's table.
        with alone(workspace, "recipe", _LOCK_SECONDS):
            recipe = read(workspace)
            former = recipe.get(stage)
            if former is None:
                write_bytes(workspace.recipe, tomli_w.dumps({**recipe, stage: wanted}).encode())
                return
    names = sorted(former.keys() | wanted.keys())
    differences = [text for name in names for text in _differences(name, former.get(name), wanted.get(name))]
    if differences:
        raise UsageError(
            f"settings differ from this workspace's ({workspace.recipe}): [{stage}] {'; '.join(differences)}. "
            "Run with the previous settings, or name a new --workspace"
        )


def read(workspace: Workspace) -> dict[str, dict[str, Setting]]:
    """The recipe's tables by stage; empty before the first stage ran. Raises `UsageError` when it is not TOML."""
    try:
        return tomllib.loads(workspace.recipe.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{workspace.recipe} is not TOML: {error}") from error


def _differences(name: str, former: Setting | None, now: Setting | None) -> list[str]:
    if isinstance(former, dict) and isinstance(now, dict):
        keys = sorted(former.keys() | now.keys())
        return [text for key in keys for text in _differences(f"{name}.{key}", former.get(key), now.get(key))]
    # Compared as they are shown: in Python True equals 1 and 1 equals 1.0, in the recipe they are different settings.
    if _show(former) == _show(now):
        return []
    if _is_hash(former) or _is_hash(now):
        return [f"{name} was added" if former is None else f"{name} was removed" if now is None else f"{name} changed"]
    return [f"{name} was {_show(former)}, now {_show(now)}"]


def _is_hash(setting: Setting | None) -> bool:
    return isinstance(setting, str) and _HASH.fullmatch(setting) is not None


def _show(setting: Setting | None) -> str:
    return "unset" if setting is None else repr(setting)
