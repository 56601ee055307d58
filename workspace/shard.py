"""A share of the work: `3/16` is the third of sixteen, counted from 1, as test runners and job arrays count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from workspace.batch_system import place_of_process
from workspace.errors import UsageError

T = TypeVar("T")

_FORM = re.compile(r"(?:([0-9]{1,9})/([0-9]{1,9}):)?([0-9]{1,9})/([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` shares, 1 <= index <= count; of all, or of another share."""

    index: int
    count: int
    within: "Shard | None" = None
    """The share that it is a share of, as of a node with several devices; None: of all."""

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `INDEX/COUNT`; `auto` is what the batch system tells, and `3/16:2/8` the second eighth of the third
        sixteenth. Raises `UsageError` for anything else."""
        if text == "auto":
            place = place_of_process()
            return cls(place.number + 1, place.count)
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(
                f"--shard {text!r} is not of the form INDEX/COUNT, such as 3/16 (the third of sixteen), and not auto"
            )
        outer, inner = ((int(match[first]), int(match[first + 1])) if match[first] else None for first in (1, 3))
        assert inner is not None
        for index, count in filter(None, (outer, inner)):
            if count < 1 or not 1 <= index <= count:
                raise UsageError(f"--shard {text!r}: shards are counted from 1, so INDEX must be in 1..{max(count, 1)}")
        return cls(*inner, within=cls(*outer) if outer else None)

    def part(self, index: int, count: int) -> "Shard":
        """A share of this share; itself where there is one only."""
        return self if count == 1 else Shard(index, count, within=self)

    def of(self, items: Sequence[T]) -> list[T]:
        """This shard's share of `items`: every `count`-th one. Each item is in exactly one share."""
        return list((items if self.within is None else self.within.of(items))[self.index - 1 :: self.count])

    def __str__(self) -> str:
        own = f"{self.index}/{self.count}"
        return own if self.within is None else f"{self.within}:{own}"
