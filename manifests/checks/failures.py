"""Failures of checks: what is wrong with which rows, and what to do about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from workspace.errors import CommunityForensicsError
from workspace.number_text import counted

#: Rows named in the message of a check that failed.
NAMED_ROWS = 5

#: Words for one row and for several, such as [sample is|samples are].
_BY_NUMBER = re.compile(r"\[([^|\]]*)\|([^|\]]*)\]")


@dataclass(frozen=True)
class Problem:
    """What may be wrong with rows.

    `text` follows the number of rows, with words for one and for several: "[sample is|samples are] duplicated".
    `remedy` says what to do, in the same form; empty: whoever reports the failures says it.
    """

    text: str
    remedy: str = ""

    def words(self, rows: int) -> tuple[str, str]:
        """Text and remedy for this number of rows."""
        form = r"\1" if rows == 1 else r"\2"
        return _BY_NUMBER.sub(form, self.text), _BY_NUMBER.sub(form, self.remedy)


@dataclass(frozen=True)
class Failure:
    """A check that failed: the problem, how many rows have it, and the names of some."""

    problem: Problem
    rows: int
    named: tuple[str, ...]

    def __str__(self) -> str:
        text, remedy = self.problem.words(self.rows)
        more = f" and {self.rows - len(self.named)} more" if self.rows > len(self.named) else ""
        return f"{self.rows} {text}: {', '.join(self.named)}{more}" + (f" ({remedy})" if remedy else "")


def failing(connection: duckdb.DuckDBPyConnection, problem: Problem, query: str) -> list[Failure]:
    """The failure of a check whose `query` gives the names of the rows with the problem, as its one column; none when
    it gives no row."""
    ((count, named),) = connection.execute(
        f"SELECT count(*), list(row_name ORDER BY row_name)[:{NAMED_ROWS}] FROM ({query}) AS failing(row_name)"
    ).fetchall()
    return [Failure(problem, count, tuple(named))] if count else []


def failing_rules(
    connection: duckdb.DuckDBPyConnection, table: object, name: str, rules: Mapping[Problem, str]
) -> list[Failure]:
    """The failures of checks of single rows of a table: `rules` has the SQL condition of each problem, `name` is the
    SQL expression that names a row.

    All rules are counted in one pass over the table; rows are named only where there is a failure.
    """
    counts = ", ".join(f"count(*) FILTER ({rule})" for rule in rules.values())
    (by_rule,) = connection.execute(f"SELECT {counts} FROM {table}").fetchall()
    failures: list[Failure] = []
    for (problem, rule), count in zip(rules.items(), by_rule, strict=True):
        if count:
            failures += failing(connection, problem, f"SELECT {name} FROM {table} WHERE {rule}")
    return failures


def raise_failures(failures: list[Failure], consequence: str) -> None:
    """Raise `CommunityForensicsError` with the consequence and every failure; does nothing when there is none."""
    if failures:
        named = "".join(f"\n  - {failure}" for failure in failures)
        raise CommunityForensicsError(f"{consequence}: {counted(len(failures), 'check')} failed{named}")


def raise_build_failures(failures: list[Failure]) -> None:
    """`raise_failures` of a workspace from which no manifest can be built."""
    raise_failures(failures, "no manifest was written")
