"""What was taken out of a workspace with `cf-remove`, so that no later run makes it again: `removed.parquet`.

A tombstone has no name: its `key` is a hash, which a stage compares with the hash of what it is about to make. Where
other rows named a removed generator, as the base model of theirs or a holdout of the recipe, they have a pseudonym
instead, `removed/` and the beginning of the hash: so they are still known to have one ancestor in common.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

import pyarrow as pa

from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.records import column
from workspace.removal_reasons import Reason

V = TypeVar("V")

What = Literal["generator", "real-image", "real-licence"]

#: Licence of `--license` for real images whose licence is unknown.
NO_LICENCE = "none"

_DIGITS = 16
_PSEUDONYM = re.compile(rf"removed/[0-9a-f]{{{_DIGITS}}}")
#: How the id of a prompt begins whose real image was removed: names of real sources have no colon.
REMOVED_PROMPT = "removed:"
#: A path or a name of a repository, among other text.
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)
#: What may follow a name in the name of a file: org--name.json.
_SUFFIX = re.compile(r"\.(?:json|jsonl|stderr|log|txt)\Z")


@dataclass(frozen=True, kw_only=True)
class Removed:
    """One tombstone."""

    what: What = column(pa.string(), "generator | real-image | real-licence: all real images of a licence")
    key: str = column(
        pa.string(),
        "sha256 of what was removed (workspace/removed.py), lower-case hexadecimal; of a real-licence the licence "
        "itself, or a pattern of it, in lower case",
    )
    reason: Reason = column(
        pa.string(), "licence | author-request | illegal-content | copyright | privacy | quality | other"
    )
    note: str | None = column(pa.string(), "words of who removed it; null: none", default=None)
    day: str = column(pa.string(), "UTC, ISO 8601")
    with_generated: bool = column(
        pa.bool_(), "of real images: whether the images generated from their captions were removed too", default=False
    )

    @property
    def why(self) -> str:
        """The reason and the day, for messages."""
        return f"{self.reason}, {self.day}"


class Removals:
    """The tombstones of a workspace."""

    def __init__(self, rows: Iterable[Removed] = ()) -> None:
        self._rows: dict[tuple[What, str], Removed] = {}
        for row in rows:  # of several for one thing the first counts, and what one of them takes out goes
            first = self._rows.setdefault((row.what, row.key), row)
            self._rows[row.what, row.key] = replace(first, with_generated=first.with_generated or row.with_generated)
        self._generators = {row.key for row in self.rows if row.what == "generator"}
        self._licences = [row for row in self.rows if row.what == "real-licence"]
        self._pseudonyms: dict[str, str | None] = {}

    @property
    def rows(self) -> list[Removed]:
        """All of them, in one order."""
        return [self._rows[place] for place in sorted(self._rows)]

    def united(self, others: Iterable[Removed]) -> "Removals":
        """These, and those of `others` that are not among them."""
        return Removals([*self.rows, *others])

    def require_current(self, workspace: Workspace) -> None:
        """Raise `CommunityForensicsError` where something was removed from the workspace since these were read."""
        if read_removals(workspace).rows != self.rows:
            raise CommunityForensicsError(
                f"something was removed from {workspace.root} meanwhile (`cf-remove`): run the same command again"
            )

    def counts(self) -> Counter[tuple[What, Reason]]:
        """How many generators (or revisions of one) and real images were removed, by reason."""
        return Counter((row.what, row.reason) for row in self.rows if row.what != "real-licence")

    def generator(self, model_name: str, revision: str | None = None) -> Removed | None:
        """The tombstone of a generator, or of that revision of it; None: it was not removed."""
        if not self._generators:
            return None
        keys = [generator_key(model_name), *([generator_key(model_name, revision)] if revision else [])]
        return next((self._rows["generator", key] for key in keys if key in self._generators), None)

    def real_image(self, sha256: str | None, licence: str | None) -> Removed | None:
        """The tombstone of a real image, by its sha256 or by its licence; None: it was not removed."""
        if sha256 is None or not self._rows:
            return None
        found = self._rows.get(("real-image", real_key(sha256)))
        if found is None:
            found = next((row for row in self._licences if matches_licence(licence, row.key)), None)
        return found

    def takes_generated(self, key: str) -> bool:
        """Whether the images that were generated from the captions of a real image were removed with it."""
        row = self._rows.get(("real-image", key))
        return row is not None and row.with_generated

    def hidden(self, text: str) -> str:
        """A text with the pseudonyms of removed generators in place of their names."""
        return _PATH.sub(self._hide, text) if self._generators else text

    def hidden_values(self, value: V) -> V:
        """A setting of a recipe, or a table of settings, with the pseudonyms of removed generators."""
        hidden: Any = value
        if isinstance(value, str):
            hidden = self.hidden(value)
        elif isinstance(value, list):
            hidden = [self.hidden_values(item) for item in value]
        elif isinstance(value, dict):
            hidden = {self.hidden(name): self.hidden_values(item) for name, item in value.items()}
        result: V = hidden
        return result

    def _hide(self, match: re.Match[str]) -> str:
        segments, found = match[0].split("/"), []
        while segments:
            # A name at the end of a sentence has its full stop.
            last = len(segments) > 1 and segments[1].rstrip(".-")
            if last and (pseudonym := self._pseudonym(f"{segments[0]}/{last}")) is not None:
                found.append(pseudonym + segments[1][len(last) :])
                del segments[:2]
            else:
                found.append(self._hide_segment(segments.pop(0)))
        return "/".join(found)

    def _hide_segment(self, segment: str) -> str:
        suffix = _SUFFIX.search(segment)
        name = segment[: suffix.start()] if suffix else segment
        for one in dict.fromkeys((name, name.rstrip(".-"))):
            if (pseudonym := self._pseudonym(one.replace("--", "/"))) is not None:
                shown = pseudonym.replace("/", "--") if "--" in one else pseudonym
                return shown + segment[len(one) :]
        return segment

    def _pseudonym(self, name: str) -> str | None:
        if name not in self._pseudonyms:
            key = generator_key(name)
            self._pseudonyms[name] = pseudonym_of(key) if key in self._generators else None
        return self._pseudonyms[name]


def read_removals(workspace: Workspace) -> Removals:
    """The tombstones of a workspace; none where nothing was removed. Raises `UsageError` for a damaged file."""
    if not workspace.removed.exists():
        return Removals()
    return Removals(records.read(workspace.removed, Removed))


def write_removals(workspace: Workspace, removals: Removals) -> None:
    """Write the tombstones; the same ones give the same bytes."""
    records.write(workspace.removed, Removed, removals.rows)


def generator_key(model_name: str, revision: str | None = None) -> str:
    """The key of a generator, or of one revision of it (the whole commit)."""
    return _key("generator", model_name, *([revision] if revision else []))


def real_key(sha256: str) -> str:
    """The key of the real image with this sha256."""
    return _key("real image", sha256)


def pseudonym_of(key: str) -> str:
    """What stands in place of the name of a removed generator."""
    return f"removed/{key[:_DIGITS]}"


def is_pseudonym(name: str) -> bool:
    """Whether a name is one of a removed generator."""
    return _PSEUDONYM.fullmatch(name) is not None


def removed_prompt_id(prompt_id: str) -> str:
    """What stands in place of the id of a prompt whose real image was removed."""
    return f"{REMOVED_PROMPT}{_key('prompt', prompt_id)[:_DIGITS]}"


def matches_licence(licence: str | None, pattern: str) -> bool:
    """Whether a licence is the named one, or fits the shell pattern, in whatever case."""
    return fnmatchcase((licence or NO_LICENCE).lower(), pattern.lower())


def _key(*parts: str) -> str:
    return hashlib.sha256("\x00".join(("community-forensics removed", *parts)).encode()).hexdigest()
