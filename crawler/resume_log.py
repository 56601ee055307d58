"""The journal: rows that a crawl has finished, kept until the catalogue is written.

One line of JSON a row, appended as it is finished, in a folder of its own beside the catalogue. A crawl that is
killed finds them again and asks the Hub nothing twice; a last line cut off by the kill is passed over. The
journal of another version of the record is of no use and is dropped.
"""

import dataclasses
import hashlib
import json
import shutil
import threading
from types import TracebackType
from typing import Any, Self, TextIO

import pyarrow as pa

from crawler.catalog import CatalogEntry
from workspace import records
from workspace.layout import Workspace

# Rows of another schema must not be read as ours.
_SCHEMA = hashlib.sha256(str(records.schema(CatalogEntry)).encode()).hexdigest()


class ResumeLog:
    """The finished rows of one crawl of a workspace. `add` may be called from any thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.root / ".crawl"
        self._path = self._folder / f"{_SCHEMA[:16]}.jsonl"
        self._file: TextIO | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        cut_off = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        self._file = self._path.open("a", encoding="utf-8")
        if cut_off:
            self._file.write("\n")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def read(self) -> list[CatalogEntry]:
        """The rows of an interrupted crawl; of several of one model the last."""
        rows: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            for line in self._path.read_bytes().split(b"\n"):
                try:
                    row = json.loads(line)
                    rows[row["model_name"]] = row
                except (ValueError, TypeError, KeyError):
                    continue  # cut off by a kill
        table = pa.Table.from_pylist(list(rows.values()), schema=records.schema(CatalogEntry))
        return records.from_table(CatalogEntry, table)

    def add(self, entry: CatalogEntry) -> None:
        """Keep one finished row."""
        line = json.dumps(dataclasses.asdict(entry), ensure_ascii=True)
        with self._lock:
            if self._file is None:
                raise ValueError("the journal is not open")
            self._file.write(f"{line}\n")
            self._file.flush()

    def remove(self) -> None:
        """The catalogue is written: the journal has served."""
        shutil.rmtree(self._folder, ignore_errors=True)
