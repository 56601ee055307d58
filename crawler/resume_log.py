"""The resume log: rows that a crawl has finished, kept until the catalogue is written.

Each row is one line of JSON, appended when it is finished, in the folder `.crawl` of the workspace. A crawl that was
killed reads them and sends no request twice; an incomplete last line is skipped. The log of another version of the
record is not read.
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
from workspace.atomic import errors_naming
from workspace.layout import Workspace

# Part of the file name, so that rows of another schema are not read.
_SCHEMA = hashlib.sha256(str(records.schema(CatalogEntry)).encode()).hexdigest()


class ResumeLog:
    """The finished rows of one crawl of a workspace. `add` may be called from any thread."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.crawl
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
            with errors_naming(self._path):
                self._file.close()

    def read(self) -> list[CatalogEntry]:
        """The rows of an interrupted crawl; of several rows of one model, the last."""
        rows: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            for line in self._path.read_bytes().split(b"\n"):
                try:
                    row = json.loads(line)
                    rows[row["model_name"]] = row
                except (ValueError, TypeError, KeyError):
                    continue  # incomplete: the crawl was killed
        table = pa.Table.from_pylist(list(rows.values()), schema=records.schema(CatalogEntry))
        return records.from_table(CatalogEntry, table)

    def add(self, entry: CatalogEntry) -> None:
        """Append a finished row."""
        line = json.dumps(dataclasses.asdict(entry), ensure_ascii=True)
        with self._lock:
            if self._file is None:
                raise ValueError("the resume log is not open")
            with errors_naming(self._path):
                self._file.write(f"{line}\n")
                self._file.flush()

    def remove(self) -> None:
        """Delete the log, after the catalogue is written."""
        shutil.rmtree(self._folder, ignore_errors=True)
