"""Tar and zip archives and Parquet files of images, parsed: what `workspace/container_process.py` runs within its
limits.

None is ever read whole. The headers of a tar are read once for the offsets of its members, and of a zip its directory;
a Parquet file is read by row group, a few rows at a time, and rows that are requested in their order are read once.
"""

import base64
import binascii
import bisect
import math
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

#: Rows decoded at a time: some tens of megabytes of photographs.
_BATCH_ROWS = 16
#: Buffer of a Parquet column, in bytes; without it Arrow reads a row group's whole column at once.
_BUFFER_BYTES = 1 << 20
#: Characters of a member's name, as long as a path may be.
_LONGEST_NAME = 4096
#: Names of columns of text that are taken for images without being asked for: paths, or bytes in base64.
_TEXT_COLUMNS = ("image", "img", "image_base64", "image_bytes", "image_path", "image_file")


class DamagedError(Exception):
    """The file cannot be read as what its name says."""


class RowError(Exception):
    """A row has no image that can be read."""


def tar_members(file: BinaryIO) -> Iterator[tuple[str, int, int, str]]:
    """Each file of an archive: name, offset, size, and what it is unless it is a regular file (a link, ...).

    Raises `DamagedError`, also where a header in the middle is damaged: nothing behind it would be found.
    """
    last = -1
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                if member.size < 0 or tar.offset <= last:
                    raise DamagedError("a member of a negative size")
                last = tar.offset
                if len(member.name) > _LONGEST_NAME:
                    raise DamagedError(f"a name of {len(member.name):,} characters")
                if not member.isdir():
                    yield member.name, member.offset_data, member.size, _irregular(member)
                tar.members.clear()  # type: ignore[attr-defined]  # which would grow with the archive
            file.seek(tar.offset)
            if any(file.read(tarfile.BLOCKSIZE)):
                raise DamagedError(f"no header at byte {tar.offset}, after which nothing is found")
    except tarfile.TarError as error:
        raise DamagedError(str(error)) from error


def _irregular(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "a link in the archive"
    if member.sparse is not None:
        return "a sparse file in the archive"
    return "" if member.isreg() else "a device or a pipe in the archive"


class ZipArchive:
    """A zip archive. Of two members with one name the last counts, as when it is unpacked."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises `DamagedError`."""
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise DamagedError(str(error)) from error

    def members(self) -> Iterator[tuple[str, int, int, str]]:
        """Each file of the archive: name, its number, size, and what it is unless it can be read."""
        for number, member in enumerate(self._zip.infolist()):
            if len(member.filename) > _LONGEST_NAME:
                raise DamagedError(f"a name of {len(member.filename):,} characters")
            if not member.is_dir():
                yield member.filename, number, member.file_size, _unread(member)

    def read(self, number: int, size: int) -> bytes:
        """The first `size` bytes of a member. Raises `DamagedError`."""
        try:
            with self._zip.open(self._zip.infolist()[number]) as member:
                return member.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
            raise DamagedError(str(error)) from error


def _unread(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & 1:
        return "an encrypted file in the archive"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed in a way that is not read"
    return "a link in the archive" if stat.S_ISLNK(member.external_attr >> 16) else ""


class ParquetTable:
    """A Parquet file with a column of images: bytes, `datasets`' struct of bytes and path, lists of one of these, a
    list of the numbers of the bytes, or text that is a path or base64."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        groups = range(self._file.metadata.num_row_groups)
        self._starts = [0, *accumulate(self._file.metadata.row_group(group).num_rows for group in groups)]
        self._cursors: dict[tuple[str, ...], _Cursor] = {}

    def described(self) -> dict[str, Any]:
        """Its rows, the names of its columns, those that may hold images (of several only one called `image`), and
        those of text."""
        schema = self._file.schema_arrow
        images = [field.name for field in schema if _holds_images(field.type)]
        texts = [field.name for field in schema if _is_text(_inner(field.type))]
        images = images or [field.name for field in schema if _is_list_of_bytes(field.type)]
        if not images:
            images = [field.name for field in schema if field.name.lower() in _TEXT_COLUMNS and field.name in texts]
        self._images = ["image"] if "image" in images else images
        return {"rows": int(self._starts[-1]), "columns": schema.names, "images": self._images, "texts": texts}

    def image(self, row: int, column: str | None = None) -> bytes | str | None:
        """The image in a row, in `column` (None: the only one that may hold images): its bytes, or a path.

        None: the row has none. Raises `RowError`.
        """
        if column is not None:
            if column not in self._file.schema_arrow.names:
                raise RowError(f"the file has no column {column!r}")
            return _image_in(self._row(row, [column])[column])
        if len(self._images) != 1:
            found = (
                f"columns that may hold images: {', '.join(self._images)}" if self._images else "no column holds images"
            )
            raise RowError(f"the file needs one column of images; {found}")
        (column,) = self._images
        return _image_in(self._row(row, [column])[column])

    def values(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        """The values of some columns of a row, as JSON has them; what it does not have is null."""
        return {name: _plain(value) for name, value in self._row(row, columns).items()}

    def _row(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        key = tuple(columns)
        if key not in self._cursors:
            self._cursors[key] = _Cursor(self._file, self._starts, columns)
        try:
            return self._cursors[key].row(row)
        except BaseException:
            del self._cursors[key]
            raise


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


def _image_in(value: Any) -> bytes | str | None:
    if isinstance(value, dict):
        value = value["bytes"] if value.get("bytes") is not None else value.get("path")
        return value if isinstance(value, bytes | None) else _image_in(value)
    if isinstance(value, list):
        if value and type(value[0]) is int:
            return _image_in_numbers(value)
        if len(value) > 1:
            raise RowError(f"the row has {len(value)} images, and one is needed")
        return _image_in(value[0]) if value else None
    if isinstance(value, str):
        return _image_in_text(value)
    return value if isinstance(value, bytes) else None


def _image_in_numbers(numbers: list[Any]) -> bytes:
    """A file as a list of its bytes, as pandas writes an array of them."""
    try:
        return bytes(numbers)
    except (TypeError, ValueError) as error:
        raise RowError("the image is a list of numbers that are no bytes") from error


def _image_in_text(text: str) -> bytes | str | None:
    """The image that a text is, in base64, with or without `data:image/png;base64,` before it; otherwise the text, as a
    path. No text, no image."""
    if not text.strip():
        return None
    is_data = text.startswith("data:")
    if is_data or (len(text) > _LONGEST_NAME or not PurePosixPath(text).suffix):
        try:
            return base64.b64decode("".join(text.partition(",")[2].split() if is_data else text.split()), validate=True)
        except (ValueError, binascii.Error) as error:
            if is_data or len(text) > _LONGEST_NAME:
                raise RowError("the image is a text, and neither base64 nor a path") from error
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, str | int | bool) else None


def _holds_images(kind: pa.DataType) -> bool:
    kind = _inner(kind)
    if _is_bytes(kind):
        return True
    if not pa.types.is_struct(kind):
        return False
    fields = {field.name: field.type for field in kind}
    if "bytes" not in fields:
        return set(fields) == {"path"} and _is_text(fields["path"])
    return _is_bytes(fields["bytes"]) or (pa.types.is_null(fields["bytes"]) and "path" in fields)


def _inner(kind: pa.DataType) -> pa.DataType:
    """What is in a list or a dictionary; any other type as it is."""
    while _is_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _is_list_of_bytes(kind: pa.DataType) -> bool:
    return _is_list(kind) and bool(pa.types.is_uint8(kind.value_type))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
