"""Prompts whose real images were removed from the workspace (`cf-remove`): places without a text.

Which prompts a generator gets depends on the places of all prompts (`samplers/planning/prompting.py`), and the recipe
has the digest of all. So a removed prompt keeps its place, in `removed-00000.parquet` beside its part, and leaves there
what the draw needs: hashes, its weight and its round. Its words, its image's id, path, hash and facts are nowhere any
more.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from captioning.prompt import Prompt
from workspace import records
from workspace.identity import reserved_place
from workspace.layout import part_number
from workspace.records import column
from workspace.removed import Removals, real_key, removed_prompt_id


@dataclass(frozen=True, kw_only=True)
class RemovedPrompt:
    """The place of one removed prompt."""

    row: int = column(pa.int64(), "its row among all that its part had, from 0")
    prompt_id: str = column(pa.string(), "removed: and the beginning of a hash, in place of its id")
    key: str = column(pa.string(), "of its real image among the tombstones (workspace/removed.py)")
    real_source: str = column(pa.string(), "the data set, by the name given on the command line (coco)")
    weight: float | None = column(pa.float64(), "as of a prompt; null: as a weight of 1", default=None)
    round: int = column(pa.int32(), "round of the recipe that added it, from 1", default=1)
    place: float = column(pa.float64(), "in [0, 1): which split its prompt was reserved for")
    text_sha256: str = column(pa.string(), "of its text: a text that another image has too is used once")
    sha256: str = column(pa.string(), "of what the draw depends on")
    reserved_sha256: str = column(pa.string(), "the same where prompts are reserved by their real image")


#: What a generator may draw: a prompt, or the place of one that was removed.
Place: TypeAlias = Prompt | RemovedPrompt


def content_of(prompt: Prompt, reserved: bool) -> str:
    """The sha256 of what of a prompt decides which generators get it, and when; `reserved`: where prompts are reserved
    by their real image."""
    return content_sha256(
        prompt.prompt_id, prompt.prompt, prompt.weight, (prompt.real_sha256 or "") if reserved else None
    )


def content_sha256(prompt_id: str, prompt: str, weight: float | None, image: str | None) -> str:
    """The same of these values; `image`: None where prompts are not reserved by their real image."""
    parts = [prompt_id, prompt]
    if weight is not None:
        parts.append(f"weight {weight!r}")
    if image is not None:
        parts.append(image)
    return hashlib.sha256("".join(f"{part}\x00" for part in parts).encode()).hexdigest()


def text_of(place: Place) -> str:
    """The sha256 of a text."""
    return place.text_sha256 if isinstance(place, RemovedPrompt) else hashlib.sha256(place.prompt.encode()).hexdigest()


def separated(
    prompts: Iterable[Prompt], removals: Removals, former: Sequence[RemovedPrompt] = ()
) -> tuple[list[Prompt], list[RemovedPrompt]]:
    """The prompts of a part whose real images were not removed, and the places of the others, in order; `former` are
    those that it has already."""
    kept: list[Prompt] = []
    removed: list[RemovedPrompt] = []
    for row, place in enumerate(in_order(list(prompts), former)):
        if isinstance(place, RemovedPrompt):
            removed.append(place)
        elif place.real_sha256 is None or removals.real_image(place.real_sha256, place.license) is None:
            kept.append(place)
        else:
            removed.append(_removed(place, row))
    return kept, removed


def removed_path(part: Path) -> Path:
    """The file with the removed prompts of a part: removed-00000.parquet."""
    return part.with_name(f"removed-{part_number(part):05d}.parquet")


def read_removed(part: Path) -> list[RemovedPrompt]:
    """The removed prompts of a part; none where there is no such file. Raises `DamagedFileError`."""
    path = removed_path(part)
    return records.read(path, RemovedPrompt) if path.exists() else []


def write_removed(part: Path, removed: Sequence[RemovedPrompt]) -> None:
    """Write the removed prompts of a part; before the part, as what is in both is not removed yet."""
    if removed:
        records.write(removed_path(part), RemovedPrompt, removed)
    else:
        removed_path(part).unlink(missing_ok=True)


def in_order(prompts: Sequence[Prompt], removed: Sequence[RemovedPrompt]) -> list[Place]:
    """The prompts of a part with the removed ones where they were."""
    if not removed:
        return list(prompts)
    there = {content_of(prompt, reserved=True) for prompt in prompts}
    places: dict[int, Place] = {one.row: one for one in removed if one.reserved_sha256 not in there}
    rest = iter(prompts)
    return [
        place if (place := places.get(row)) is not None else next(rest) for row in range(len(places) + len(prompts))
    ]


def _removed(prompt: Prompt, row: int) -> RemovedPrompt:
    assert prompt.real_sha256 is not None
    return RemovedPrompt(
        row=row,
        prompt_id=removed_prompt_id(prompt.prompt_id),
        key=real_key(prompt.real_sha256),
        real_source=prompt.real_source,
        weight=prompt.weight,
        round=prompt.round,
        place=reserved_place(prompt.real_sha256),
        text_sha256=text_of(prompt),
        sha256=content_of(prompt, reserved=False),
        reserved_sha256=content_of(prompt, reserved=True),
    )
