"""What every source of images gives: rows in a fixed order, and the bytes of each image."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from manifests.manifest import FAKE, REAL
from workspace.errors import CommunityForensicsError


@dataclass(frozen=True)
class GeneratorFacts:
    """What is known of a generator: the name of its kin group, and when it first appeared (UTC, ISO 8601)."""

    kin: str | None = None
    created_at: str | None = None


class Source(Protocol):
    """Images of one dataset."""

    @property
    def name(self) -> str:
        """What the column `dataset` says: the same on every machine."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The images in an order that is always the same: columns of `index.IndexRow`, of those that it knows; texts
        may be plain. `sha256`, `label` and `locator` are always there."""

    def generators(self) -> Mapping[str, GeneratorFacts]:
        """What is known of each generator, once `batches` was read to its end; one that is left out is unknown."""

    def notes(self) -> Iterator[str]:
        """What the user must know of how it was read, a line each, once `batches` was read to its end."""

    def read(self, locator: str) -> bytes:
        """An image file, whole. Raises `OSError` for one that is missing, damaged or forbidden. Threads may call it."""


def unreadable(name: str, why: str) -> CommunityForensicsError:
    """The error for a source that cannot be read."""
    return CommunityForensicsError(f"--data {name}: {why}")


def paired_in_order(beside: Sequence[str], labels: Sequence[int], keys: Sequence[str | None]) -> pa.Array:
    """For images that were put together under a name ("": not), the key that a pair is known by: of a real image its
    own, of the n-th generated image under a name that of the n-th real one there; null where there is none."""
    real: dict[str, list[str]] = {}
    found: list[str | None] = [None] * len(keys)
    for place, (name, label, key) in enumerate(zip(beside, labels, keys, strict=True)):
        if label == REAL and key is not None:
            found[place] = key
            if name:
                real.setdefault(name, []).append(key)
    used: Counter[str] = Counter()
    for place, (name, label) in enumerate(zip(beside, labels, strict=True)):
        if label == FAKE and used[name] < len(real.get(name, ())):
            found[place] = real[name][used[name]]
            used[name] += 1
    return pa.array(found, pa.string())
