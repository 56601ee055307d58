"""The manifest's rows for the report: asked by queries, in bounded memory, however many there are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from manifests.database import database, parquet_view
from manifests.manifest import existing_manifest
from workspace.layout import Workspace


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
    path = existing_manifest(workspace)
    with database(workspace) as connection:
        parquet_view(connection, "manifest", [path])
        yield Rows(connection)
