"""The changelog of a dataset: its versions, each a tag on the Hub, with what each one added and removed.

It is a file beside the shards, `metadata/changelog.json`, from which the card's section is written. Beside the versions
it has what the last one contained (images by generator and by real source) and with which settings, because the next
version is compared with that: no former file has to be read again. Images are counted by generator and source, so one
that was made again in another way counts neither as added nor as removed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar, get_origin, get_type_hints

import duckdb

from manifests.choices import read_choices
from manifests.manifest import FAKE, REAL, manifest_path
from manifests.report.about import latest_settings
from workspace.layout import Workspace
from workspace.printable import in_line

CHANGELOG_FILE = "metadata/changelog.json"

T = TypeVar("T")

#: What the recipe counts of the prompts, by source: no setting of anybody.
_COUNTED = re.compile("caption: (former_)?parts: ")

_HASH = re.compile(r"(sha256:)?[0-9a-f]{64}")

#: Characters of a changed setting's value that are shown.
_VALUE = 60

_IMAGES = f"""
SELECT generator, count(*) FROM published WHERE label = {FAKE} GROUP BY ALL ORDER BY ALL
"""
_REAL_IMAGES = f"""
SELECT real_source, count(DISTINCT sha256) FROM published WHERE label = {REAL} GROUP BY ALL ORDER BY 1
"""


@dataclass(frozen=True)
class Contents:
    """What a version contains: images by generator, real images by source, and the settings with which both were made,
    by name."""

    generated: Mapping[str, int] = field(default_factory=dict)
    real: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """How many there are in a version, and how many more and fewer than in the one before."""

    number: int
    added: int
    removed: int

    def __str__(self) -> str:
        parts = [f"+{self.added}" if self.added else "", f"\N{MINUS SIGN}{self.removed}" if self.removed else ""]
        changed = ", ".join(filter(None, parts))
        return f"{self.number} ({changed})" if changed else str(self.number)


@dataclass(frozen=True)
class Version:
    """One version: its tag, the rounds that it contains, and what it changed."""

    tag: str
    rounds: int
    generators: Change
    generated: Change
    real: Change
    settings: tuple[str, ...]
    """What changed of the settings, each in words."""
    withdrawn: bool = False
    """Whether its tag was removed."""


@dataclass(frozen=True)
class Changelog:
    """All versions, the latest last, and what the latest contains."""

    versions: tuple[Version, ...] = ()
    contents: Contents = Contents()

    @property
    def tags(self) -> list[str]:
        """The tags of all versions."""
        return [version.tag for version in self.versions]

    def with_version(self, tag: str, rounds: int, contents: Contents) -> "Changelog":
        """The changelog with one more version, which takes the place of a former one of the same tag."""
        before, now = self.contents, contents
        version = Version(
            tag=tag,
            rounds=rounds,
            generators=_change(dict.fromkeys(before.generated, 1), dict.fromkeys(now.generated, 1)),
            generated=_change(before.generated, now.generated),
            real=_change(before.real, now.real),
            settings=tuple(_changed(before.settings, now.settings)) if self.versions else (),
        )
        return Changelog((*(former for former in self.versions if former.tag != tag), version), contents)

    def without_tags(self, tags: Iterable[str]) -> "Changelog":
        """The changelog after these tags were removed."""
        gone = frozenset(tags)
        versions = (replace(version, withdrawn=version.withdrawn or version.tag in gone) for version in self.versions)
        return Changelog(tuple(versions), self.contents)

    def content(self) -> bytes:
        """The file's content."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def parse_changelog(content: bytes) -> Changelog:
    """Read the file's content; raises `ValueError` for one that this program did not write."""
    try:
        values = json.loads(content)
        contents = values["contents"]
        numbers = {name: _table(contents[name], int) for name in ("generated", "real")}
        versions = tuple(map(_version, values["versions"]))
        return Changelog(versions, Contents(**numbers, settings=_table(contents["settings"], str)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("its values are not those that cf-publish writes") from error


def contents_of(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> Contents:
    """What the manifest has published, with the settings of its rounds and of its build; `connection` is one of
    `published_rows`."""
    generated, real = (dict(connection.execute(query).fetchall()) for query in (_IMAGES, _REAL_IMAGES))
    choices = asdict(read_choices(manifest_path(workspace)))
    rounds = choices.pop("rounds")
    built = {f"build: {name}": _text(value) for name, value in choices.items()}
    sampled = {name: value for name, value in latest_settings(workspace, rounds).items() if not _COUNTED.match(name)}
    return Contents(generated, real, sampled | built)


def _change(before: Mapping[str, int], now: Mapping[str, int]) -> Change:
    more = [now.get(name, 0) - before.get(name, 0) for name in {**before, **now}]
    return Change(sum(now.values()), sum(n for n in more if n > 0), -sum(n for n in more if n < 0))


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Each setting that is another one now, in words. A hash tells a reader nothing."""
    for name in sorted(before.keys() | now.keys()):
        former, value = before.get(name), now.get(name)
        if former == value:
            continue
        if any(text is not None and _HASH.fullmatch(text) for text in (former, value)):
            yield f"{name} changed"
        else:
            yield f"{name} {_shown(value)} (was {_shown(former)})"


def _shown(value: str | None) -> str:
    if value is None:
        return "unset"
    return value if len(value) <= _VALUE else f"{value[:_VALUE]}\N{HORIZONTAL ELLIPSIS}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _version(values: Any) -> Version:
    changes = {name: _of_types(values[name], Change) for name in ("generators", "generated", "real")}
    settings = values["settings"]
    if not isinstance(settings, list) or not all(isinstance(text, str) for text in settings):
        raise TypeError("its settings are no texts")
    return replace(_of_types({**values, **changes, "settings": tuple(settings)}, Version), tag=in_line(values["tag"]))


def _of_types(values: Any, record: type[T]) -> T:
    """A record whose values have the types that it declares; raises `TypeError` for others."""
    made = record(**values)
    for name, declared in get_type_hints(record).items():
        if not isinstance(getattr(made, name), get_origin(declared) or declared):
            raise TypeError(f"{name} has another type")
    return made


def _table(values: Any, kind: type[T]) -> dict[str, T]:
    if not isinstance(values, dict) or not all(isinstance(value, kind) for value in values.values()):
        raise TypeError("it has values of another type")
    return values
