"""The body of an answer, read with a limit: of bytes, after they were decompressed, and of time.

A few kilobytes of gzip may stand for gigabytes, so they are decompressed in steps of `_STEP` and counted.
"""

import time
import zlib
from collections.abc import Iterator

import httpx2

#: Bytes that the compressed form may have beyond those that it stands for: headers, and text that does not compress.
_OVERHEAD = 1 << 20
#: Bytes a second that an answer must come with, over `PATIENCE` seconds of waiting for it: less is no connection that
#: anything could be downloaded with.
FLOOR = 4_000
PATIENCE = 60.0
_STEP = 1 << 20


class TooLargeError(httpx2.HTTPError):
    """An answer has more bytes than it may have."""


class BoundedBody(httpx2.SyncByteStream):
    """The decompressed bytes of `stream`: at most `most`, else it raises `TooLargeError`.

    Raises `httpx2.ReadTimeout` for one that is too slow, `httpx2.DecodingError` for one that cannot be decompressed.
    """

    def __init__(self, stream: httpx2.SyncByteStream, url: str, encoding: str, most: int) -> None:
        """Raises `ValueError` for an encoding other than gzip, which is all that requests ask for."""
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise ValueError(f"the body is compressed as {encoding[:40]!r}, which was not asked for")
        self._stream, self._url, self._most = stream, url, most
        self._is_gzip = encoding != "identity"

    def __iter__(self) -> Iterator[bytes]:
        parts = _paced(self._stream, self._url)
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


def _paced(stream: httpx2.SyncByteStream, url: str) -> Iterator[bytes]:
    """The parts of a body. Only the time of waiting for them counts, not that of writing them to a slow disk."""
    parts = iter(stream)
    waited, size = 0.0, 0
    while True:
        started = time.monotonic()
        part = next(parts, None)
        if part is None:
            return
        waited += time.monotonic() - started
        size += len(part)
        if waited > PATIENCE:
            if size < FLOOR * waited:
                raise httpx2.ReadTimeout(f"{url} sends less than {FLOOR // 1000} kB a second")
            waited, size = 0.0, 0
        yield part


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
