"""The rows of the shards of a published dataset: read in a process with limits, as columns."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from detectors.data.sources.shard_process import PROMPT_KEY
from workspace.containers import HUB, open_file
from workspace.hub_access import HubAccess
from workspace.limited.process import NO_SENSE, NONSENSE, LimitedProcess, LimitError, Limits, LostError
from workspace.locator import hub_errors

#: What one answer may take: the rows of some row groups, without images.
_LIMITS = Limits(processor=60, clock=600, memory=3 << 30, answer=1 << 30)
#: Rows of one answer, about.
_ROWS = 20_000
#: The column of the number of a row's row group.
ROW_GROUP = "row_group"
#: Row groups of a file, and rows of one, at most.
_MOST = 1 << 31


class ShardReader:
    """A process that reads one shard after the other; a context manager that ends it."""

    def __init__(self, hub: HubAccess = HubAccess(), within: Path | None = None) -> None:
        """`hub`: the Hub of paths that begin with hf://. Others must be in the folder `within` (None: anywhere)."""
        self._hub, self._within = hub, within
        self._process: LimitedProcess | None = None

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.close()

    def columns(self, path: str) -> dict[str, str]:
        """The columns of a file, with Arrow's names of their types. Raises `OSError`, `HubError`."""
        for found, _ in self._opened(path, ()):
            return found
        raise AssertionError

    def rows(self, path: str, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of a file, in the order of its rows, whole row groups at a time: texts as dictionaries, numbers
        as float64, `PROMPT_KEY` as uint64, and `ROW_GROUP` besides. Raises `HubError`, and `OSError` where the file
        cannot be read or has no such column."""
        for _, tables in self._opened(path, names):
            yield from tables

    def _opened(self, path: str, names: Sequence[str]) -> Iterator[tuple[dict[str, str], Iterator[pa.Table]]]:
        remote = path.startswith(HUB)
        with hub_errors(path), open_file(path, self._hub, self._within) as file:

            def read_at(offset: int, length: int) -> bytes:
                file.seek(max(0, offset))
                return file.read(length)

            def ask(message: dict[str, Any], files: Sequence[int] = ()) -> tuple[dict[str, Any], bytes]:
                if self._process is None or not self._process.usable:
                    self._process = LimitedProcess("detectors.data.sources.shard_process", _LIMITS)
                try:
                    answer, body = self._process.ask(message, files=files, read=read_at)
                except (LostError, LimitError) as error:
                    raise OSError(5, f"the process that reads it {error}", path) from error
                if "damaged" in answer:
                    raise OSError(5, f"not a whole Parquet file: {str(answer['damaged'])[:200]}", path)
                return answer, body

            size = file.seek(0, os.SEEK_END) if remote else None
            described, _ = ask({"size": size}, () if remote else (file.fileno(),))
            try:
                columns = {str(name): str(kind) for name, kind in described["columns"].items()}
                groups = [int(rows) for rows in described["groups"]]
                if len(groups) > _MOST or any(not 0 <= rows < _MOST for rows in groups):
                    raise ValueError
            except NONSENSE as error:
                raise OSError(5, f"the process that reads it {NO_SENSE}", path) from error

            def tables() -> Iterator[pa.Table]:
                for first, end in _batches(groups):
                    answer, body = ask({"groups": [first, end], "names": list(names)})
                    try:
                        table = _table(answer, body, names, sum(groups[first:end]))
                    except (*NONSENSE, pa.ArrowException) as error:
                        raise OSError(5, f"the process that reads it {NO_SENSE}", path) from error
                    numbers = np.repeat(np.arange(first, end), groups[first:end])
                    yield table.append_column(ROW_GROUP, pa.array(numbers, pa.int32()))

            yield columns, tables()


def _batches(groups: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Row groups that are read together."""
    first = rows = 0
    for number, count in enumerate(groups):
        if rows and rows + count > _ROWS:
            yield first, number
            first, rows = number, 0
        rows += count
    if first < len(groups):
        yield first, len(groups)


def _table(answer: dict[str, Any], body: bytes, names: Sequence[str], rows: int) -> pa.Table:
    """What a process answered, which may be wrong in any way."""
    arrays, at = [], 0
    for name in names:
        values = answer["columns"][name]
        kind = np.dtype(np.int32 if values is not None else np.uint64 if name == PROMPT_KEY else np.float64)
        numbers: npt.NDArray[Any] = np.frombuffer(body, kind, rows, at)
        at += rows * kind.itemsize
        if values is not None:
            texts = pa.array(values, pa.string())
            if texts.null_count or (len(numbers) and not -1 <= numbers.min() <= numbers.max() < len(texts)):
                raise ValueError
            codes = pa.array(numbers, mask=numbers < 0)
            arrays.append(pa.DictionaryArray.from_arrays(codes, texts))
        elif name == PROMPT_KEY:
            arrays.append(pa.array(numbers, mask=numbers == 0))
        else:
            arrays.append(pa.array(numbers, mask=np.isnan(numbers)))
    if at != len(body):
        raise ValueError
    return pa.table(dict(zip(names, arrays, strict=True)))
