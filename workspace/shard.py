"""A share of the work: `3/16` is the third of sixteen, counted from 1, as test runners and job arrays count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from workspace.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` shares, 1 <= index <= count."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `INDEX/COUNT`; raises `UsageError` for anything else."""
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
        if match is None:
            raise UsageError(f"--shard {text!r} is not of the form INDEX/COUNT, such as 3/16 (the third of sixteen)")
        index, count = int(match[1]), int(match[2])
        if count < 1 or not 1 <= index <= count:
            raise UsageError(f"--shard {text!r}: shards are counted from 1, so INDEX must be in 1..{max(count, 1)}")
        return cls(index, count)

    def of(self, items: Sequence[T]) -> list[T]:
        """This shard's share of `items`: every `count`-th one. Each item is in exactly one share."""
        return list(items[self.index - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
