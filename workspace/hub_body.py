"""The body of an answer, read with a limit of bytes, which are counted after they were decompressed.

A few kilobytes of gzip may stand for gigabytes, so they are decompressed in steps of `_STEP` and counted.
"""

import zlib
from collections.abc import Iterator

import httpx2

#: Bytes that the compressed form may have beyond those that it stands for: headers, and text that does not compress.
_OVERHEAD = 1 << 20
_STEP = 1 << 20


class TooLargeError(httpx2.HTTPError):
    """An answer has more bytes than it may have."""


class BoundedBody(httpx2.SyncByteStream):
    """The decompressed bytes of `stream`: at most `most`, else it raises `TooLargeError`.

    Raises `httpx2.DecodingError` for one that cannot be decompressed.
    """

    def __init__(self, stream: httpx2.SyncByteStream, url: str, encoding: str, most: int) -> None:
        """Raises `ValueError` for an encoding other than gzip, which is all that requests ask for."""
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise ValueError(f"the body is compressed as {encoding[:40]!r}, which was not asked for")
        self._stream, self._url, self._most = stream, url, most
        self._is_gzip = encoding != "identity"

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self._stream)
        if self._is_gzip:
            # Also empty blocks without end stand for few bytes.
            parts = _decompressed(self._counted(parts, self._most + _OVERHEAD))
        return self._counted(parts, self._most)

    def _counted(self, parts: Iterator[bytes], most: int) -> Iterator[bytes]:
        size = 0
        for part in parts:
            size += len(part)
            if size > most:
                raise TooLargeError(f"{self._url} is larger than {self._most} bytes")
            yield part

    def close(self) -> None:
        """Close the connection or give it back."""
        self._stream.close()


def _decompressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for part in parts:
            left = part
            while left and not decoder.eof:
                yield decoder.decompress(left, _STEP)
                left = decoder.unconsumed_tail
            if decoder.eof:
                return
    except zlib.error as error:
        raise httpx2.DecodingError(str(error)) from error
