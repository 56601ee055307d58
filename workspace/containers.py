"""Files that hold many images: tar and zip archives and Parquet files, here or on the Hub, read one image at a time.

They are made by strangers, so they are opened in a process with limits (`container_process.py`), and only if they are
regular files. This process, which may have a token, reads the bytes of an archive's members at the offsets that the
other one found. All methods raise `OSError` for what cannot be read.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from workspace.hub_access import HubAccess
from workspace.limited.process import NO_SENSE, NONSENSE, LimitedProcess, LimitError, Limits, LostError
from workspace.regular_file import OutsideError, open_regular

HUB = "hf://"

#: Bytes of one image at most.
LARGEST = 1 << 30
#: What one answer about a container may take: the next members of an archive, or a row of a table.
LIMITS = Limits(processor=20, memory=3 << 30, answer=LARGEST + (1 << 20))
#: Of a Parquet file, how much is decoded in a second at least.
_BYTES_A_SECOND = 20e6
#: Bytes that a member of an archive takes at least: its entry in the directory of a zip.
_LEAST_OF_MEMBER = 46
#: Rows of a table at most, and of a small one: a thousand million rows without a value take a few bytes in a file, and
#: the names of as many images all memory.
_MOST_ROWS, _MOST_ROWS_OF_SMALL = 20_000_000, 1_000_000
#: Processes that a container may end before it counts as damaged.
_ATTEMPTS = 2
#: Idle processes that are kept: starting one takes a third of a second.
_IDLE = 4


class DamagedFileError(OSError):
    """A container or an image in it cannot be read as what it is."""

    def __init__(self, what: str, path: str) -> None:
        super().__init__(errno.EIO, what, path)


def open_file(path: str, hub: HubAccess = HubAccess(), within: str | Path | None = None) -> BinaryIO:
    """A regular file on this disk, in the folder `within` (None: anywhere), or, as
    hf://datasets/ORG/NAME@REVISION/FILE, a file on the Hub."""
    if not path.startswith(HUB):
        return open_regular(path, within)
    from huggingface_hub import HfFileSystem

    from workspace.hub_session import session

    session(hub)
    return cast(BinaryIO, HfFileSystem(endpoint=hub.endpoint, token=hub.token).open(path, "rb"))


