"""Tables as CSV that spreadsheets open without running what strangers wrote.

A spreadsheet takes a cell that begins with =, +, -, @, a tab or a carriage return for a formula, which can send the
other cells away. Before the text of such a cell there is an apostrophe, as OWASP recommends
(https://owasp.org/www-community/attacks/CSV_Injection); the Parquet file beside it has the text as it is. Numbers stay
as they are.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

# The full-width forms are taken for the same characters.
_FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table without nested columns as CSV (UTF-8, with a header)."""
    columns = [_as_text(column) if pa.types.is_string(column.type) else column for column in table.columns]
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), path)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    quoted = pc.binary_join_element_wise("'", column, "")
    return pc.if_else(pc.match_substring_regex(column, _FORMULA), quoted, column)
