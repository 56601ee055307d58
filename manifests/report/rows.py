"""The manifest's rows for the report: asked by queries, in bounded memory, however many there are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from manifests.joining import parquet_view
from manifests.manifest import manifest_path
from manifests.scratch import scratch_folder
from workspace.errors import UsageError
from workspace.layout import Workspace

#: What DuckDB may hold; beyond it, it spills into the manifest's folder.
_MEMORY = "512MB"


@dataclass(frozen=True)
class Rows:
    """The manifest as the view `manifest` of a connection."""

    connection: duckdb.DuckDBPyConnection

    def ask(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The answer's rows, by column name."""
        answer = self.connection.execute(query, list(parameters))
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def counts(self, query: str) -> dict[str, int]:
        """The answer to a query for names and how many."""
        return dict(self.connection.execute(query).fetchall())


@contextmanager
def opened_rows(workspace: Workspace) -> Iterator[Rows]:
    """The manifest's rows; raises `UsageError` when there is no manifest yet."""
    path = manifest_path(workspace)
    if not path.exists():
        raise UsageError(f"{path} does not exist: run `cf-build-manifest` first")
    with scratch_folder(workspace.manifest / ".spill") as spill, duckdb.connect() as connection:
        connection.execute("SET memory_limit = ?", [_MEMORY])
        connection.execute("SET temp_directory = ?", [str(spill)])
        connection.execute("SET enable_progress_bar = false")
        parquet_view(connection, "manifest", [path])
        yield Rows(connection)