class _Container:
    """A file, and the process that parses it."""

    def __init__(self, path: str, opening: dict[str, Any], hub: HubAccess, within: str | Path | None) -> None:
        self._path, self._opening, self._lost = path, opening, 0
        self._file = open_file(path, hub, within)
        self._process: LimitedProcess | None = None
        try:
            self.description = self._ask(opening)[0]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._release()
        self._file.close()

    def _release(self) -> None:
        if self._process is not None:
            _PROCESSES.give_back(self._process)
            self._process = None

    def _ask(self, message: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The answer of a process that has the container open. Raises `DamagedFileError`."""
        while True:
            try:
                if self._process is None:
                    self._process = _PROCESSES.take()
                    if message is not self._opening:
                        self._send(self._opening)
                return self._send(message)
            except (LostError, LimitError) as error:
                self._process, self._lost = None, self._lost + 1
                if self._lost >= _ATTEMPTS or isinstance(error, LimitError):
                    self._lost = _ATTEMPTS
                    raise DamagedFileError(f"the process that reads it {error}", self._path) from error
            except BaseException:
                if self._process is not None and not self._process.usable:
                    self._process = None
                raise

    @contextmanager
    def _sensible(self) -> Iterator[None]:
        """A block that reads an answer, which may be wrong in any way: then the process is ended, as for any damage."""
        try:
            yield
        except NONSENSE as error:
            if self._process is not None:
                self._process.close()
            self._process, self._lost = None, _ATTEMPTS
            raise DamagedFileError(f"the process that reads it {NO_SENSE}", self._path) from error

    def _send(self, message: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        assert self._process is not None
        if self._lost >= _ATTEMPTS:
            raise DamagedFileError("the process that reads it was ended before", self._path)
        files, opening = [], message is self._opening
        if opening and not self._path.startswith(HUB):
            files = [self._file.fileno()]
        elif opening:
            message = {**message, "size": self._length()}
        # The first row that is read in a row group may be its last.
        more = self._length() / _BYTES_A_SECOND if {"image", "values"} & message.keys() else 0
        answer, body = self._process.ask(message, files=files, read=self._read_at, more_seconds=more)
        if "damaged" in answer or "row" in answer:
            raise DamagedFileError(str(answer.get("damaged") or answer.get("row")), self._path)
        return answer, body

    def _length(self) -> int:
        # The position of a file that was passed on is shared with the process that reads it.
        here = not self._path.startswith(HUB)
        return os.fstat(self._file.fileno()).st_size if here else self._file.seek(0, os.SEEK_END)

    def _read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(max(0, offset))
        return self._file.read(length)


class _Archive(_Container):
    """Files by name. Of two members with one name the last counts, as when it is unpacked."""

    def __init__(self, path: str, opening: dict[str, Any], hub: HubAccess, within: str | Path | None) -> None:
        super().__init__(path, opening, hub, within)
        #: Place and size of each member that can be read, by name.
        self.members: dict[str, tuple[int, int]] = {}
        #: What cannot be read, with what it is.
        self.irregular: dict[str, str] = {}
        #: Names of members before the last one of the same name, which are not read.
        self.replaced: list[str] = []
        try:
            for name, place, size, what in self._listed():
                if self.members.pop(name, None) is not None:
                    self.replaced.append(name)
                self.irregular.pop(name, None)
                if what:
                    self.irregular[name] = what
                else:
                    self.members[name] = (place, size)
        except BaseException:
            self.close()
            raise

    def _listed(self) -> Iterator[tuple[str, int, int, str]]:
        """What the process says of each member, which may be wrong in any way. Raises `DamagedFileError`."""
        left = self._length() // _LEAST_OF_MEMBER
        while True:
            # Not in the block below: some of the Hub's errors are a `ValueError`, too.
            answer = self._ask({"members": True})[0]
            with self._sensible():
                batch = [(name, place, size, what) for name, place, size, what in answer["members"]]
                left -= len(batch)
                for name, place, size, what in batch:
                    if not (type(name) is type(what) is str and type(place) is type(size) is int):
                        raise TypeError
                    if min(place, size, left) < 0:
                        raise ValueError
            if not batch:
                return
            yield from batch

    def size(self, member: str) -> int:
        """Bytes of a member."""
        return self._place(member)[1]

    def read(self, member: str, limit: int | None = None) -> bytes:
        """A member, whole; or its first `limit` bytes."""
        place, size = self._place(member)
        wanted = size if limit is None else min(size, limit)
        if wanted > LARGEST:
            raise OSError(errno.EFBIG, f"{wanted:,} bytes", f"{self._path}#{member}")
        return self._content(place, wanted)

    def _content(self, place: int, size: int) -> bytes:
        """So many bytes of the member at a place. Raises `DamagedFileError` where there are fewer."""
        raise NotImplementedError

    def _place(self, member: str) -> tuple[int, int]:
        if member not in self.members:
            raise FileNotFoundError(errno.ENOENT, "the archive has no such member", f"{self._path}#{member}")
        return self.members[member]


class Tar(_Archive):
    """An uncompressed tar archive; the place of a member is its offset."""

    def __init__(self, path: str, hub: HubAccess = HubAccess(), within: str | Path | None = None) -> None:
        try:
            super().__init__(path, {"tar": True}, hub, within)
        except DamagedFileError as error:
            raise DamagedFileError(f"not a whole, uncompressed tar archive: {error.strerror}", path) from error
        length = self._length()
        if any(offset + size > length for offset, size in self.members.values()):
            self.close()
            raise DamagedFileError("not a whole, uncompressed tar archive: the archive is truncated", path)
        self._release()  # the rest is reading

    def _content(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        content = self._file.read(size)
        if len(content) != size:
            raise DamagedFileError("the archive is truncated", self._path)
        return content


class Zip(_Archive):
    """A zip archive, whose members may be compressed; the place of a member is its number."""

    def __init__(self, path: str, hub: HubAccess = HubAccess(), within: str | Path | None = None) -> None:
        try:
            super().__init__(path, {"zip": True}, hub, within)
        except DamagedFileError as error:
            raise DamagedFileError(f"not a whole zip archive: {error.strerror}", path) from error

    def _content(self, place: int, size: int) -> bytes:
        _, content = self._ask({"member": place, "size": size})
        if len(content) != size:
            raise DamagedFileError("a member is shorter than the archive says", self._path)
        return content


class ParquetImages(_Container):
    """A Parquet file with a column of images (`container_files.ParquetTable` says of which kinds)."""

    def __init__(
        self,
        path: str,
        hub: HubAccess = HubAccess(),
        within: str | Path | None = None,
    ) -> None:
        try:
            super().__init__(path, {"parquet": True}, hub, within)
        except DamagedFileError as error:
            raise DamagedFileError(f"not a whole Parquet file: {error.strerror}", path) from error
        self._hub = hub
        found = self.description
        try:
            with self._sensible():
                #: The number of rows.
                self.rows: int = int(found["rows"])
                #: The names of its columns, of those that may hold images (of several only the one called `image`,
                #: where it exists), and of those of text, or lists of text.
                self.columns: list[str] = list(map(str, found["columns"]))
                self.image_columns: list[str] = list(map(str, found["images"]))
                self.text_columns: list[str] = list(map(str, found["texts"]))
            if not 0 <= self.rows <= min(_MOST_ROWS, max(_MOST_ROWS_OF_SMALL, self._length())):
                raise DamagedFileError(f"{self.rows:,} rows in {self._length():,} bytes", path)
        except BaseException:
            self.close()
            raise

    def read(self, row: int, column: str | None = None) -> bytes:
        """The bytes of the image in a row, in `column` (None: the one that may hold images). A path in the row is one
        below the folder of the Parquet file."""
        self._require(row)
        answer, body = self._ask({"image": row, "column": column})
        if answer.get("none"):
            raise FileNotFoundError(errno.ENOENT, "the row has no image", f"{self._path}#row={row}")
        return self._beside(str(answer["path"])) if "path" in answer else body

    def names_files(self, column: str | None = None) -> bool:
        """Whether the image in the first row, in `column` as in `read`, is the path of a file."""
        try:
            return self.rows > 0 and "path" in self._ask({"image": 0, "column": column})[0]
        except DamagedFileError:
            return False

    def values(self, row: int, columns: Sequence[str]) -> dict[str, Any]:
        """The values of some columns of a row, as JSON has them."""
        self._require(row)
        values = self._ask({"values": row, "columns": list(columns)})[0].get("values")
        with self._sensible():
            if not isinstance(values, dict):
                raise TypeError
        return values

    def _require(self, row: int) -> None:
        if not 0 <= row < self.rows:
            raise FileNotFoundError(errno.ENOENT, "the file has fewer rows", f"{self._path}#row={row}")

    def _beside(self, name: str) -> bytes:
        folder = self._path.rpartition("/")[0] or "."
        if ".." in PurePosixPath(name).parts or name.startswith("/") or "\0" in name:
            raise OutsideError(name, folder)
        with open_file(f"{folder}/{name}", self._hub, folder) as file:
            size = file.seek(0, os.SEEK_END)
            if size > LARGEST:
                raise OSError(errno.EFBIG, f"{size:,} bytes", name)
            file.seek(0)
            return file.read()


class _Processes:
    """The processes that open containers: an idle one is used again."""

    def __init__(self, start: Callable[[], LimitedProcess]) -> None:
        self._start, self._lock = start, threading.Lock()
        self._idle: list[LimitedProcess] = []

    def take(self) -> LimitedProcess:
        with self._lock:
            self._idle = [process for process in self._idle if process.usable]
            if self._idle:
                return self._idle.pop()
        return self._start()

    def give_back(self, process: LimitedProcess) -> None:
        with self._lock:
            if len(self._idle) < _IDLE and process.usable:
                self._idle.append(process)
                return
        process.close()


_PROCESSES = _Processes(lambda: LimitedProcess("workspace.container_process", LIMITS))
