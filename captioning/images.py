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
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, BinaryIO

from captioning.compression import Compression, compression_of
from captioning.formats import REAL_FORMATS
from workspace.containers import DamagedFileError
from workspace.errors import in_one_line
from workspace.hub_access import HubAccess
from workspace.locator import Locator, is_plain_file, process_reader
from workspace.regular_file import NotRegularError, OutsideError, open_regular

if TYPE_CHECKING:
    from PIL import Image

    from captioning.skipped import SkipReason  # not at run time: its records need Arrow, which decoding does not

RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw")
"""Suffixes of cameras' raw files. Many are TIFF files of which only a thumbnail can be shown, so none is decoded."""

MAX_PIXELS = 178_956_970
"""Larger images are refused, at the same limit as Pillow's (twice its warning level): 512 MiB of RGB, more than any
camera takes."""

MAX_BYTES = 1 << 30
"""Larger files are refused: as many bytes as `MAX_PIXELS` have uncompressed at 16 bits a channel."""


class UnusableImageError(Exception):
    """An image that gives no prompt; `reason` is its code, `detail` the same in words."""

    def __init__(self, reason: "SkipReason", detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: SkipReason = reason
        self.detail = detail


@dataclass(frozen=True)
class ImageFacts:
    """What is recorded of a real image: the file's sha256, Pillow's names of its format and mode (RGB, L, CMYK, P,
    I;16, ...), width and height in pixels as stored, its size in bytes and its compression."""

    sha256: str
    format: str
    mode: str
    width: int
    height: int
    file_size: int
    compression: Compression


def read_image(
    path: Locator, min_side: int | None = None, content: bytes | None = None, within: Path | None = None
) -> tuple[ImageFacts, "Image.Image"]:
    """The facts of an image, and the image in RGB. `content` is the result of `fetch`: None for a file of its own,
    which must be in the folder `within` (None: anywhere).

    `min_side`: a JPEG may be decoded at a reduced size whose sides have at least so many pixels; None: full size.
    Raises `UnusableImageError`, and nothing else, whatever the file holds.
    """
    suffix = PurePath(path).suffix
    if content is not None:
        return decode_image(BytesIO(content), suffix, min_side)
    with open_image(Path(path), within) as file:
        return decode_image(file, suffix, min_side)


def decode_image(
    file: BinaryIO, suffix: str, min_side: int | None = None, look: Callable[["Image.Image"], None] = lambda _: None
) -> tuple[ImageFacts, "Image.Image"]:
    """As `read_image`, of an open file; `suffix` is that of its name. `look` is called with the image as stored."""
    try:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file will do
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return _decode(file, sha256, size, suffix, min_side, look)
    except OSError as error:
        raise UnusableImageError("unreadable", _cause(error)) from error


def fetch(path: Locator, hub: HubAccess = HubAccess(), within: Path | None = None) -> bytes | None:
    """The bytes of an image in an archive, in a table or on the Hub; None for a file of its own, which is not read.

    An archive or a table must be in the folder `within` (None: anywhere). Raises `UnusableImageError`, and `HubError`
    when the Hub does not answer.
    """
    if is_plain_file(path):
        return None
    try:
        content = process_reader(hub).read(path, within)
    except FileNotFoundError as error:
        raise UnusableImageError("missing", error.strerror or "does not exist") from error
    except OutsideError as error:
        raise UnusableImageError("outside", "a path that leads out of the source") from error
    except DamagedFileError as error:
        raise UnusableImageError("broken", str(error.strerror)[:200]) from error
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise UnusableImageError("too-large", str(error.strerror)) from error
        raise UnusableImageError("unreadable", _cause(error)) from error
    if not content:
        raise UnusableImageError("empty", "zero bytes")
    return content


def open_image(path: Path, within: Path | None = None) -> BinaryIO:
    """An image file, open: a regular file in the folder `within` (None: anywhere). Raises `UnusableImageError`."""
    try:
        file = open_regular(path, within)
    except NotRegularError as error:
        raise UnusableImageError("not-a-file", "not a regular file") from error
    except OutsideError as error:
        raise UnusableImageError("outside", "a link to a file outside the source") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            detail = "a link whose target does not exist" if path.is_symlink() else "no such file"
            raise UnusableImageError("missing", detail) from error
        raise UnusableImageError("unreadable", _cause(error)) from error
    size = os.fstat(file.fileno()).st_size
    if 0 < size <= MAX_BYTES:
        return file
    file.close()
    if size == 0:
        raise UnusableImageError("empty", "zero bytes")
    raise UnusableImageError("too-large", f"{size:,} bytes")


def _decode(
    file: IO[bytes],
    sha256: str,
    size: int,
    suffix: str,
    min_side: int | None,
    look: Callable[["Image.Image"], None],
) -> tuple[ImageFacts, "Image.Image"]:
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
            raise _failure(error) from error
        with image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UnusableImageError("too-large", f"{width}x{height} pixels")
            try:
                if min_side is not None:
                    image.draft(None, (min_side, min_side))
                image.load()
                facts = ImageFacts(sha256, str(image.format), image.mode, width, height, size, compression_of(image))
                look(image)
                return facts, _as_seen(_upright(image))
            except UnusableImageError:
                raise
            except Image.DecompressionBombError as error:
                raise UnusableImageError("too-large", f"more than {MAX_PIXELS:,} pixels") from error
            except Exception as error:
                raise _failure(error) from error


def _failure(error: Exception) -> UnusableImageError:
    """What an error of a decoder says of the image."""
    if isinstance(error, ValueError) and "MAX_TEXT" in str(error):  # Pillow's limits, for all readers of the dataset
        return UnusableImageError("metadata", "its text or its colour profile is larger than Pillow reads")
    return UnusableImageError("broken", _cause(error))


def _upright(image: "Image.Image") -> "Image.Image":
    """The image as its EXIF orientation says, turned as `datasets.Image` does it.

    Where that fails, it fails for all who read the published dataset, and stops them there.
    """
    from PIL import ExifTags, ImageOps

    try:
        if image.getexif().get(ExifTags.Base.Orientation) is not None:
            return ImageOps.exif_transpose(image)
    except Exception as error:
        raise UnusableImageError("metadata", f"its EXIF data cannot be read: {_cause(error)}") from error
    try:
        xmp = image.info.get("xmp")
        if isinstance(xmp, bytes):  # Pillow 11 looks there for an orientation that EXIF does not have
            xmp.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableImageError("metadata", "its XMP data is not UTF-8, which Pillow 11 cannot read") from error
    return image


def _as_seen(image: "Image.Image") -> "Image.Image":
    """The image in RGB, and on white."""
    from PIL import Image

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
