"""The images that the manifest names: files of their own, images inside the sample parts, and those at a locator (real
images in archives, in tables, on the Hub).

An image inside a part is read together with the others of the part, because the manifest has them in the same order:
the parts read last are kept in memory. Threads may share a reader.
"""

import errno
import hashlib
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from captioning.formats import REAL_FORMATS
from samplers.sample import part_of
from workspace.errors import CommunityForensicsError, in_one_line, is_refusal
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.locator import LocatorReader, is_plain_file
from workspace.roots import located, read_roots

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")

#: Parts whose images are kept in memory: a row group of the manifest has about three, of a few megabytes each.
_PARTS = 4
#: Parts whose file sizes are kept in memory.
_SIZES = 64


@contextmanager
def picture(content: bytes) -> Iterator["Image.Image"]:
    """Open an image file of unknown origin: only formats of a fixed list, and every error of Pillow, in the block too,
    becomes an `OSError`."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes that are large but allowed
            with Image.open(io.BytesIO(content), formats=REAL_FORMATS) as image:
                yield image
    except (ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise OSError(None, f"is not a readable image: {in_one_line(error, named=False)}") from error


def changed_file(path: str, reason: str) -> CommunityForensicsError:
    """The error for a file that has changed since the manifest was built."""
    return CommunityForensicsError(
        f"{path} has changed since the manifest was built ({reason}): run `cf-build-manifest --verify full`, which "
        "names all such files"
    )


class ImageReader:
    """Reads images by the manifest's column `path`. All methods raise `OSError` as the file system does."""

    def __init__(self, workspace: Workspace, hub: HubAccess = HubAccess()) -> None:
        """`hub`: where images are read whose locators begin with hf://."""
        self._workspace, self._root = workspace, workspace.root
        self._roots = read_roots(workspace)
        self._lock = threading.Lock()
        self._locators = LocatorReader(hub)
        self._contents = lru_cache(_PARTS)(self._read_contents)
        self._sizes = lru_cache(_SIZES)(self._read_sizes)

    def place(self, path: str) -> str:
        """Where an image that is in no part is on this machine: an absolute path, or a locator."""
        return located(self._workspace, path, self._roots)

    def size(self, path: str) -> int:
        """Bytes of an image file."""
        inside = part_of(path)
        if inside is None:
            place = self.place(path)
            return Path(place).stat().st_size if is_plain_file(place) else self._locators.size(place)
        with self._lock:
            return self._found(self._sizes(inside[0]), inside)

    def read(self, path: str) -> bytes:
        """An image file, whole."""
        inside = part_of(path)
        if inside is None:
            place = self.place(path)
            return Path(place).read_bytes() if is_plain_file(place) else self._locators.read(place)
        with self._lock:
            return self._found(self._contents(inside[0]), inside)

    def read_unchanged(self, path: str, sha256: str) -> bytes:
        """An image file, whole, with the sha256 of its row; raises `CommunityForensicsError` for any other content."""
        try:
            content = self.read(path)
        except OSError as error:
            if is_refusal(error):
                raise
            raise changed_file(path, error.strerror or "cannot be read") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise changed_file(path, "its sha256 differs")
        return content

    def file(self, path: str) -> Path | None:
        """The image's own file; None: it is inside another one, or on the Hub."""
        if part_of(path) is not None:
            return None
        place = located(self._workspace, path, self._roots)
        return Path(place) if is_plain_file(place) else None

    def _read_contents(self, part: str) -> dict[str, bytes]:
        table = self._table(part, ["image_name", "image.bytes"])
        images = table.column("image").combine_chunks().field("bytes")
        names = table.column("image_name").to_pylist()
        return {name: content.as_py() for name, content in zip(names, images, strict=True) if content.is_valid}

    def _read_sizes(self, part: str) -> dict[str, int]:
        table = self._table(part, ["image_name", "file_size"])
        return {name: size for name, size in zip(*table.to_pydict().values(), strict=True) if name is not None}

    def _table(self, part: str, columns: list[str]) -> pa.Table:
        try:
            with (
                (self._root / part).open("rb") as opened,
                pq.ParquetFile(opened, page_checksum_verification=True) as file,
            ):
                return file.read(columns=columns)
        except pa.ArrowException as error:
            raise OSError(None, f"{part} is damaged") from error

    @staticmethod
    def _found(images: Mapping[str, T], inside: tuple[str, str]) -> T:
        part, name = inside
        if name not in images:
            raise FileNotFoundError(errno.ENOENT, f"no such image in {part}", name)
        return images[name]
