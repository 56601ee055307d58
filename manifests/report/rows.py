"""Queries of the report over the manifest's rows, in bounded memory for any number of rows."""

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

    def query(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of the result, by column name."""
        result = self.connection.execute(query, list(parameters))
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def counts(self, query: str) -> dict[str, int]:
        """The result of a query for names and numbers."""
        return dict(self.connection.execute(query).fetchall())


@contextmanager
def opened_rows(workspace: Workspace) -> Iterator[Rows]:
    """The manifest's rows; raises `UsageError` when there is no manifest of this version."""
    path = existing_manifest(workspace)
    with database(workspace) as connection:
        parquet_view(connection, "manifest", [path])
        yield Rows(connection)
