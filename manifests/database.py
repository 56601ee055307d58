"""DuckDB as this room uses it: within an amount of memory, spilling beyond it into the manifest's folder."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from manifests.options import BuildOptions
from manifests.scratch import scratch_folder
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace


@contextmanager
def database(workspace: Workspace, memory: str = BuildOptions.memory) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database that holds at most `memory`, such as 1GB, in memory; the process as a whole takes about half a
    gigabyte more. Spilled data are removed at the end.

    Raises `UsageError` when `memory` is not an amount of memory.
    """
    with scratch_folder(workspace.manifest / ".spill") as spill, duckdb.connect() as connection:
        try:
            connection.execute("SET memory_limit = ?", [memory])
        except duckdb.Error as error:
            raise UsageError(f"--memory {memory!r} is not an amount of memory, such as 1GB") from error
        connection.execute("SET temp_directory = ?", [str(spill)])
        connection.execute("SET enable_progress_bar = false")
        # It would keep something of each file that was read, beyond `memory`, for files far away.
        connection.execute("SET enable_external_file_cache = false")
        yield connection


def parquet_view(connection: duckdb.DuckDBPyConnection, name: str, paths: Iterable[Path]) -> None:
    """Make Parquet files of one schema, at least one, a view of the connection."""
    connection.read_parquet([literal(path) for path in paths]).create_view(name)


def record_view(connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], record: type) -> None:
    """Make the Parquet files of a record a view of the connection; without any it has no rows."""
    if paths:
        parquet_view(connection, name, paths)
    else:
        connection.register(name, records.to_table(record, []))


@contextmanager
def seen(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Tables that queries see under these names."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def literal(path: Path) -> str:
    """A path as DuckDB takes it, which reads every file name as a pattern."""
    # A bracket expression is its way to write a special character.
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
