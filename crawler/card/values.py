"""What a name in a snippet stands for: a literal, a pipeline, a scheduler, a file of the repository, or an unknown."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.card.call_fields import MAX_SCALE
from crawler.text import Plain


class Unknown:
    """A value that cannot be followed."""


UNKNOWN = Unknown()
#: Keys of a dictionary at most: updates copy it.
MAX_KEYS = 200
#: Size of a value at most, as `size_of` counts it.
MAX_SIZE = 2000


@dataclass(frozen=True)
class ClassName:
    """A class of diffusers, by its name; empty: the class that the scheduler has anyway."""

    name: str


@dataclass(frozen=True)
class Scheduler:
    """A scheduler with the keyword arguments that the author gave it; without a class: that of the repository."""

    class_name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Whether its other settings are the defaults of its class, because its constructor was called.
    constructed: bool = False


@dataclass(frozen=True)
class OwnFile:
    """A file of the card's own repository, or what was loaded from it."""

    path: str | None


@dataclass(frozen=True)
class Adapter:
    """The LoRA of the card's repository, as it is loaded into a pipeline."""

    file: str | None = None
    name: str | None = None
    #: Of set_adapters, and of fuse_lora: a number, unknown, or None where they were not called.
    weight: Any = None
    fused: Any = None

    def scale(self, of_call: Any) -> Any:
        """The scale in effect, where the call gives `of_call`: a number, unknown, or None."""
        given = [value for value in (self.weight, self.fused, of_call) if value is not None]
        if any(value is UNKNOWN or not -MAX_SCALE <= value <= MAX_SCALE for value in given):
            return UNKNOWN
        return float(math.prod(given)) if given else None


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that a snippet loads or makes."""

    class_name: str = ""
    #: Whether it is loaded from the card's repository, or with its adapter.
    own: bool = False
    #: The repository of another model that it is loaded from.
    source: str | None = None
    #: None: the scheduler of its repository.
    scheduler: Scheduler | Unknown | None = None
    adapter: Adapter | None = None

    @property
    def foreign(self) -> bool:
        """Whether it is loaded from the repository of another model, without anything of the card's."""
        return self.source is not None and not self.own


_MISSING = object()


class Names:
    """The values of names; changes inside a branch are recorded, so that they can be undone or merged."""

    def __init__(self, count: Callable[[int], None]) -> None:
        """`count` is told how much work is done, and raises an error when it is too much."""
        self._count = count
        self._values: dict[str, Any] = {}
        self._changes: list[dict[str, Any]] = [{}]

    def __getitem__(self, name: str) -> Any:
        """The value of a name; unknown where it has none."""
        return self._values.get(name, UNKNOWN)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __setitem__(self, name: str, value: Any) -> None:
        self._changes[-1].setdefault(name, self._values.get(name, _MISSING))
        self._values[name] = value

    def values(self) -> list[Any]:
        """The values of all names."""
        return list(self._values.values())

    @contextmanager
    def branch(self) -> Iterator[dict[str, Any]]:
        """Record changes: each changed name with its value at the end of the block, at which all are undone."""
        ended: dict[str, Any] = {}
        self._changes.append({})
        try:
            yield ended
        finally:
            changes = self._changes.pop()
            for name, before in changes.items():
                ended[name] = self._values[name]
                self._values[name] = before
                if before is _MISSING:
                    del self._values[name]

    def merge(self, one: Mapping[str, Any], other: Mapping[str, Any], both: bool) -> None:
        """Go on after two branches, with what each has changed. `both`: the second one is written, too."""
        for name in {**one, **other}:
            before = self._values.get(name, _MISSING)
            first, second = one.get(name, before), other.get(name, before)
            self._count(1 if first is second else 1 + size_of(first) // 16)
            if _MISSING in (first, second) and not both:
                # A name that only this branch has is used where the branch was taken.
                self[name] = second if first is _MISSING else first
            else:
                self[name] = _merged(first, second)


def _merged(one: Any, other: Any) -> Any:
    """The value after one of two branches: unknown where they differ."""
    pair = [value for value in (one, other) if isinstance(value, Pipeline)]
    if len(pair) == 2 and one != other:
        return replace(
            one,
            class_name=one.class_name if one.class_name == other.class_name else "",
            own=one.own or other.own,
            source=one.source if one.source == other.source else None,
            scheduler=one.scheduler if one.scheduler == other.scheduler else UNKNOWN,
            adapter=one.adapter if one.adapter == other.adapter else _merged_adapter(one.adapter, other.adapter),
        )
    if len(pair) == 1 and None in (one, other):
        return pair[0]
    return one if type(one) is type(other) and one == other else UNKNOWN


def _merged_adapter(one: Adapter | None, other: Adapter | None) -> Adapter:
    found = one or other or Adapter()
    return replace(found, weight=UNKNOWN) if one is not None and other is not None else found


def size_of(value: Any) -> int:
    """How long it takes to compare or copy a value: the number of the values in it, and 64 characters count as one.

    A value can be in another many times, so that a few lines make more than can be counted: what is beyond `MAX_SIZE`
    is not.
    """
    size, left = 0, [value]
    while left and size <= MAX_SIZE:
        part = left.pop()
        size += 1
        if isinstance(part, str):
            size += len(part) // 64
        elif isinstance(part, list):
            left += part[: MAX_SIZE + 1]
        elif isinstance(part, dict):
            left += [*part, *part.values()]
        elif isinstance(part, Scheduler):
            left.append(part.settings)
        elif isinstance(part, Pipeline):
            left.append(part.scheduler)
    return size


def is_scalar(value: Any) -> bool:
    """Whether a value is a text, a truth value or a finite number."""
    return isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def is_plain(value: Any) -> bool:
    """Whether a value is a literal that JSON can have as an argument: a scalar, None, or a list of scalars."""
    return value is None or isinstance(value, list) or is_scalar(value)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return is_scalar(value) and not isinstance(value, bool | str)


def plain(values: Mapping[str, Any]) -> dict[str, Plain]:
    """Those that are literals."""
    return {name: value for name, value in values.items() if is_plain(value)}
