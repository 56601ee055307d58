"""The session for requests to the Hub: the token goes to its own Hub only, and every answer is bounded.

Whoever answers is not trusted: a Hub, a mirror or a proxy may be broken or hostile. All requests, also those that
huggingface_hub sends by itself, go through its shared client, on which `session` puts these rules:

- a token that belongs to one Hub is removed from a request to any other host;
- a request without a time-out gets one, and an answer that comes too slowly is a time-out too (`hub_connection`);
- a body has a limit: the range that was requested, what the caller allows (`limited`), or `MAX_BODY`. It is counted
  after it was decompressed, and decompressed in small steps;
- headers from which huggingface_hub makes the names of files are removed unless they are plain names, and so are
  addresses of another host for Xet;
- a list that continues at another host, or never ends because its pages link in a circle, is refused.
"""

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import constants, get_session, get_token, set_client_factory
from huggingface_hub.utils import _http

from workspace.hub_access import HubAccess
from workspace.hub_body import BoundedBody, TooLargeError
from workspace.hub_connection import pace

__all__ = [
    "MAX_BODY",
    "RefusedAnswerError",
    "TooLargeError",
    "limited",
    "limited_to",
    "quiet_client",
    "session",
    "without_xet",
]

#: Bytes of a body at most where the caller allows no more: a list of 100,000 files has 30 MB.
MAX_BODY = 64 << 20
#: Bytes of the body of an error or a redirection at most.
MAX_ERROR_BODY = 1 << 20
#: Pages of one list at most: five million models.
MAX_PAGES = 5_000
#: Seconds until a request without a time-out of its own ends: the Hub takes minutes for a large commit.
_TIMEOUT = 310.0
#: The same of one that changes nothing, or makes a repository: a Hub that hangs is noticed.
_QUICK_TIMEOUT = 30.0
_TIMEOUTS = ("connect", "read", "write", "pool")
_LIMIT = "community_forensics.limit"

_NAME = re.compile(r'(?:W/)?"?[0-9A-Za-z][0-9A-Za-z._=+-]{0,127}"?', re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
#: Headers that become names of files and folders in the cache, with what they must look like.
_NAMES = {
    "ETag": _NAME,
    constants.HUGGINGFACE_HEADER_X_LINKED_ETAG: _NAME,
    constants.HUGGINGFACE_HEADER_X_REPO_COMMIT: _COMMIT,
}
_XET = (constants.HUGGINGFACE_HEADER_X_XET_HASH, constants.HUGGINGFACE_HEADER_X_XET_REFRESH_ROUTE)
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})", re.ASCII)

_Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


class RefusedAnswerError(httpx2.HTTPError):
    """An answer that no Hub gives, and that is not read."""


def session(hub: HubAccess = HubAccess()) -> httpx2.Client:
    """huggingface_hub's shared client with the rules above; the token of `hub` is for the endpoint of `hub`.

    Call it for each request: the client may have been closed and replaced since.
    """
    _Rules.token(hub.token or get_token(), hub.endpoint or constants.ENDPOINT)
    if not isinstance(_http._GLOBAL_CLIENT_FACTORY, _Factory):
        # A client that a caller configured, such as for the certificates of a company, gets the rules too.
        set_client_factory(_Factory(_http._GLOBAL_CLIENT_FACTORY))
    return get_session()


def limited(most: int) -> dict[str, Any]:
    """The `extensions` of a request whose answer has at most so many bytes; more raise `TooLargeError`."""
    return {_LIMIT: most}


@contextmanager
def limited_to(most: int) -> Iterator[None]:
    """While the block runs, answers to the requests of huggingface_hub itself may have so many bytes, if that is more
    than `MAX_BODY`."""
    before = _Rules.most
    _Rules.most = max(MAX_BODY, most)
    try:
        yield
    finally:
        _Rules.most = before


@contextmanager
def without_xet() -> Iterator[None]:
    """While the block runs, huggingface_hub does without Xet, whose client has no rules: it looks this constant up each
    time, and has no other switch."""
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


