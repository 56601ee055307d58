"""Small datasets as sources: rows given as columns, and the bytes of their images where a test needs them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from detectors.data.index import Index
from detectors.data.sources.source import GeneratorFacts

REAL, FAKE = 0, 1


def hashed(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass
class MemorySource:
    """A source whose rows are in memory."""

    rows: Sequence[Mapping[str, Any]]
    name: str = "world"
    facts: Mapping[str, GeneratorFacts] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = dict.fromkeys(name for row in self.rows for name in row)
        columns = {name: [row.get(name) for row in self.rows] for name in names}
        if "prompt_key" in columns:
            columns["prompt_key"] = pa.array(columns["prompt_key"], pa.uint64())
        yield pa.RecordBatch.from_pydict(columns)

    def generators(self) -> Mapping[str, GeneratorFacts]:
        return self.facts

    def notes(self) -> Iterator[str]:
        yield from ()

    def read(self, locator: str) -> bytes:
        if locator not in self.files:
            raise FileNotFoundError(2, "no such file", locator)
        return self.files[locator]


def generated(generator: str, number: object, real: str | None = None, prompt: int | None = None, **more: Any) -> Any:
    """A generated image; `real`: sha256 of the real image whose caption was its prompt."""
    sha256 = hashed(generator, number)
    columns = {"sha256": sha256, "label": FAKE, "generator": generator, "real_sha256": real, "prompt_key": prompt}
    return {**columns, "width": 64, "height": 64, "locator": sha256, **more}


def real(number: object, prompt: int | None = None, **more: Any) -> Any:
    """A real image."""
    sha256 = hashed("real", number)
    columns = {"sha256": sha256, "label": REAL, "real_sha256": sha256, "prompt_key": prompt, "architecture": "real"}
    return {**columns, "width": 64, "height": 64, "locator": sha256, **more}


def index_of(*sources: MemorySource) -> Index:
    return Index.of(sources)
