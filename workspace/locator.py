"""Locators: texts that say where the bytes of an image are, and the reader that fetches these bytes.

    /data/coco/val2017/000000000139.jpg                    a file
    /data/laion/00000.tar#000000012.jpg                    a member of a tar archive, or of a .zip
    /data/faces/train.parquet#row=000000017                a row of a Parquet file, counted from 0
    /data/faces/train.parquet#row=000000017,column=photo   the same, of a column that the user named
    hf://datasets/ORG/NAME@COMMIT/train.parquet#row=...    the same on the Hub, pinned; also .tar#... and plain files

A file with a name such as `a.tar#b.jpg` is read as that file. Rows have nine digits, so that names sort as rows do.
"""

import errno
import os
import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from workspace.containers import HUB, ParquetImages, Tar, Zip, open_file
from workspace.errors import HubError, in_one_line
from workspace.hub_access import HubAccess

#: Where bytes are: a path, or the text of a locator.
Locator = Path | str

_INSIDE = re.compile(r"(.+?\.(?:(tar|zip)|parquet))#(.+)", re.ASCII | re.DOTALL | re.IGNORECASE)
_ROW = re.compile(r"row=([0-9]{1,18})(?:,column=(.+))?", re.ASCII | re.DOTALL)

Container: TypeAlias = Tar | Zip | ParquetImages

#: Containers that one reader keeps open: images are mostly requested in their order in the container.
_OPEN = 4


def row_locator(row: int, column: str | None = None) -> str:
    """The part of a locator behind the `#` of a Parquet file, for a row counted from 0; `column`: where the images are
    in another column than the one that is found by type and name."""
    return f"row={row:09d}" + (f",column={column}" if column is not None else "")


def row_and_column(inside: str) -> tuple[int, str | None]:
    """The two of that part of a locator."""
    match = _ROW.fullmatch(inside)
    if match is None:
        raise ValueError(inside)
    return int(match[1]), match[2]


def split_locator(locator: Locator) -> tuple[str, str] | None:
    """The container and the member or row inside it; None for the locator of a plain file."""
    text = str(locator)
    match = _INSIDE.fullmatch(text)
    if match is None or (not match[2] and not _ROW.fullmatch(match[3])):
        return None
    if not text.startswith(HUB) and os.path.lexists(text):
        return None
    return match[1], match[3]


def is_plain_file(locator: Locator) -> bool:
    """Whether the locator is the path of a file on this machine."""
    return not str(locator).startswith(HUB) and split_locator(locator) is None


class LocatorReader:
    """Fetches bytes by locator; the containers used last stay open. Threads may share it.

    All methods raise `OSError` for what is missing, damaged or forbidden, and `HubError` where the Hub does not answer:
    then nothing is known of the image.
    """

    def __init__(self, hub: HubAccess = HubAccess()) -> None:
        """`hub`: the Hub of locators that begin with hf://."""
        self._hub = hub
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[object, ...], Container] = OrderedDict()
        weakref.finalize(self, _close, self._open)

    def read(self, locator: Locator, within: Path | None = None, limit: int | None = None) -> bytes:
        """All bytes, unchanged; or, of a file or a member, the first `limit`. A file on this machine must be in the
        folder `within` (None: anywhere), after all links were followed."""
        inside = split_locator(locator)
        if inside is None:
            with hub_errors(str(locator)), open_file(str(locator), self._hub, within) as file:
                return file.read() if limit is None else file.read(limit)
        with self._lock, hub_errors(inside[0]):
            container = self._container(inside[0], within)
            if isinstance(container, Tar | Zip):
                return container.read(inside[1], limit)
            return container.read(*row_and_column(inside[1]))

    def size(self, locator: Locator) -> int:
        """The number of bytes that `read` would return."""
        inside = split_locator(locator)
        if inside is None:
            with hub_errors(str(locator)), open_file(str(locator), self._hub) as file:
                return file.seek(0, os.SEEK_END)
        with self._lock, hub_errors(inside[0]):
            container = self._container(inside[0])
            if isinstance(container, Tar | Zip):
                return container.size(inside[1])
            return len(container.read(*row_and_column(inside[1])))

    def values(self, path: str, row: int, columns: Sequence[str], within: Path | None = None) -> dict[str, Any]:
        """The values of some columns of a row of a Parquet file, as JSON has them."""
        with self._lock, hub_errors(path):
            container = self._container(path, within)
            if not isinstance(container, ParquetImages):
                raise OSError(errno.EINVAL, "not a Parquet file", path)
            return container.values(row, columns)

    def _container(self, path: str, within: Path | None = None) -> Container:
        # A forked process shares the positions of its parent's open files, and a file may have been replaced.
        status = None if path.startswith(HUB) else Path(path).stat()
        key = (os.getpid(), path, within, status and (status.st_mtime_ns, status.st_size, status.st_ino))
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        kinds: dict[str, type[Container]] = {".tar": Tar, ".zip": Zip}
        kind = kinds.get(path[-4:].lower(), ParquetImages)
        opened = kind(path, self._hub, within)
        self._open[key] = opened
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].close()
        return opened


def _close(containers: OrderedDict[tuple[object, ...], Container]) -> None:
    for container in containers.values():
        container.close()


@contextmanager
def hub_errors(path: str) -> Iterator[None]:
    """A block that reads a container: raises `HubError` when the Hub does not answer, and lets the `OSError` of a file
    that is damaged (EIO, by workspace/containers.py) or missing pass."""
    try:
        yield
    except Exception as error:
        known = isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.EIO
        if known or not path.startswith(HUB):
            raise
        raise HubError(
            f"{path} cannot be fetched ({in_one_line(error, 200)}); finished work is kept: run the same command again"
        ) from error


@cache
def process_reader(hub: HubAccess = HubAccess()) -> LocatorReader:
    """The reader of this process for a Hub: for callers that read one image after another from a container."""
    return LocatorReader(hub)
