"""A journal: a file to which groups of records are appended, one call of the file system for each group.

A group is whole or not there: it is a Parquet file in itself, behind a header with its length and checksum. What a
killed process left half written at the end has no whole group, and a group that changed on a disk is none; readers skip
both, and what was in them is made again. One process writes a journal; any may read it meanwhile.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa

from workspace import records
from workspace.atomic import OpenFile, read_whole, write_bytes

R = TypeVar("R")

_MAGIC = b"CFJ1"
#: Length and CRC-32 of the group, and the CRC-32 of what is before it.
_HEADER = struct.Struct("<4sQI")
_HEADER_SUM = struct.Struct("<I")
_HEADER_SIZE = _HEADER.size + _HEADER_SUM.size


class Journal:
    """A journal of records of one class, written by this process. All methods raise `OSError` as the file system
    does."""

    def __init__(self, path: Path, record: type, plain: Sequence[str] = ()) -> None:
        """Make the file, which does not exist; `plain` as in `records.write`."""
        self.path, self._record, self._plain = path, record, plain
        self._file, self._length = OpenFile(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL), 0

    def append(self, rows: Iterable[R]) -> None:
        """Append a group, which is on the disk when this returns."""
        content = _group(self._record, rows, self._plain)
        try:
            self._file.write(content)
        except OSError:
            # What follows a half group would not be found.
            self._file.cut(self._length)
            raise
        self._length += len(content)

    @property
    def length(self) -> int:
        """Bytes of the groups in it."""
        return self._length

    def close(self) -> None:
        """Close the file, which remains."""
        self._file.close()


class Group(NamedTuple):
    """A group that was read."""

    rows: pa.Table
    stop: int
    """Bytes of the journal up to its end."""


def read_groups(path: Path, record: type, columns: Sequence[str] | None = None, start: int = 0) -> Iterator[Group]:
    """The whole groups of a journal, in the order of writing. `columns` limits what is read; `start`: where a group
    ended, and reading begins.

    Raises `UsageError` for groups of another version, `OSError` where the file does not exist or may not be read.
    """
    for group in _groups(memoryview(read_whole(path, start)), path, record, columns):
        yield Group(group.rows, start + group.stop)


def rewrite(
    path: Path, record: type[R], change: Callable[[Sequence[R]], Iterable[R]], plain: Sequence[str] = ()
) -> bool:
    """Change the rows of every group of a journal that no process writes, at once; False: what was not whole is gone.

    Errors as `read_groups`.
    """
    before = memoryview(path.read_bytes())
    groups = [records.from_table(record, group.rows) for group in _groups(before, path, record)]
    after = b"".join(_group(record, change(rows), plain) for rows in groups)
    if after != before:
        write_bytes(path, after)
    return len(before) == sum(len(_group(record, rows, plain)) for rows in groups)


def _groups(content: memoryview, path: Path, record: type, columns: Sequence[str] | None = None) -> Iterator[Group]:
    start = 0
    while (length := _length_of(content[start:])) is not None:
        header, group = content[start : start + _HEADER.size], content[start + _HEADER_SIZE :][:length]
        start += _HEADER_SIZE + length
        if len(group) == length and zlib.crc32(group) == _HEADER.unpack(header)[2]:
            try:
                yield Group(records.read_content(group, path, record, columns), start)
            except records.DamagedFileError:
                continue


def _length_of(content: memoryview) -> int | None:
    """The length of the group that begins here; None: none does."""
    if len(content) < _HEADER_SIZE:
        return None
    magic, length, _ = _HEADER.unpack(content[: _HEADER.size])
    (checksum,) = _HEADER_SUM.unpack(content[_HEADER.size : _HEADER_SIZE])
    return int(length) if magic == _MAGIC and zlib.crc32(content[: _HEADER.size]) == checksum else None


def _group(record: type[R], rows: Iterable[R], plain: Sequence[str]) -> bytes:
    content = records.content_of(records.to_table(record, rows), plain)
    header = _HEADER.pack(_MAGIC, len(content), zlib.crc32(content))
    return b"".join((header, _HEADER_SUM.pack(zlib.crc32(header)), content))
