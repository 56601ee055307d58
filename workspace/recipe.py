"""The recipe: every setting that changes a pixel or a row, in one file that people can read.

Each stage has a table of settings in `recipe.toml`. The first run of a stage writes its table; every later run, on any
node, must have the same settings, or it stops with an error that names the differences. So all files of a workspace
were made with known settings.

A workspace grows in *rounds*. The tables `[crawl]`, `[caption]` and `[sample]` are the first one. A run with other
settings and `--update` opens the next round, or continues it where it is open: its whole table is then in
`[round.2.crawl]`, and so on. A round is open until it is sampled, as its table `sample` is written last; what is added
afterwards belongs to another one. A stage without a table in a round had nothing to add. A run with the settings of an
earlier round continues that one.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import tomli_w

from workspace.atomic import read_whole, write_bytes
from workspace.errors import UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS
from workspace.removed import read_removals

#: What a setting may be: TOML has no null, so an absent setting is left out.
Setting: TypeAlias = (
    bool
    | int
    | float
    | str
    | list[str]
    | dict[str, str]
    | dict[str, int]
    | dict[str, float]
    | dict[str, dict[str, Any]]
)
Tables: TypeAlias = dict[str, dict[str, Setting]]

#: The stage whose table closes a round.
_LAST_STAGE = "sample"
_ROUNDS = "round"

#: Seconds to wait for another process that writes its table: longer than one that died on another host counts as alive.
_LOCK_SECONDS = 2 * SILENT_SECONDS

#: A setting that is the hash of a content; messages name the setting, because the hash tells a reader nothing.
_HASH = re.compile(r"(sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True)
class Round:
    """What one round has of the recipe."""

    number: int
    """From 1."""
    tables: Tables
    """The settings of the stages that it changes, by stage."""

    @property
    def is_open(self) -> bool:
        """Whether it is not sampled yet: what is added belongs to it."""
        return _LAST_STAGE not in self.tables


def pin(
    workspace: Workspace,
    stage: str,
    settings: Mapping[str, Setting | None],
    update: bool = False,
    *,
    by_round: Collection[str] = (),
) -> int:
    """Write `settings` as the table `stage` of a round, or compare them with the table there; returns the round.

    Settings that are None are left out. They are those of the newest round that has the same; those in `by_round`
    follow from the round and may differ between rounds. Other settings need `update`, and are those of the newest round
    where it is open and has no table of the stage, else of another one. Raises `UsageError` with all differences.
    """
    number = round_of(workspace, stage, settings, update, by_round=by_round)
    wanted = _wanted(workspace, settings)
    if not _is_written(workspace, number, stage, wanted):
        # Several shards may start at once; without a lock two first writers could lose each other's table.
        with alone(workspace, "recipe", _LOCK_SECONDS):
            number = round_of(workspace, stage, settings, update, by_round=by_round)
            if not _is_written(workspace, number, stage, wanted):
                _write(workspace, number, stage, wanted)
    return number


def add(workspace: Workspace, stage: str, settings: Mapping[str, Setting | None], number: int) -> None:
    """Write `settings` as the table `stage` of round `number`, which may be the next one. Raises `UsageError` where it
    has another table."""
    wanted = _wanted(workspace, settings)
    with alone(workspace, "recipe", _LOCK_SECONDS):
        if not _is_written(workspace, number, stage, wanted):
            _write(workspace, number, stage, wanted)


def extend(workspace: Workspace, stage: str, name: str, values: Mapping[str, str], number: int) -> None:
    """Add values to the setting `name`, a table, in the table `stage` of round `number`, which may be the next one."""
    with alone(workspace, "recipe", _LOCK_SECONDS):
        every = rounds(workspace)
        table = every[number - 1].tables.get(stage, {}) if number <= len(every) else {}
        known: Any = table.get(name, {})
        wanted: Any = _wanted(workspace, {name: {**known, **values}})[name]
        if wanted != known:
            _write(workspace, number, stage, {**table, name: dict(sorted(wanted.items()))})


def round_of(
    workspace: Workspace,
    stage: str,
    settings: Mapping[str, Setting | None],
    update: bool = False,
    *,
    by_round: Collection[str] = (),
) -> int:
    """The round that `pin` would return, without the values of `by_round`; nothing is written. Raises as `pin`."""
    wanted = _wanted(workspace, settings)
    every = rounds(workspace)
    newest = every[-1]
    following = newest.number if newest.is_open and stage not in newest.tables else newest.number + 1
    tables = [(one.number, one.tables[stage]) for one in reversed(every) if stage in one.tables]
    if stage == _LAST_STAGE and newest.is_open:
        # What was added is sampled now, with the settings of before where no others are given.
        if not tables or update or not differences_of(tables[0][1], wanted, by_round):
            return following
    else:
        for number, table in tables:
            if not differences_of(table, wanted, by_round):
                return number
        if update or (not tables and following == newest.number):
            return following
    differ = f"settings differ from this workspace's ({workspace.recipe}): [{stage}] "
    differ += (
        "; ".join(differences_of(tables[0][1], wanted, by_round)) if tables else "was not there when it was sampled"
    )
    raise UsageError(
        f"{differ}. Run with the previous settings; or add --update: what these settings add is then round {following} "
        "of this workspace, and what was made before stays; or name a new --workspace"
    )


def read(workspace: Workspace) -> Tables:
    """The tables of the first round, by stage; empty before the first stage ran. Raises `UsageError` as `rounds`."""
    return rounds(workspace)[0].tables


def rounds(workspace: Workspace) -> tuple[Round, ...]:
    """All rounds, in order; the first one is always there.

    Raises `UsageError` for a recipe that is not TOML, and for rounds that are not numbered from 2 without a gap.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(read_whole(workspace.recipe).decode())
    except FileNotFoundError:
        tables = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{workspace.recipe} is not TOML: {error}") from error
    later = tables.pop(_ROUNDS, {})
    names = [str(number) for number in range(2, len(later) + 2)] if isinstance(later, dict) else []
    every: list[Any] = [tables, *(later.get(name) for name in names)] if isinstance(later, dict) else [None]
    if not all(isinstance(one, dict) and all(isinstance(table, dict) for table in one.values()) for one in every):
        raise UsageError(f"{workspace.recipe}: its tables [{_ROUNDS}.N.STAGE] are not those of rounds 2, 3, ...")
    return tuple(Round(number, of_round) for number, of_round in enumerate(every, start=1))


