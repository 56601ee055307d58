"""How files come in: ask which are large, upload those, then name everything in one commit.

The Hub's protocol without Xet. `preupload` says for each file whether it travels inside the commit or through LFS;
the LFS `batch` gives an address for each content that is not here yet; `PUT` takes it in, checked against the size
and SHA-256 it was announced with; the commit is a line of JSON for each change. A commit names contents by
hash and is refused if one never arrived.
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
from localhub.access import Doorkeeper
from localhub.blobs import CHUNK_BYTES
from localhub.names import check_path, is_sha256
from localhub.records import Commit, File, is_large
from localhub.refusals import BadRequest, EntryNotFound, Refusal
from localhub.store import Store

#: Longest line of a commit, in bytes: a file inside a commit is below 10 MiB, in base64, beside its path.
MAX_LINE_BYTES = 48 << 20
#: Most contents one LFS batch may name.
MAX_BATCH = 1000


def modes(request: Mapping[str, Any], commit: Commit) -> dict[str, Any]:
    """Answer `preupload`: for each file, how it travels, and the id of what the commit has there now."""
    answers = []
    for item in web.field(request, "files", list):
        path, size = check_path(web.field(item, "path", str)), web.field(item, "size", int)
        present = commit.files.get(path)
        mode = "lfs" if is_large(path, size) else "regular"
        oid = present.etag if present else None
        answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return {"files": answers}


def batch(request: Mapping[str, Any], store: Store, doorkeeper: Doorkeeper, base: str, verify: str) -> dict[str, Any]:
    """Answer the LFS batch: an address to upload each content to that is not here yet."""
    if web.field(request, "operation", str) != "upload":
        raise BadRequest("only uploads go through LFS here; files are downloaded from their resolve address")
    wanted = web.field(request, "objects", list)
    if len(wanted) > MAX_BATCH:
        raise BadRequest(f"a batch may name at most {MAX_BATCH} objects")
    objects = []
    for item in wanted:
        oid, size = web.field(item, "oid", str), web.field(item, "size", int)
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if not is_sha256(oid) or size < 0:
            answer["error"] = {"code": 422, "message": "an object needs a SHA-256 and a size"}
        elif store.blobs.size(oid) is None:
            address = f"{base}/lfs-storage/{oid}?{urlencode(doorkeeper.sign_upload(oid, size))}"
            answer["actions"] = {"upload": {"href": address}, "verify": {"href": verify}}
        objects.append(answer)
    return {"transfer": "basic", "objects": objects}


async def receive(request: Request, store: Store, doorkeeper: Doorkeeper) -> Response:
    """Take in one content, at the address that `batch` gave."""
    oid, size = web.part(request, "oid"), web.number(request, "size", 0)
    signature = request.query_params.get("signature", "")
    doorkeeper.check_upload(oid, size, web.number(request, "expires", 0), signature)
    announced = request.headers.get("content-length")
    if announced is not None and announced != str(size):
        raise BadRequest(f"{announced} bytes are on their way, but {size} were announced")
    with store.blobs.receive(oid, size) as incoming:
        async for piece in _pieces(request):
            await asyncio.to_thread(incoming.write, piece)
    return Response()


def verify(request: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Answer whether a content arrived."""
    oid, size = web.field(request, "oid", str), web.field(request, "size", int)
    if store.blobs.size(oid) != size:
        raise EntryNotFound(f"no object {oid} of {size} bytes was uploaded")
    return {}


@dataclass
class Changes:
    """What a commit's lines say, as they arrive."""

    store: Store
    summary: str = ""
    parent: str | None = None
    add: dict[str, File] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Take in one line: a header, a file's content, a large file's name, or a deletion."""
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
            raise BadRequest(f"a commit cannot hold {key!r}")

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
        held = self.store.blobs.size(oid)
        if held is None or web.field(value, "size", int, held) != held:
            raise BadRequest(f"{path!r} names the object {oid}, which was not uploaded in that size")
        return File.large(oid, held)


async def changes(request: Request, store: Store) -> Changes:
    """Read a commit's body, line by line: memory is bounded by the longest line, not by the commit."""
    read, rest = Changes(store), bytearray()
    async for piece in web.stream(request):
        rest += piece
        if b"\n" in piece:
            *lines, tail = bytes(rest).split(b"\n")
            for line in lines:
                if line.strip():
                    await asyncio.to_thread(read.take, line)
            rest = bytearray(tail)
        if len(rest) > MAX_LINE_BYTES:
            raise Refusal(f"a line of the commit is longer than {MAX_LINE_BYTES} bytes", status=413)
    if rest.strip():
        await asyncio.to_thread(read.take, bytes(rest))
    return read


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a change of thread."""
    held = bytearray()
    async for piece in web.stream(request):
        held += piece
        if len(held) >= CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
