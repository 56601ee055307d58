"""The process that reads the rows of a published dataset, which is a stranger's: started by `shards.py`.

    {"size": BYTES or null} and the file    -> {"columns": {NAME: TYPE}, "groups": [ROWS, ...]}
    {"groups": [FIRST, END], "names": [...]} -> {"columns": {NAME: VALUES or null}} and numbers, column after column
    any error                               -> {"damaged": "..."}

Of a column of texts, or lists of texts, VALUES are the different ones, and the numbers are int32: which of them a row
has, -1 for none. Of a column that a name of `HASHES` asks for, the numbers are uint64. Of all others VALUES is null and
the numbers are float64, NaN for none.
"""

import hashlib
import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from workspace.errors import in_one_line
from workspace.limited.serving import Handler, Server, serve

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: Names that are asked for beside those of columns: the lower half of the MD5 of the column `prompt`, 0 for none.
PROMPT_KEY = "prompt_key"

#: Characters of a text at most; what is longer is no name.
_LONGEST = 1_000


def handler(server: Server) -> Handler:
    """Answers about one file at a time, the one opened last."""
    # Imported in the sandbox, because Arrow starts threads, for which walls that are entered later would not hold.
    import pyarrow.parquet as pq

    file: pq.ParquetFile | None = None

    def answer(message: dict[str, Any], body: bytes, files: list[int]) -> tuple[dict[str, Any], bytes]:  # noqa: ARG001
        nonlocal file
        try:
            if "groups" not in message:
                opened = os.fdopen(files[0], "rb") if files else server.remote_file(message["size"])
                opened.seek(0)
                file = pq.ParquetFile(cast(BinaryIO, opened), pre_buffer=False)
                return _described(file), b""
            assert file is not None
            first, end = message["groups"]
            return _rows(file, range(first, end), message["names"])
        except MemoryError:
            return {"damaged": "reading it takes too much memory"}, b""
        # On damaged files parsers fail with any kind of error.
        except Exception as error:
            return {"damaged": in_one_line(error, 200, named=False)}, b""

    return answer


def _described(file: "pq.ParquetFile") -> dict[str, Any]:
    columns = {field.name: str(field.type)[:_LONGEST] for field in file.schema_arrow}
    groups = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    return {"columns": columns, "groups": groups}


def _rows(file: "pq.ParquetFile", groups: range, names: list[str]) -> tuple[dict[str, Any], bytes]:
    wanted = [name if name != PROMPT_KEY else "prompt" for name in names]
    table = file.read_row_groups(list(groups), columns=list(dict.fromkeys(wanted)), use_threads=False)
    columns: dict[str, list[str] | None] = {}
    numbers = []
    for name, column in zip(names, wanted, strict=True):
        columns[name], content = _column(table.column(column), hashed=name == PROMPT_KEY)
        numbers.append(content)
    return {"columns": columns, "rows": len(table)}, b"".join(numbers)


def _column(column: "pa.ChunkedArray", hashed: bool) -> tuple[list[str] | None, bytes]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if pa.types.is_integer(kind.value_type):  # width and height
            column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), "x")
        else:
            column = pc.binary_join(column.cast(pa.list_(pa.string())), "\n")
        kind = pa.string()
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None, np.asarray(column.cast(pa.float64()).fill_null(np.nan)).tobytes()
    encoded = pc.dictionary_encode(column.cast(pa.string())).unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pc.dictionary_encode(pa.array([], pa.string()))
    texts = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int32)
    if hashed:
        keys = [int.from_bytes(hashlib.md5(text.strip().lower().encode()).digest()[8:], "little") for text in texts]
        return None, np.array([*keys, 0], np.uint64)[codes].tobytes()
    return [text[:_LONGEST] for text in texts], codes.tobytes()


if __name__ == "__main__":
    serve(handler)
