"""Real images: opened with suspicion, measured as they are, shown to the captioner as people see them.

A file is read once: its sha256 is that of the bytes as they lie there, and the pixels come from the same open file.
It is decoded to its end, also when it needs no caption from us: what is truncated or damaged is found out here and
not by a reader of the dataset. Formats are a fixed list, so no file name or header starts another program (Pillow
would run Ghostscript for EPS), and pixels are counted before they are allocated.

The *view* for the captioner is RGB, upright (EXIF orientation applied), the first frame of an animation, on white where
it is transparent, 16-bit and float values scaled to 8 bits. Nothing of that touches the file or what is recorded of it.
"""

import errno
import hashlib
import os
import stat
import warnings
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

from captioning.prompt import REAL_FORMATS
from captioning.skipped import SkipReason
from workspace.locator import Locator, is_plain_file, process_reader

if TYPE_CHECKING:
    from PIL import Image

RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw")
"""Suffixes of cameras' raw files. Many are TIFF files of which only a thumbnail is a picture, so none is decoded."""

MAX_PIXELS = 178_956_970
"""More is refused, as by Pillow itself (twice its warning level): 512 MiB of RGB, more than any camera takes."""


class UnusableImageError(Exception):
    """An image that gives no prompt; `reason` is of the closed set, `detail` for people."""

    def __init__(self, reason: SkipReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: SkipReason = reason
        self.detail = detail


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of a real image: sha256 of its file, Pillow's names of its format and mode (RGB, L, CMYK,
    P, I;16, ...), pixels as stored."""

    sha256: str
    format: str
    mode: str
    width: int
    height: int


def read_image(
    path: Locator, least: int | None = None, content: bytes | None = None
) -> tuple[ImageFacts, "Image.Image"]:
    """The facts of an image and its RGB view; `content` is what `fetch` gave, for a process that should not fetch.

    A view of a JPEG whose sides are at least `least` pixels long is enough; None: the view is as large as the image.
    Raises `UnusableImageError`, and nothing else, whatever lies there; `HubError` where the Hub does not answer.
    """
    content = fetch(path) if content is None else content
    if content is not None:
        return _decode(BytesIO(content), hashlib.sha256(content).hexdigest(), Path(path).suffix, least)
    with _open_file(Path(path)) as file:
        try:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return _decode(file, sha256, Path(path).suffix, least)
        except OSError as error:
            raise UnusableImageError("unreadable", _said(error)) from error


def fetch(path: Locator) -> bytes | None:
    """The bytes of an image in an archive, in a table or on the Hub; None for a file, which is read where it lies.

    Errors as `read_image`.
    """
    if is_plain_file(path):
        return None
    try:
        content = process_reader().read(path)
    except FileNotFoundError as error:
        raise UnusableImageError("missing", error.strerror or "not there") from error
    except OSError as error:
        raise UnusableImageError("unreadable", _said(error)) from error
    if not content:
        raise UnusableImageError("empty", "zero bytes")
    return content


def _open_file(path: Path) -> BufferedReader:
    """The file, open; a pipe is refused before opening it would wait for a writer."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableImageError("not-a-file", "not a regular file")
        if status.st_size == 0:
            raise UnusableImageError("empty", "zero bytes")
        return path.open("rb")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            detail = "a link that leads nowhere" if path.is_symlink() else "no such file"
            raise UnusableImageError("missing", detail) from error
        raise UnusableImageError("unreadable", _said(error)) from error


def _decode(file: IO[bytes], sha256: str, suffix: str, least: int | None) -> tuple[ImageFacts, "Image.Image"]:
    from PIL import Image, UnidentifiedImageError

    if suffix.lower() in RAW_SUFFIXES:
        raise UnusableImageError("not-an-image", "a camera's raw file, which is no picture yet")
    with warnings.catch_warnings():
        # Pillow warns of half of what it refuses, and of odd metadata: neither is news to the reader.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=REAL_FORMATS)
        except Image.DecompressionBombError as error:
            raise UnusableImageError("too-large", f"more than {MAX_PIXELS:,} pixels") from error
        except UnidentifiedImageError as error:
            raise UnusableImageError("not-an-image", f"not one of {', '.join(REAL_FORMATS)}") from error
        # Decoders of strangers' files fail in as many ways as there are files.
        except Exception as error:
            raise UnusableImageError("broken", _said(error)) from error
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnusableImageError("too-large", f"{width}x{height} pixels")
            try:
                if least is not None:
                    image.draft(None, (least, least))
                image.load()
                facts = ImageFacts(sha256, str(image.format), image.mode, width, height)
                return facts, _view(image)
            except Image.DecompressionBombError as error:
                raise UnusableImageError("too-large", f"more than {MAX_PIXELS:,} pixels") from error
            except Exception as error:
                raise UnusableImageError("broken", _said(error)) from error


def _view(image: "Image.Image") -> "Image.Image":
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # EXIF data that cannot be read says nothing about orientation
        image = image.copy()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """16-bit integers divided down; 32-bit integers and floats, which have no fixed range, from least to greatest."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    else:
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _said(error: Exception) -> str:
    """An error in one line that is the same wherever it is met: no path, no address in memory."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