def latest(workspace: Workspace, stage: str, last_round: int | None = None) -> dict[str, Setting] | None:
    """The newest settings of a stage, up to a round (None: all); None before it ran."""
    every = rounds(workspace)[:last_round]
    return next((one.tables[stage] for one in reversed(every) if stage in one.tables), None)


def _wanted(workspace: Workspace, settings: Mapping[str, Setting | None]) -> dict[str, Setting]:
    """The settings as a table has them: without those that are None, and without names of removed generators."""
    removals = read_removals(workspace)
    return {name: removals.hidden_values(value) for name, value in sorted(settings.items()) if value is not None}


def _is_written(workspace: Workspace, number: int, stage: str, wanted: Mapping[str, Setting]) -> bool:
    """Whether a round has this table. Raises `UsageError` where it has another one."""
    every = rounds(workspace)
    table = every[number - 1].tables.get(stage) if number <= len(every) else None
    if table is None:
        return False
    if differences := differences_of(table, wanted):
        of_round = f" of round {number}" if number > 1 else ""
        raise UsageError(
            f"settings differ from this workspace's ({workspace.recipe}): [{stage}]{of_round} "
            f"{'; '.join(differences)}. Restore what was there, or name a new --workspace"
        )
    return True


def _write(workspace: Workspace, number: int, stage: str, wanted: Mapping[str, Setting]) -> None:
    every = {one.number: dict(one.tables) for one in rounds(workspace)}
    every.setdefault(number, {})[stage] = dict(wanted)
    content: dict[str, Any] = every.pop(1)
    if every:
        content[_ROUNDS] = {str(one): tables for one, tables in every.items()}
    write_bytes(workspace.recipe, tomli_w.dumps(content).encode())


def differences_of(
    former: Mapping[str, Setting], wanted: Mapping[str, Setting], without: Collection[str] = ()
) -> list[str]:
    """What differs between two tables of a stage, in words, but for the settings in `without`."""
    names = sorted((former.keys() | wanted.keys()) - set(without))
    return [text for name in names for text in _differences(name, former.get(name), wanted.get(name))]


def _differences(name: str, former: Any, now: Any) -> list[str]:
    if isinstance(former, dict) and isinstance(now, dict):
        keys = sorted(former.keys() | now.keys())
        return [text for key in keys for text in _differences(f"{name}.{key}", former.get(key), now.get(key))]
    # Compared as they are shown: in Python True equals 1 and 1 equals 1.0, in the recipe they are different settings.
    if _show(former) == _show(now):
        return []
    if _is_hash(former) or _is_hash(now):
        return [f"{name} was added" if former is None else f"{name} was removed" if now is None else f"{name} changed"]
    return [f"{name} was {_show(former)}, now {_show(now)}"]


def _is_hash(setting: Any) -> bool:
    return isinstance(setting, str) and _HASH.fullmatch(setting) is not None


def _show(setting: Any) -> str:
    return "unset" if setting is None else repr(setting)
