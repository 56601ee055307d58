"""HTTP for the endpoints: parameters of the *raw* path, JSON answers, errors with the Hub's headers.

Clients quote a revision or a folder as one path segment (`refs%2Fpr%2F1`), so routes must match before unquoting.
`raw_paths` lets Starlette match on the path as it was sent; `part` unquotes one parameter.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from localhub.request_errors import BadRequest, RequestError

#: Largest JSON or form that is accepted, in bytes.
MAX_BODY_BYTES = 32 << 20
#: Media types of JSON. A page of another site cannot send one without asking first, as it can a form or a text.
JSON_TYPES = frozenset({"application/json", "application/x-ndjson", "application/vnd.git-lfs+json"})


class Json(Response):
    """A JSON response. ASCII only, so that text that UTF-8 cannot encode (lone surrogates) can be sent."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The content as bytes."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def raw_paths(app: ASGIApp) -> ASGIApp:
    """`app` with routes that match on the path as it was sent, still quoted."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = scope["raw_path"].decode("ascii", "replace")
        await app(scope, receive, send)

    return routed


def part(request: Request, name: str) -> str:
    """A path parameter, unquoted; raises `BadRequest` if it is not UTF-8."""
    try:
        return unquote(request.path_params.get(name, ""), errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("a path must be valid UTF-8") from None


def flag(request: Request, name: str) -> bool:
    """A query parameter that is true or false, as clients write it: true, True, 1."""
    return request.query_params.get(name, "").lower() in ("true", "1")


def values(request: Request, name: str) -> tuple[str, ...]:
    """A query parameter that may be repeated, with or without brackets, or have several values between commas."""
    given = (*request.query_params.getlist(name), *request.query_params.getlist(f"{name}[]"))
    return tuple(value for text in given for value in text.split(",") if value)


def number(request: Request, name: str, default: int, least: int = 0) -> int:
    """An integer from the query; raises `BadRequest` if it is not one or is below `least`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < least:
        raise BadRequest(f"{name!r} must be an integer of at least {least}, not {text!r}")
    return int(text)


async def body(request: Request) -> bytes:
    """The request's body; raises `RequestError` (413) when it is too large."""
    pieces, size = [], 0
    async for piece in stream(request):
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise RequestError(f"the request is larger than {MAX_BODY_BYTES} bytes", status=413)
        pieces.append(piece)
    return b"".join(pieces)


async def stream(request: Request) -> AsyncIterator[bytes]:
    """The request's body, piece by piece; raises `BadRequest` if the client closes the connection before its end."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise BadRequest("the connection was closed before the end of the request") from None


def check_json(request: Request) -> None:
    """Raise `RequestError` (415) unless the body is declared to be JSON, or lines of JSON."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in JSON_TYPES:
        raise RequestError(f"the Content-Type must be {' or '.join(sorted(JSON_TYPES))}", status=415)


async def json_body(request: Request) -> dict[str, Any]:
    """The request's body as a JSON object; raises `BadRequest` if it is not one, or as `check_json`."""
    check_json(request)
    return as_object(await body(request))


def as_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object; raises `BadRequest` if it is not one, or has a text that UTF-8 cannot encode."""
    try:
        value = json.loads(text)
        if b"\\ud" in text or b"\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRequest("the request has half of a character (a lone surrogate)") from None
    except (ValueError, RecursionError):
        raise BadRequest("the request is not valid JSON") from None
    if not isinstance(value, dict):
        raise BadRequest("the request must be a JSON object")
    return value


def field(value: Mapping[str, Any], name: str, type_: type[Any], default: Any = ...) -> Any:
    """A field of a JSON object; raises `BadRequest` if it is missing (and has no default) or of another type."""
    found = value.get(name)
    if found is None and default is not ...:
        return default
    if not isinstance(found, type_) or (type_ is int and isinstance(found, bool)):
        raise BadRequest(f"{name!r} must be a JSON {type_.__name__}")
    return found


def base_url(request: Request) -> str:
    """The address by which the client reached this Hub."""
    return f"{request.url.scheme}://{request.url.netloc}"


def next_page(request: Request, cursor: str | None) -> dict[str, str]:
    """The Link header of the next page; no header after the last."""
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    # scope["path"] is the raw path here, so it is not quoted again.
    address = f"{base_url(request)}{request.scope['path']}?{urlencode([*query, ('cursor', cursor)])}"
    return {"Link": f'<{address}>; rel="next"'}


async def error_response(_request: Request, error: Exception) -> Response:
    """A `RequestError` as a response."""
    assert isinstance(error, RequestError)
    message = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode()
    headers = {"X-Error-Message": message, **({"X-Error-Code": error.code} if error.code else {}), **error.headers}
    return Json({"error": str(error), **error.body}, error.status, headers)
