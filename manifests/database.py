"""DuckDB as this stage uses it: within a limit of memory, spilling beyond it into the manifest's folder."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from manifests.options import BuildOptions
from manifests.relation import Relation
from manifests.scratch import scratch_folder
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

#: The characters of a pattern.
_SPECIAL = "*?["


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory, which prints nothing: on a slow machine DuckDB would show its progress."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        yield connection


@contextmanager
def database(workspace: Workspace, memory: str = BuildOptions.memory) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database that uses at most `memory`, such as 1GB; the process as a whole takes about half a gigabyte
    more. What it spilled is removed at the end.

    Raises `UsageError` when `memory` is not an amount of memory.
    """
    with scratch_folder(workspace.manifest / ".spill") as spill, connected() as connection:
        try:
            connection.execute("SET memory_limit = ?", [memory])
        except duckdb.Error as error:
            raise UsageError(f"--memory {memory!r} is not an amount of memory, such as 1GB") from error
        connection.execute("SET temp_directory = ?", [str(spill)])
        # It would keep something of each file that was read, beyond `memory`, for files far away.
        connection.execute("SET enable_external_file_cache = false")
        yield connection


def parquet_view(connection: duckdb.DuckDBPyConnection, name: str, paths: Iterable[Path]) -> None:
    """Make Parquet files of one schema, at least one, a view of the connection."""
    parquet_relation(connection, paths).create_view(name)


def parquet_relation(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> duckdb.DuckDBPyRelation:
    """The rows of Parquet files of one schema, at least one: what the files say, and nothing that their paths say."""
    return connection.read_parquet([literal(path) for path in paths], hive_partitioning=False)


def parquet_files(*columns: str) -> str:
    """The same in SQL; its parameter is a list of paths, as `literal` writes them.

    `columns`: what DuckDB knows of each row beside the file's own columns, such as `filename` or `file_row_number`.
    """
    # By default a folder `seed=7` above the files would be a column of them, in place of their own `seed`.
    options = ["hive_partitioning = false", *(f"{column} = true" for column in columns)]
    return f"read_parquet(?, {', '.join(options)})"


def record_view(
    connection: duckdb.DuckDBPyConnection, name: str, paths: list[Path], record: type, condition: str = "true"
) -> None:
    """Make the rows of a record's Parquet files that meet a condition a view of the connection; without files it has no
    rows."""
    if paths:
        parquet_relation(connection, paths).filter(condition).create_view(name)
    else:
        connection.register(name, records.to_table(record, []))


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, tables: Mapping[Relation, pa.Table]) -> Iterator[None]:
    """A block in which queries see these Arrow tables as these relations."""
    for relation, table in tables.items():
        connection.register(str(relation), table)
    try:
        yield
    finally:
        for relation in tables:
            connection.unregister(str(relation))


def literal(path: Path) -> str:
    """A path as DuckDB takes it: it reads every file name as a pattern.

    Raises `UsageError` for a path that cannot be written so: a backslash has another meaning in a pattern.
    """
    # A bracket expression is its way to write a special character.
    written = "".join(f"[{character}]" if character in _SPECIAL else character for character in str(path))
    if "\\" in written and written != str(path):
        raise UsageError(f"{path} cannot be read: rename the folder that has a backslash, or the one that has * ? or [")
    return written
