"""What must hold of an image file beside its sha256: that it is the image its row describes, and nothing else."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from manifests.checks.failures import Problem
from manifests.checks.remedies import RESTORE_DATA_SET, SAMPLE_AGAIN
from manifests.images import picture
from samplers.image_checks import is_blank

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Of a chunk's length, type and checksum.
_AROUND = 12

#: The chunks of the picture itself; anything else is metadata, or an animation.
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

#: Mode by bit depth and colour type, as the sampler writes them (https://www.w3.org/TR/png-3/#11IHDR).
_MODES = {(8, 0): "L", (8, 2): "RGB"}


_NOT_PNG = Problem("image [file is|files are] not PNG", SAMPLE_AGAIN)
_METADATA = Problem("image [file contains|files contain] metadata", SAMPLE_AGAIN)
_TRAILING = Problem("image [file contains|files contain] data after the end of the picture", SAMPLE_AGAIN)
_DAMAGED = Problem("image [file is a damaged PNG|files are damaged PNGs]", SAMPLE_AGAIN)
_OTHER_SIZE = Problem("[image has|images have] another mode or size than [its row says|their rows say]", SAMPLE_AGAIN)
_BLANK = Problem("[image is|images are] blank", SAMPLE_AGAIN)
_NOT_READABLE = Problem("real [image|images] can no longer be opened", RESTORE_DATA_SET)
_OTHER_FORMAT = Problem(
    "real [image has|images have] another format or size than [its prompt says|their prompts say]", RESTORE_DATA_SET
)


def png_problem(content: bytes, mode: str, width: int, height: int) -> Problem | None:
    """What is wrong with a generated image; None: it is a PNG of that mode and size (pixels), and nothing else."""
    if not content.startswith(_SIGNATURE):
        return _NOT_PNG
    chunks = list(chunks_of(content))
    if not _PICTURE_CHUNKS.issuperset(kind for kind, _ in chunks):
        return _METADATA
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        return _DAMAGED
    if len(_SIGNATURE) + sum(_AROUND + len(data) for _, data in chunks) < len(content):
        return _TRAILING
    facts = struct.unpack(">IIBB", chunks[0][1][:10])
    if (*facts[:2], _MODES.get(facts[2:])) != (width, height, mode):
        return _OTHER_SIZE
    # Not before the size is known to be the row's: a header can ask for any amount of memory.
    pixels = _decoded(content)
    if pixels is None or pixels.shape[:2] != (height, width):
        return _DAMAGED
    return _BLANK if is_blank(pixels) else None


def real_image_problem(content: bytes, image_format: str, width: int, height: int) -> Problem | None:
    """What is wrong with a real image, by its header alone: a file of this sha256 was decoded when it was captioned."""
    try:
        with picture(content) as image:
            facts = (image.format, *image.size)
    except OSError:
        return _NOT_READABLE
    return None if facts == (image_format, width, height) else _OTHER_FORMAT


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
