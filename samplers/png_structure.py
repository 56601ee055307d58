"""The structure of a PNG file: that it is one of the expected mode and size, with nothing beside the picture.

Nothing is decoded: the length and checksum of every chunk are compared, and the header is read
(https://www.w3.org/TR/png-3/).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Literal

PngFault = Literal["not-png", "metadata", "damaged", "trailing-data", "other-size"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Of a chunk's length, type and checksum.
_AROUND = 12

#: The chunks of the picture itself; anything else is metadata, or an animation.
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

#: Mode by bit depth and colour type, as the sampler writes them (https://www.w3.org/TR/png-3/#11IHDR).
_MODES = {(8, 0): "L", (8, 2): "RGB"}


def png_fault(content: bytes, mode: str, width: int, height: int) -> PngFault | None:
    """What is wrong with a PNG file; None: it is one of that mode (L or RGB) and size (pixels), and nothing else."""
    if not content.startswith(_SIGNATURE):
        return "not-png"
    chunks = list(chunks_of(content))
    if not _PICTURE_CHUNKS.issuperset(kind for kind, _ in chunks):
        return "metadata"
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        return "damaged"
    if len(_SIGNATURE) + sum(_AROUND + len(data) for _, data in chunks) < len(content):
        return "trailing-data"
    facts = struct.unpack(">IIBB", chunks[0][1][:10])
    if (*facts[:2], _MODES.get(facts[2:])) != (width, height, mode):
        return "other-size"
    return None


def chunks_of(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Type and data of a PNG's chunks in order, up to the one that ends it or to the first that is cut short or has
    another checksum than it says."""
    view, at, kind = memoryview(content), len(_SIGNATURE), b""
    while kind != b"IEND" and at + _AROUND <= len(content):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        kind, data, checksum = bytes(view[at + 4 : at + 8]), view[at + 8 : end], view[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            return
        yield kind, data
        at = end + 4
