"""The response with a file that is still being downloaded: bytes are sent as they arrive."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from localhub.app import MEDIA_TYPE
from localhub.blobs import CHUNK_BYTES
from localhub.mirror.downloads import Download

#: Seconds between two looks for more bytes.
_LOOK = 0.02
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def growing_response(request: Request, download: Download, headers: Mapping[str, str]) -> Response:
    """The file, or the one range that is requested."""
    size, start, stop, status = download.size, 0, download.size, 200
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        asked = None
    own = {**headers, "Accept-Ranges": "bytes"}
    if asked is not None and (asked[1] or asked[2]):
        first, last = asked[1], asked[2]
        start = int(first) if first else max(0, size - int(last))
        stop = min(int(last) + 1, size) if first and last else size
        if start >= stop:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        status = 206
        own["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    own["Content-Length"] = str(stop - start)
    return StreamingResponse(_bytes(request, download, start, stop), status, own, media_type=MEDIA_TYPE)


async def _bytes(request: Request, download: Download, start: int, stop: int) -> AsyncIterator[bytes]:
    """The bytes of a range, as they arrive; the connection is closed before the last ones where they do not, or where
    those that were sent are not those of the content whose hash is right: a damaged download is made again meanwhile.
    """
    at, sent, is_checked = start, hashlib.sha256(), False
    while at < stop:
        blob = download.blob
        if blob is not None and not is_checked:
            if at > start and await run_in_threadpool(_digest, blob, start, at) != sent.digest():
                break
            is_checked = True
        if (end := min(download.available(), stop)) > at:
            piece = await run_in_threadpool(_read, blob or download.partial, at, min(CHUNK_BYTES, end - at))
            at += len(piece)
            if piece:
                if not is_checked:
                    sent.update(piece)
                yield piece
                continue
            if blob is not None:  # it was removed to make room
                break
        if download.ended.is_set() and download.blob is None:
            break
        await asyncio.sleep(_LOOK)
    if at < stop:
        request.scope["transport"].abort()
        await asyncio.sleep(_LOOK)  # until the server knows


def _read(path: Path, at: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    except FileNotFoundError:  # it has just become complete, or is downloaded once more
        return b""


def _digest(path: Path, start: int, stop: int) -> bytes:
    """The sha256 of a range of a file; of less where the file is shorter or gone."""
    digest = hashlib.sha256()
    while start < stop and (part := _read(path, start, min(CHUNK_BYTES, stop - start))):
        digest.update(part)
        start += len(part)
    return digest.digest()
