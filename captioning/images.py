"""Real images: decoded with care, measured as stored, shown to the captioner as people see them.

A file is read once: its sha256 and its pixels come from the same open file. It is decoded completely, also when its
caption is known: truncated and damaged files are found here and not by a reader of the dataset. Formats are a fixed
list, so no file can start another program (Pillow would run Ghostscript for EPS), and pixels are counted before memory
is allocated.

What the captioner gets is RGB, upright (EXIF orientation applied), the first frame of an animation, on white where the
image is transparent, with 16-bit and float values scaled to 8 bits. The file, and what is recorded of it, stay as they
are.
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
from workspace.errors import in_one_line
from workspace.hub_access import HubAccess
from workspace.locator import Locator, is_plain_file, process_reader

if TYPE_CHECKING:
    from PIL import Image

RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw")
"""Suffixes of cameras' raw files. Many are TIFF files of which only a thumbnail can be shown, so none is decoded."""

MAX_PIXELS = 178_956_970
"""Larger images are refused, at the same limit as Pillow's (twice its warning level): 512 MiB of RGB, more than any
camera takes."""


class UnusableImageError(Exception):
    """An image that gives no prompt; `reason` is its code, `detail` the same in words."""

    def __init__(self, reason: SkipReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: SkipReason = reason
        self.detail = detail


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of a real image: the file's sha256, Pillow's names of its format and mode (RGB, L, CMYK, P,
    I;16, ...), width and height in pixels as stored."""

    sha256: str
    format: str
    mode: str
    width: int
    height: int


def read_image(
    path: Locator, min_side: int | None = None, content: bytes | None = None
) -> tuple[ImageFacts, "Image.Image"]:
    """The facts of an image, and the image in RGB. `content` is the result of `fetch`: None for a file of its own.

    `min_side`: a JPEG may be decoded at a reduced size whose sides have at least so many pixels; None: full size.
    Raises `UnusableImageError`, and nothing else, whatever the file holds.
    """
    if content is not None:
        return _decode(BytesIO(content), hashlib.sha256(content).hexdigest(), Path(path).suffix, min_side)
    with _open_file(Path(path)) as file:
        try:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return _decode(file, sha256, Path(path).suffix, min_side)
        except OSError as error:
            raise UnusableImageError("unreadable", _cause(error)) from error


def fetch(path: Locator, hub: HubAccess = HubAccess()) -> bytes | None:
    """The bytes of an image in an archive, in a table or on the Hub; None for a file of its own, which is not read.

    Raises `UnusableImageError`, and `HubError` when the Hub does not answer.
    """
    if is_plain_file(path):
        return None
    try:
        content = process_reader(hub).read(path)
    except FileNotFoundError as error:
        raise UnusableImageError("missing", error.strerror or "does not exist") from error
    except OSError as error:
        raise UnusableImageError("unreadable", _cause(error)) from error
    if not content:
        raise UnusableImageError("empty", "zero bytes")
    return content


def _open_file(path: Path) -> BufferedReader:
    """The file, open; a pipe is refused first, because opening it would wait for a writer."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnusableImageError("not-a-file", "not a regular file")
        if status.st_size == 0:
            raise UnusableImageError("empty", "zero bytes")
        return path.open("rb")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            detail = "a link whose target does not exist" if path.is_symlink() else "no such file"
            raise UnusableImageError("missing", detail) from error
        raise UnusableImageError("unreadable", _cause(error)) from error


def _decode(file: IO[bytes], sha256: str, suffix: str, min_side: int | None) -> tuple[ImageFacts, "Image.Image"]:
    from PIL import Image, UnidentifiedImageError

    if suffix.lower() in RAW_SUFFIXES:
        raise UnusableImageError("not-an-image", "a camera's raw file, which is not decoded")
    with warnings.catch_warnings():
        # Pillow warns of half of what is refused here, and of unusual metadata: neither helps the user.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=REAL_FORMATS)
        except Image.DecompressionBombError as error:
            raise UnusableImageError("too-large", f"more than {MAX_PIXELS:,} pixels") from error
        except UnidentifiedImageError as error:
            raise UnusableImageError("not-an-image", f"not one of {', '.join(REAL_FORMATS)}") from error
        # On damaged files decoders fail with any kind of error.
        except Exception as error:
            raise UnusableImageError("broken", _cause(error)) from error
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnusableImageError("too-large", f"{width}x{height} pixels")
            try:
                if min_side is not None:
                    image.draft(None, (min_side, min_side))
                image.load()
                facts = ImageFacts(sha256, str(image.format), image.mode, width, height)
                return facts, _as_seen(image)
            except Image.DecompressionBombError as error:
                raise UnusableImageError("too-large", f"more than {MAX_PIXELS:,} pixels") from error
            except Exception as error:
                raise UnusableImageError("broken", _cause(error)) from error


def _as_seen(image: "Image.Image") -> "Image.Image":
    """The image in RGB, upright and on white."""
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # unreadable EXIF data: the orientation is unknown
        image = image.copy()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """16-bit integers scaled from their full range; 32-bit integers and floats, which have no fixed range, from their
    least to their greatest value."""
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


def _cause(error: Exception) -> str:
    """An error in words that are the same on every machine: of a system error only its name, no path."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return in_one_line(error, 200)
