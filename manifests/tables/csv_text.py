"""Tables as CSV that spreadsheets open without running what strangers wrote (`workspace.spreadsheet`); the Parquet file
beside it has each text as it is.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from workspace.spreadsheet import FORMULA


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table without nested columns as CSV (UTF-8, with a header)."""
    columns = [_as_text(column) if pa.types.is_string(column.type) else column for column in table.columns]
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), path)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    quoted = pc.binary_join_element_wise("'", column, "")
    return pc.if_else(pc.match_substring_regex(column, FORMULA), quoted, column)
