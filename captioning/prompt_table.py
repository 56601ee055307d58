"""All prompts of a workspace as one Arrow table, of which single rows become objects.

A generator draws a few hundred of perhaps half a million prompts, and sees of each the text and what it depends on. As
objects all of them take 0.7 GB in every process; as a table a tenth of that, and where several processes of a node map
one file (`saved`, `mapped`) they share even this.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa

from captioning.prompt import Prompt, prompt_parts, read_part, read_part_columns
from captioning.removed_prompts import Place, RemovedPrompt, in_order, read_removed
from workspace import records
from workspace.layout import Workspace

#: What is kept of a prompt; of a removed one text and image are null.
_COLUMNS = ("prompt_id", "prompt", "weight", "round", "real_source", "real_sha256")
_SCHEMA = pa.schema([records.schema(Prompt).field(name).with_nullable(True) for name in _COLUMNS])
#: Key of the removed prompts in the metadata of a saved table.
_REMOVED = b"removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptText:
    """A prompt as a generator draws it; the fields are those of `Prompt`."""

    prompt_id: str
    prompt: str
    weight: float | None
    real_source: str
    real_sha256: str | None


class PromptRow(NamedTuple):
    """A row of the table; of a removed prompt `prompt` is None."""

    prompt_id: str
    prompt: str | None
    weight: float | None
    round: int
    real_source: str
    real_sha256: str | None


class PromptTable:
    """All prompts, and the places of removed ones, in the order in which they were captioned."""

    def __init__(
        self,
        table: pa.Table,
        removed: Mapping[int, RemovedPrompt],
        lacking: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """`table` has the columns of `PromptRow`, `removed` the removed prompts by their row; `lacking`: sources whose
        prompts a former version wrote, with the columns that these lack."""
        self._table, self.removed, self._lacking = table.select(_COLUMNS), removed, lacking
        self._columns = self._table.columns

    @classmethod
    def of(cls, prompts: Iterable[Place]) -> "PromptTable":
        """These prompts."""
        places = list(prompts)
        columns = [pa.array([getattr(one, field.name, None) for one in places], field.type) for field in _SCHEMA]
        removed = {row: one for row, one in enumerate(places) if isinstance(one, RemovedPrompt)}
        return cls(pa.Table.from_arrays(columns, schema=_SCHEMA), removed)

    @classmethod
    def read(cls, workspace: Workspace) -> "PromptTable":
        """Those of the workspace, part by part; none before captioning. Raises `UsageError` when another version wrote
        them, or they are damaged."""
        tables: list[pa.Table] = []
        removed: dict[int, RemovedPrompt] = {}
        lacking: dict[str, Sequence[str]] = {}
        rows = 0
        for part in prompt_parts(workspace):
            if gone := read_removed(part):
                one = cls.of(in_order(read_part(part), gone))
                removed |= {rows + row: each for row, each in one.removed.items()}
                tables.append(one._table)
            else:
                columns = read_part_columns(part, _COLUMNS)
                tables.append(columns.table.cast(_SCHEMA))
                if columns.lacking:
                    lacking[part.parent.name] = columns.lacking
            rows += tables[-1].num_rows
        return cls(pa.concat_tables(tables or [_SCHEMA.empty_table()]), removed, lacking)

    @classmethod
    def mapped(cls, path: Path) -> "PromptTable":
        """One that was saved, without reading it into memory."""
        with pa.ipc.open_file(pa.memory_map(str(path))) as file:
            table = file.read_all()
        places: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_REMOVED, b"{}"))
        return cls(table, {int(row): RemovedPrompt(**values) for row, values in places.items()})

    @property
    def former_version(self) -> str | None:
        """In one line, of which sources a former version wrote the prompts, and what that means; None: of none."""
        if not self._lacking:
            return None
        columns = sorted({name for names in self._lacking.values() for name in names})
        return (
            f"prompts of {', '.join(sorted(self._lacking))} were written by a former version, without the columns "
            f"{', '.join(columns)}: they are sampled as they were then (each with weight 1, all in round 1); "
            "`cf-caption` and `cf-build-manifest` refuse them"
        )

    def saved(self, path: Path) -> None:
        """Write it for `mapped`, uncompressed; for processes of this run, so not atomically."""
        places = {row: dataclasses.asdict(one) for row, one in self.removed.items()}
        table = self._table.replace_schema_metadata({_REMOVED: json.dumps(places).encode()})
        with pa.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, row: int) -> PromptText | RemovedPrompt:
        removed = self.removed.get(row)
        if removed is not None:
            return removed
        values = dict(zip(_COLUMNS, (column[row].as_py() for column in self._columns), strict=True))
        del values["round"]
        return PromptText(**values)

    def rows(self) -> Iterator[PromptRow]:
        """All rows, a batch of them in memory at a time."""
        for batch in self._table.to_batches(max_chunksize=10_000):
            yield from map(PromptRow._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))
