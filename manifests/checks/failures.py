"""A check that failed, and how failures are told."""

from dataclasses import dataclass

import duckdb

from workspace.errors import CommunityForensicsError

#: Rows named in the message of a check that failed.
NAMED_ROWS = 5


@dataclass(frozen=True)
class Failure:
    """One check that failed: what is wrong with how many rows, and the names of some."""

    what: str
    rows: int
    named: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.rows - len(self.named)} more" if self.rows > len(self.named) else ""
        return f"{self.rows} {self.what}: {', '.join(self.named)}{more}"


def failing(connection: duckdb.DuckDBPyConnection, what: str, query: str) -> list[Failure]:
    """What is wrong with the rows whose names `query` gives, as its one column; nothing when it gives none."""
    ((count, named),) = connection.execute(
        f"SELECT count(*), list(row_name ORDER BY row_name)[:{NAMED_ROWS}] FROM ({query}) AS failing(row_name)"
    ).fetchall()
    return [Failure(what, count, tuple(named))] if count else []


def failing_rules(connection: duckdb.DuckDBPyConnection, table: str, name: str, rules: dict[str, str]) -> list[Failure]:
    """What is wrong with single rows of a table: `rules` has the SQL condition of each thing that may be, `name` is the
    SQL expression that names a row.

    All rules are counted in one look at the table; the rows are named only where there is something to name.
    """
    counts = ", ".join(f"count(*) FILTER ({rule})" for rule in rules.values())
    (counted,) = connection.execute(f"SELECT {counts} FROM {table}").fetchall()
    failures: list[Failure] = []
    for (what, rule), count in zip(rules.items(), counted, strict=True):
        if count:
            failures += failing(connection, what, f"SELECT {name} FROM {table} WHERE {rule}")
    return failures


def refuse(failures: list[Failure], what: str) -> None:
    """Raise `CommunityForensicsError` that tells every failure after `what`; nothing when there is none."""
    if failures:
        told = "".join(f"\n  - {failure}" for failure in failures)
        raise CommunityForensicsError(f"{what}:{told}")


def refuse_workspace(failures: list[Failure]) -> None:
    """`refuse` a workspace of which there can be no manifest."""
    refuse(failures, "no manifest was written, for the workspace does not add up")
