"""What must hold of an image file beside its sha256: that it is the picture its row speaks of, and nothing else."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from manifests.images import picture
from samplers.child.pixel_checks import check_pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Of a chunk's length, type and checksum.
_AROUND = 12

#: The chunks that make the picture itself; anything else is metadata, or an animation.
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

#: Mode by bit depth and colour type, as the sampler writes them (https://www.w3.org/TR/png-3/#11IHDR).
_MODES = {(8, 0): "L", (8, 2): "RGB"}


def wrong_png(content: bytes, mode: str, width: int, height: int) -> str | None:
    """What is wrong with a generated image; None: it is a PNG of that mode and size (pixels), with nothing beside."""
    if not content.startswith(_SIGNATURE):
        return "are not PNG files"
    chunks = list(chunks_of(content))
    if not _PICTURE_CHUNKS.issuperset(kind for kind, _ in chunks):
        return "hold metadata beside the picture"
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        return "are damaged PNG files"
    if len(_SIGNATURE) + sum(_AROUND + len(data) for _, data in chunks) < len(content):
        return "hold something behind the picture"
    facts = struct.unpack(">IIBB", chunks[0][1][:10])
    if (*facts[:2], _MODES.get(facts[2:])) != (width, height, mode):
        return "have another mode or size than their row says"
    # Not before the size is known to be the row's: a header is a way to have any amount of memory taken.
    pixels = _decoded(content)
    if pixels is None or pixels.shape[:2] != (height, width):
        return "are damaged PNG files"
    return "are blank" if isinstance(check_pixels(pixels), str) else None


def wrong_photograph(content: bytes, image_format: str, width: int, height: int) -> str | None:
    """What is wrong with a real image, by its header alone: its sha256 is that of a file that was decoded before."""
    try:
        with picture(content) as image:
            facts = (image.format, *image.size)
    except OSError:
        return "are real images that no longer open"
    return None if facts == (image_format, width, height) else "have another format or size than their row says"


def chunks_of(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of a PNG's chunks in order, up to the one that ends it or to the first that is cut short or has
    another checksum than it says."""
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND" and at + _AROUND <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        kind, data, checksum = content[at + 4 : at + 8], content[at + 8 : end], content[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            return
        yield kind, data
        at = end + 4


def _decoded(content: bytes) -> "np.typing.NDArray[np.uint8] | None":
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
