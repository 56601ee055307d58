"""A Parquet file of which only some columns are here.

The images of a part are in the column `image.bytes`, a thousand times the size of the other columns. Who asks only how
far a generator is reads the other ones. So the replica has a file of the same size in which the pages of that column
are holes: everything else is at its place and is read, with its checksums, as in the whole file.
"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Ranges = Callable[[Sequence[tuple[int, int]]], list[bytes]]

#: The column that is left out.
_LEFT_OUT = "image.bytes"
#: Bytes at the end that are read first: more than the description of the columns of most files.
_END = 64 * 1024
#: Bytes that are rather read than asked for in a request of their own.
_GAP = 256 * 1024


def write_hollow(path: Path, size: int, ranges: Ranges) -> None:
    """Write such a file of `size` bytes to `path`; `ranges` reads parts of the object. A file that is no Parquet file
    is written as far as it was read: its reader finds that it is damaged."""
    with path.open("wb") as file:
        file.truncate(size)

        def copy(wanted: Sequence[tuple[int, int]]) -> None:
            for (start, _), content in zip(wanted, ranges(wanted), strict=True):
                file.seek(start)
                file.write(content)
            file.flush()

        copy([(max(0, size - _END), size)])
        if size <= _END:
            return
        with path.open("rb") as end:
            end.seek(size - 8)
            length: int = struct.unpack("<I", end.read(4))[0]
        if length + 8 > size:
            return
        if length + 8 > _END:
            copy([(size - length - 8, size - _END)])
        try:
            wanted = [(0, 4), *_columns(pq.read_metadata(path))]
        except (OSError, pa.ArrowException):
            return
        copy([(start, end) for start, end in _joined(wanted) if start < end <= size])


def _columns(metadata: pq.FileMetaData) -> list[tuple[int, int]]:
    """Where the other columns are."""
    found = []
    for group in range(metadata.num_row_groups):
        for number in range(metadata.row_group(group).num_columns):
            column = metadata.row_group(group).column(number)
            if column.path_in_schema == _LEFT_OUT:
                continue
            starts = [column.data_page_offset, column.dictionary_page_offset]
            start = min(start for start in starts if start is not None and start > 0)
            found.append((start, start + column.total_compressed_size))
    return found


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same ranges in order, those that are close to each other as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + _GAP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
