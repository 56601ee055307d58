"""Growth: which images of a source are new in a round, and how their parts are numbered.

The parts of earlier rounds stay as they are. The images that a later selection has beyond them become parts of their
own, numbered on; so a folder with more photographs, a larger limit, or a longer file of own prompts adds to a source.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from captioning.cleaning import DroppedCaptionError, clean
from captioning.prompt import Prompt, require_all_parts
from captioning.prompt_parts import Part, parts_of
from captioning.removed_prompts import read_removed
from captioning.selection import Selection
from captioning.skipped import Skipped, skipped_name
from captioning.sources.own_prompts import OwnPrompts
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name, parts_in
from workspace.recipe import Setting
from workspace.removed import removed_prompt_id

#: Settings of a round: by source, the number of parts of the rounds before, and of all up to this one.
BY_ROUND = ("former_parts", "parts")


@dataclass(frozen=True)
class RoundParts:
    """The parts of one round."""

    number: int
    """Of the round."""
    parts: Sequence[Part]
    """Of this round, of all shards."""
    numbers: Mapping[str, int]
    """How many parts each source has, those of earlier rounds included."""
    settings: Mapping[str, Setting | None]
    """The settings in `BY_ROUND`."""
    remarks: Sequence[str] = ()
    """What the user should know."""


def parts_of_round(
    workspace: Workspace,
    selections: Sequence[Selection],
    part_size: int,
    settings: Mapping[str, Setting | None],
    update: bool,
) -> RoundParts:
    """The parts of the round that these settings belong to.

    Raises `UsageError` for other settings than those of the workspace without `update`, before the parts of earlier
    rounds are all there, and where own prompts of earlier rounds have another text now.
    """
    # Listed before the recipe is read: a round that it does not have then has no part yet.
    listed = {name: len(parts_in(workspace.prompts_of(name))) for name in map(_name, selections)}
    number = recipe.round_of(workspace, "caption", settings, update, by_round=BY_ROUND)
    every = recipe.rounds(workspace)
    table = every[number - 1].tables.get("caption") if number <= len(every) else None
    former = _numbers(table.get("former_parts")) if table is not None else listed if number > 1 else {}
    if number > 1 and table is None:
        require_all_parts(workspace)
    new: list[Selection] = []
    remarks: list[str] = []
    for selection in selections:
        known = _known(workspace, selection, former.get(_name(selection), 0))
        ids = [one for one in selection.ids if not _is_known(selection, one, known)] if known else selection.ids
        if gone := len(known) - (len(selection.ids) - len(ids)):
            remarks.append(
                f"{_name(selection)}: images of earlier rounds that are not selected any more: {gone}; they stay"
            )
        new.append(replace(selection, ids=ids))
    parts = [
        replace(part, number=part.number + former.get(_name(part.selection), 0), round=number)
        for part in parts_of(new, part_size)
    ]
    numbers = {name: former.get(name, 0) for name in listed}
    for part in parts:
        numbers[_name(part.selection)] += 1
    by_round: dict[str, Setting | None] = dict.fromkeys(BY_ROUND)
    if number > 1:
        by_round = {"former_parts": {name: former.get(name, 0) for name in listed}, "parts": numbers}
    return RoundParts(number, parts, numbers, by_round, remarks)


def _known(workspace: Workspace, selection: Selection, former: int) -> set[str]:
    """The ids, as tables have them, of the images in the first `former` parts of a source; of removed ones what is in
    place of their prompts."""
    folder, name = workspace.prompts_of(_name(selection)), _name(selection)
    known: set[str] = set()
    for number in range(former):
        rows = records.read_table(folder / part_name(number), Prompt, ["prompt_id", "prompt"]).to_pylist()
        _require_same_prompts(selection, rows)
        known.update(row["prompt_id"].removeprefix(f"{name}/") for row in rows)
        known.update(place.prompt_id for place in read_removed(folder / part_name(number)))
        skipped = folder / skipped_name(number)
        if skipped.exists():
            known.update(records.read_table(skipped, Skipped, ["real_id"]).column("real_id").to_pylist())
    return known


def _is_known(selection: Selection, real_id: str, known: set[str]) -> bool:
    printable = _printable(real_id)
    return printable in known or removed_prompt_id(f"{_name(selection)}/{printable}") in known


def _require_same_prompts(selection: Selection, rows: Sequence[Mapping[str, str]]) -> None:
    """Raise `UsageError` where a line of own prompts that has a prompt already says something else now."""
    if not isinstance(selection.collection, OwnPrompts):
        return
    for row in rows:
        number = row["prompt_id"].removeprefix(f"{_name(selection)}/")
        own = selection.collection.prompts.get(number)
        try:
            text = None if own is None else clean(own.text)
        except DroppedCaptionError:
            text = None
        if text != row["prompt"]:
            line = f"prompt {int(number) + 1} of {_name(selection)} is not what it was ({row['prompt'][:60]!r})"
            raise UsageError(
                f"--prompts: {line}: add prompts at the end of the file, or give the changed file another name, as "
                "--prompts NAME=FILE"
            )


def _name(selection: Selection) -> str:
    return selection.source.name


def _printable(real_id: str) -> str:
    """An id as tables have it."""
    return os.fsencode(real_id).decode("utf-8", "backslashreplace")


def _numbers(value: Any) -> dict[str, int]:
    return {str(name): int(number) for name, number in value.items()} if isinstance(value, dict) else {}
