"""Uploads, with the Hub's protocol without Xet.

The client requests `preupload`, which says for each file whether it is sent inside the commit or through LFS; the LFS
`batch` gives an address for each content that is not stored yet; the client sends it there with `PUT`, and its size and
SHA-256 are checked; the commit is one line of JSON for each change. It names contents by their hash and fails if one
was not uploaded.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from localhub import web
from localhub.access import AccessControl
from localhub.blobs import CHUNK_BYTES
from localhub.names import check_path, is_sha256
from localhub.records import Commit, File, is_large
from localhub.request_errors import BadRequest, EntryNotFound, RequestError
from localhub.store import Store

#: Longest line of a commit, in bytes: a file of less than 10 MiB in base64, and its path.
MAX_LINE_BYTES = 48 << 20
#: Maximum number of contents in one LFS batch.
MAX_BATCH = 1000


def modes(request: Mapping[str, Any], commit: Commit) -> dict[str, Any]:
    """The answer to `preupload`: how to send each file, and the id of its present content in the commit."""
    answers = []
    for item in web.field(request, "files", list):
        path, size = check_path(web.field(item, "path", str)), web.field(item, "size", int)
        present = commit.files.get(path)
        mode = "lfs" if is_large(path, size) else "regular"
        oid = present.etag if present else None
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return {"files": answers}


def batch(request: Mapping[str, Any], store: Store, access: AccessControl, base: str, verify: str) -> dict[str, Any]:
    """The answer to the LFS batch: an upload address for each content that is not stored yet."""
    if web.field(request, "operation", str) != "upload":
        raise BadRequest("this Hub has LFS for uploads only; files are downloaded from their resolve address")
    wanted = web.field(request, "objects", list)
    if len(wanted) > MAX_BATCH:
        raise BadRequest(f"a batch may have at most {MAX_BATCH} objects")
    objects = []
    for item in wanted:
        oid, size = web.field(item, "oid", str), web.field(item, "size", int)
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if not is_sha256(oid) or size < 0:
            answer["error"] = {"code": 422, "message": "an object must have a SHA-256 and a size"}
        elif store.blobs.size(oid) is None:
            address = f"{base}/lfs-storage/{oid}?{urlencode(access.sign_upload(oid, size))}"
            answer["actions"] = {"upload": {"href": address}, "verify": {"href": verify}}
        objects.append(answer)
    return {"transfer": "basic", "objects": objects}


async def receive(request: Request, store: Store, access: AccessControl) -> Response:
    """Receive one content, at the address that `batch` gave."""
    oid, size = web.part(request, "oid"), web.number(request, "size", 0)
    signature = request.query_params.get("signature", "")
    access.check_upload(oid, size, web.number(request, "expires", 0), signature)
    announced = request.headers.get("content-length")
    if announced is not None and announced != str(size):
        raise BadRequest(f"the request has {announced} bytes, but {size} were announced")
    with store.blobs.receive(oid, size) as incoming:
        async for piece in _pieces(request):
            await asyncio.to_thread(incoming.write, piece)
    return Response()


def verify(request: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """The answer to whether a content was uploaded."""
    oid, size = web.field(request, "oid", str), web.field(request, "size", int)
    if store.blobs.size(oid) != size:
        raise EntryNotFound(f"the object {oid} of {size} bytes was not uploaded")
    return {}


@dataclass
class Changes:
    """The changes of a commit, read line by line."""

    store: Store
    summary: str = ""
    parent: str | None = None
    add: dict[str, File] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)

    def read(self, line: bytes) -> None:
        """Read one line: a header, a file's content, a large file's hash, or a deletion."""
        record = web.as_object(line)
        value = web.field(record, "value", dict)
        key = web.field(record, "key", str)
        if key == "header":
            self._header(value)
            return
        path = web.field(value, "path", str)
        if key == "file":
            self.add[path] = self._small(check_path(path), value)
        elif key == "lfsFile":
            self.add[path] = self._large(check_path(path), value)
        elif key == "deletedFile":
            self.delete.append(check_path(path))
        elif key == "deletedFolder":
            self.delete.append(check_path(path.rstrip("/")) + "/")
        else:
            raise BadRequest(f"{key!r} is not a valid key in a commit")

    def _header(self, value: Mapping[str, Any]) -> None:
        summary, description = web.field(value, "summary", str, ""), web.field(value, "description", str, "")
        self.summary = f"{summary}\n\n{description}".strip() if description else summary
        self.parent = web.field(value, "parentCommit", str, None)

    def _small(self, path: str, value: Mapping[str, Any]) -> File:
        content = web.field(value, "content", str)
        if web.field(value, "encoding", str, "utf-8") != "base64":
            return self.store.small_file(*self.store.blobs.put(content.encode()))
        try:
            decoded = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"the content of {path!r} is not valid base64") from None
        return self.store.small_file(*self.store.blobs.put(decoded))

    def _large(self, path: str, value: Mapping[str, Any]) -> File:
        oid = web.field(value, "oid", str)
        size = self.store.blobs.size(oid)
        if size is None or web.field(value, "size", int, size) != size:
            raise BadRequest(f"the object {oid} of {path!r} was not uploaded with that size")
        return File.large(oid, size)


async def changes(request: Request, store: Store) -> Changes:
    """The changes of a commit's body, read line by line: the longest line bounds the memory, not the commit."""
    web.check_json(request)
    found, rest = Changes(store), bytearray()
    async for piece in web.stream(request):
        rest += piece
        if b"\n" in piece:
            *lines, tail = bytes(rest).split(b"\n")
            for line in lines:
                if line.strip():
                    await asyncio.to_thread(found.read, line)
            rest = bytearray(tail)
        if len(rest) > MAX_LINE_BYTES:
            raise RequestError(f"a line of the commit is longer than {MAX_LINE_BYTES} bytes", status=413)
    if rest.strip():
        await asyncio.to_thread(found.read, bytes(rest))
    return found


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces that are large enough to be written in another thread."""
    buffered = bytearray()
    async for piece in web.stream(request):
        buffered += piece
        if len(buffered) >= CHUNK_BYTES:
            yield bytes(buffered)
            buffered.clear()
    if buffered:
        yield bytes(buffered)
