"""Pictures inside the page: as people see them, small, and decoded in processes with limits, because files are
strangers'.

Small generated images are included unchanged and enlarged by the browser without smoothing, so that their pixels are
visible; all others are made from what was seen: upright, on white where they are transparent, 16 bits scaled to 8.
"""

import base64
import functools
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from manifests.images import ImageReader
from manifests.manifest import FAKE
from manifests.pictures.readers import Picture, PictureReaders, Request
from samplers.sample import part_of
from workspace.locator import is_plain_file
from workspace.roots import split_root

#: Longest side of a shrunk picture in pixels (what a screen of double density needs for 96 of its own), and its quality
#: as WebP. A picture that is too large in bytes then gets the next pair.
THUMBNAILS = ((192, 80), (192, 50), (96, 50))

#: Bytes of one picture at most; in the page it takes four thirds of them.
PICTURE_BYTES = 9_000

#: A picture whose longest side has at most so many pixels is enlarged without smoothing.
_PIXELATED_SIDE = 96

#: Pictures whose encoding is remembered: several generators may have made the same one.
_REMEMBERED = 16

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Thumbnail:
    """One picture on the page, its prompt or class, where it comes from, and where its file is (None: it has none of
    its own)."""

    uri: str
    caption: str
    origin: dict[str, str]
    pixelated: bool
    link: str | None


def thumbnails(
    images: ImageReader, readers: PictureReaders, rows: Iterable[tuple[dict[str, Any], dict[str, str]]]
) -> Iterator[Thumbnail | None]:
    """The picture of each row of the manifest, with its origin; None where its file cannot be read."""
    asked = list(rows)
    contents: list[bytes | None] = []

    def questions() -> Iterator[Request | None]:
        for row, _ in asked:
            content = None
            with suppress(OSError, ValueError):
                content = images.read(row["path"])
            contents.append(content if content is not None and len(content) <= PICTURE_BYTES else None)
            yield (content and Request(content, PurePath(row["path"]).suffix, THUMBNAILS[0][0])) or None

    for number, seen in enumerate(readers.read(questions())):
        row, origin = asked[number]
        path = images.place(row["path"]) if split_root(row["path"]) and seen is not None else row["path"]
        yield None if seen is None else _thumbnail(seen, contents[number], row, origin, file_link(path))
        contents[number] = None


def _thumbnail(
    seen: Picture, content: bytes | None, row: dict[str, Any], origin: dict[str, str], link: str | None
) -> Thumbnail:
    caption = row["prompt"] or ("" if row.get("class_label") is None else f"class {row['class_label']}")
    unchanged = content if row["label"] == FAKE and content and content.startswith(_PNG) else None
    small = max(seen.size) <= _PIXELATED_SIDE
    if unchanged is not None and max(seen.size) <= THUMBNAILS[0][0]:
        kind, shown = "png", unchanged
    else:
        kind, shown = _encoded(seen.pixels.tobytes(), seen.pixels.shape, lossless=small)
    uri = f"data:image/{kind};base64,{base64.b64encode(shown).decode()}"
    return Thumbnail(uri, caption, origin, small, link)


@functools.lru_cache(maxsize=_REMEMBERED)
def _encoded(pixels: bytes, shape: tuple[int, ...], lossless: bool) -> tuple[str, bytes]:
    """The picture as PNG if it is small, otherwise as WebP; of at most `PICTURE_BYTES`, or as `THUMBNAILS` allows."""
    import numpy as np
    from PIL import Image

    picture, content = Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape)), b""
    if lossless:
        written = io.BytesIO()
        picture.save(written, "PNG")
        if len(written.getvalue()) <= PICTURE_BYTES:
            return "png", written.getvalue()
    for side, quality in THUMBNAILS:
        picture.thumbnail((side, side))
        written = io.BytesIO()
        picture.save(written, "WEBP", quality=quality, method=2)
        content = written.getvalue()
        if len(content) <= PICTURE_BYTES:
            break
    return "webp", content


def file_link(path: str) -> str | None:
    """A link from the page to an image's file, by its path in the workspace or on this machine; None where it has no
    file of its own."""
    if part_of(path) is not None or not is_plain_file(path):
        return None
    return Path(path).as_uri() if Path(path).is_absolute() else f"../{quote(path)}"