@contextmanager
def quiet_client() -> Iterator[None]:
    """A block in which the client of the Hub prints no line each time it asks again: its last error says it."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


class _Factory:
    """Makes the shared client: as `make` does, with the rules."""

    def __init__(self, make: Callable[[], httpx2.Client]) -> None:
        self._make = make

    def __call__(self) -> httpx2.Client:
        client = self._make()
        pace(client)
        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks["request"], _prepare],
            "response": [_check, *hooks["response"]],
        }
        return client


class _Rules:
    """What the rules know in this process: whose token is whose, and which pages were read."""

    _lock = threading.Lock()
    _origins: ClassVar[dict[str, set[_Origin]]] = {}
    most = MAX_BODY
    pages = threading.local()

    @classmethod
    def token(cls, token: str | None, endpoint: str) -> None:
        """Note that a token is for an endpoint."""
        if token:
            with cls._lock:
                cls._origins.setdefault(token, set()).add(_origin(endpoint))

    @classmethod
    def is_for(cls, authorization: str, url: str) -> bool:
        """Whether this header may go to that URL; whatever is no known token may."""
        with cls._lock:
            origins = cls._origins.get(authorization.removeprefix("Bearer "))
        return origins is None or _origin(url) in origins


def _prepare(request: httpx2.Request) -> None:
    """The rules for a request, called for each redirect too."""
    authorization = request.headers.get("Authorization")
    if authorization is not None and not _Rules.is_for(authorization, str(request.url)):
        del request.headers["Authorization"]
    if request.headers.get("Accept-Encoding") != "identity":
        request.headers["Accept-Encoding"] = "gzip"
    stated = request.extensions.get("timeout") or {}
    quick = request.method in ("GET", "HEAD") or request.url.path.endswith("/repos/create")
    seconds = _QUICK_TIMEOUT if quick else _TIMEOUT
    request.extensions["timeout"] = {name: stated.get(name) or seconds for name in _TIMEOUTS}


def _check(response: httpx2.Response) -> None:
    """The rules for an answer whose body has not been read yet."""
    headers, url = response.headers, str(response.request.url)
    for name, pattern in _NAMES.items():
        if name in headers and not pattern.fullmatch(headers[name]):
            del headers[name]
    links = response.links
    refresh = links.get(constants.HUGGINGFACE_HEADER_LINK_XET_AUTH_KEY, {}).get("url") or headers.get(_XET[1], "")
    if refresh and not _is_known(urljoin(url, refresh), url):
        for name in _XET:
            headers.pop(name, None)
    if (after := links.get("next", {}).get("url")) is not None:
        if not _is_known(urljoin(url, after), url):
            raise RefusedAnswerError(f"{url} continues its list at another host ({after[:200]}), which is not asked")
        _turn_page(response.request.url, urljoin(url, after))
    encoding = headers.pop("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        headers.pop("Content-Length", None)
    assert isinstance(response.stream, httpx2.SyncByteStream)
    try:
        body = BoundedBody(response.stream, url, encoding, _most(response))
    except ValueError as error:
        raise RefusedAnswerError(f"{url}: {error}") from error
    response.stream = _error_body(body) if response.is_error else body


def _most(response: httpx2.Response) -> int:
    """Bytes that the body may have."""
    if not response.is_success:
        return MAX_ERROR_BODY
    most = response.request.extensions.get(_LIMIT)
    if most is not None:
        return int(most)
    requested = _RANGE.fullmatch(response.request.headers.get("Range", ""))
    if requested is not None and response.status_code == 206:
        return max(0, int(requested[2]) - int(requested[1]) + 1)
    return _Rules.most


def _error_body(body: BoundedBody) -> httpx2.SyncByteStream:
    """The body of an error; an empty object in place of what huggingface_hub fails with: JSON of another type, nested
    too deep, or of another encoding."""
    try:
        content = b"".join(body)
    finally:
        body.close()
    try:
        is_other = not isinstance(json.loads(content), dict)
    except json.JSONDecodeError:
        is_other = False
    except (ValueError, RecursionError):
        is_other = True
    return httpx2.ByteStream(b"{}" if is_other else content)


def _turn_page(url: httpx2.URL, after: str) -> None:
    """Note the next page of a list; raises `RefusedAnswerError` for one that was read before."""
    read: dict[str, set[str]] = _Rules.pages.__dict__.setdefault("read", {})
    if "cursor" not in url.params:
        read[url.path] = set()
    pages = read.setdefault(url.path, set())
    if after in pages or after == str(url) or len(pages) >= MAX_PAGES:
        raise RefusedAnswerError(f"{url} is a list without end: its next page was read before, or it has too many")
    pages.add(after)


def _is_known(target: str, url: str) -> bool:
    """Whether `target` is an address of the Hub of `url`; mirrors pass on addresses of the real one, which
    huggingface_hub replaces by theirs."""
    return _origin(target) in (_origin(url), _origin(constants.HUGGINGFACE_CO_URL_HOME))


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, (parts.hostname or "").lower(), port or _PORTS.get(parts.scheme, 0)
