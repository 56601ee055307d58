"""Files that hold many images: tar archives and Parquet files, here or on the Hub, read one image at a time.

Neither is ever read whole. The headers of a tar are read once for the offsets of its members, and then each member by
its offset; a Parquet file is read by row group, a few rows at a time, and rows that are requested in their order are
read once. All methods raise `OSError` for what cannot be read.
"""

import bisect
import errno
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from workspace.hub_access import HubAccess

HUB = "hf://"

#: Rows decoded at a time: some tens of megabytes of photographs.
_BATCH_ROWS = 16
#: Buffer of a Parquet column, in bytes; without it Arrow reads a row group's whole column at once.
_BUFFER_BYTES = 1 << 20


def open_file(path: str, hub: HubAccess = HubAccess()) -> BinaryIO:
    """A file on this disk or, as hf://datasets/ORG/NAME@REVISION/FILE, on the Hub."""
    if not path.startswith(HUB):
        return Path(path).open("rb")
    from huggingface_hub import HfFileSystem

    from workspace.hub_session import session

    session(hub)
    return cast(BinaryIO, HfFileSystem(endpoint=hub.endpoint, token=hub.token).open(path, "rb"))


class Tar:
    """An uncompressed tar archive. Of two members with one name the last counts, as when it is unpacked."""

    def __init__(self, path: str, hub: HubAccess = HubAccess()) -> None:
        self._path = path
        self._file = open_file(path, hub)
        try:
            self.members: Mapping[str, tuple[int, int]] = dict(_places(self._file))
        except (tarfile.TarError, EOFError, ValueError) as error:
            self.close()
            if _is_answer(error):
                raise
            raise OSError(errno.EIO, f"not a whole, uncompressed tar archive: {error}", path) from error
        except BaseException:
            self.close()
            raise

    def size(self, member: str) -> int:
        """Bytes of a member."""
        return self._place(member)[1]

    def read(self, member: str) -> bytes:
        """A member, whole."""
        offset, size = self._place(member)
        self._file.seek(offset)
        content = self._file.read(size)
        if len(content) != size:
            raise OSError(errno.EIO, "the archive is truncated", self._path)
        return content

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _place(self, member: str) -> tuple[int, int]:
        if member not in self.members:
            raise FileNotFoundError(errno.ENOENT, "the archive has no such member", f"{self._path}#{member}")
        return self.members[member]


class ParquetImages:
    """A Parquet file with a column of images: bytes, or `datasets`' struct of bytes and path."""

    def __init__(self, path: str, hub: HubAccess = HubAccess()) -> None:
        self._path = path
        self._source = open_file(path, hub)
        try:
            self._file = pq.ParquetFile(self._source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, ValueError) as error:
            self._source.close()
            if _is_answer(error):
                raise
            raise OSError(errno.EIO, f"not a whole Parquet file: {error}", path) from error
        except BaseException:
            self._source.close()
            raise
        groups = range(self._file.metadata.num_row_groups)
        self._starts = [0, *accumulate(self._file.metadata.row_group(group).num_rows for group in groups)]
        self._cursors: dict[tuple[str, ...], _Cursor] = {}

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    @property
    def columns(self) -> pa.Schema:
        """The schema of its columns."""
        return self._file.schema_arrow

    @property
    def image_columns(self) -> list[str]:
        """The columns that may hold images; of several only the one called `image`, where it exists."""
        found = [field.name for field in self.columns if _is_bytes(field.type) or _holds_bytes(field.type)]
        return ["image"] if "image" in found else found

    def read(self, row: int) -> bytes:
        """The bytes of the image in a row."""
        columns = self.image_columns
        if len(columns) != 1:
            found = f"columns that may hold images: {', '.join(columns)}" if columns else "no column holds images"
            raise OSError(errno.EIO, f"the file needs one column of images; {found}", self._path)
        (column,) = columns
        nested = _holds_bytes(self.columns.field(column).type)
        value = self.values(row, [f"{column}.bytes" if nested else column])[column]
        content = value["bytes"] if nested and value is not None else value
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "the row has no image", f"{self._path}#row={row}")
        return cast(bytes, content)

    def values(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        """The values of some columns of a row."""
        if not 0 <= row < self.rows:
            raise FileNotFoundError(errno.ENOENT, "the file has fewer rows", f"{self._path}#row={row}")
        key = tuple(columns)
        if key not in self._cursors:
            self._cursors[key] = _Cursor(self._file, self._starts, columns)
        try:
            return self._cursors[key].row(row)
        except (pa.ArrowException, ValueError, StopIteration) as error:
            del self._cursors[key]
            if _is_answer(error):
                raise
            raise OSError(errno.EIO, f"cannot be decoded: {error}", self._path) from error

    def close(self) -> None:
        """Close the file."""
        self._cursors.clear()
        self._file.close()
        self._source.close()


class _Cursor:
    """A position in some columns of a Parquet file, which moves forward through a row group."""

    def __init__(self, file: pq.ParquetFile, starts: Sequence[int], columns: Sequence[str]) -> None:
        self._file, self._starts, self._columns = file, starts, list(columns)
        self._group, self._at = -1, 0
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._batch: pa.RecordBatch | None = None

    def row(self, number: int) -> dict[str, Any]:
        group = bisect.bisect_right(self._starts, number) - 1
        if self._batch is None or group != self._group or number < self._at:
            self._batches = self._file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=self._columns, use_threads=False
            )
            self._group, self._at, self._batch = group, self._starts[group], next(self._batches)
        while number >= self._at + self._batch.num_rows:
            self._at += self._batch.num_rows
            self._batch = next(self._batches)
        return cast(dict[str, Any], self._batch.slice(number - self._at, 1).to_pylist()[0])


def _places(file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each regular file of an archive: name, (offset, size)."""
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            if member.isreg() and member.sparse is None:
                yield member.name, (member.offset_data, member.size)
            tar.members.clear()  # type: ignore[attr-defined]  # which would grow with the archive


def _is_answer(error: BaseException) -> bool:
    """Whether the error is an answer of the Hub: the client's error for the status 400 is a `ValueError`, too."""
    return getattr(error, "response", None) is not None


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type))
