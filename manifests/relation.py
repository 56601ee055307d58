"""Tables of a DuckDB connection whose names and columns several queries share.

A relation is an object; in an f-string it is its name, and each of its columns is the column's name. So a renamed
column is an attribute that does not exist, which mypy and the import find, and not a query that fails at run time.
"""

from collections.abc import Sequence
from typing import Literal

import duckdb
import pyarrow as pa

from workspace import records

#: Names that SQL has a meaning for.
_QUOTED = frozenset({"index"})

_SQL_TYPES = {
    pa.bool_(): "BOOLEAN",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
}


class Column:
    """A column: its type in DuckDB, and what it means; both are a record's where the column is one of its columns."""

    def __init__(self, sql_type: str = "", doc: str = "", *, of: type | None = None) -> None:
        self.name, self.sql_type, self.doc, self._record = "", sql_type, doc, of

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name
        if self._record is not None:
            field = records.schema(self._record).field(name)  # an error of the import where the record has no such
            self.sql_type, self.doc = _sql_type(field.type), field.metadata[b"doc"].decode()

    def __str__(self) -> str:
        return f'"{self.name}"' if self.name in _QUOTED else self.name


class Relation:
    """A table or view: its name, and its columns as attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name

    @property
    def columns(self) -> list[Column]:
        """All columns, those of base classes first, each in the order of its declaration."""
        declared = {
            name: value
            for part in reversed(type(self).__mro__)
            for name, value in vars(part).items()
            if isinstance(value, Column)
        }
        return list(declared.values())

    @property
    def column_list(self) -> str:
        """The columns as a query selects them."""
        return ", ".join(str(column) for column in self.columns)

    def create_empty(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Create a temporary table without rows."""
        types = ", ".join(f"{column} {column.sql_type}" for column in self.columns)
        connection.execute(f"CREATE TEMP TABLE {self} ({types})")

    def create(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: str,
        parameters: Sequence[object] = (),
        kind: Literal["TEMP TABLE", "TABLE", "TEMP VIEW"] = "TEMP TABLE",
    ) -> None:
        """Create it, or replace it, with the rows of a query that gives its columns, in any order.

        A cursor of the connection sees it only where it is not temporary.
        """
        created = f"CREATE OR REPLACE {kind} {self} AS SELECT {self.column_list} FROM ({query})"
        connection.execute(created, list(parameters))

    def drop(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Remove the table and free its memory."""
        connection.execute(f"DROP TABLE {self}")


def _sql_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_list(arrow_type):
        return f"{_sql_type(arrow_type.value_type)}[]"
    return _SQL_TYPES[arrow_type]
