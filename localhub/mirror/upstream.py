"""The Hub that is mirrored: requests to it, with the rules of `workspace/hub_session.py`.

A client's token goes there only after the Hub refused the same request without one, so only for gated and private
repositories. It is in the memory of that request alone: not among the tokens that the rules know, not in a file, a log
or a message. A redirect to another host, such as a CDN, gets none: httpx removes it.
"""

import json
import string
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx2
from huggingface_hub import constants, get_session
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from localhub.request_errors import RequestError
from workspace.errors import in_one_line
from workspace.hub_access import HubAccess
from workspace.hub_file import DamagedError, download
from workspace.hub_session import limited, session
from workspace.printable import printable
from workspace.retry import is_connection_trouble, is_transient, retrying

#: Bytes of an answer of the API at most.
MAX_JSON = 64 << 20
#: Seconds for one request of the API.
TIMEOUT = 10.0
#: Tries of one.
ATTEMPTS = 2
#: Seconds in which the Hub is not asked again after it did not answer: a client waits for each attempt.
AWAY_SECONDS = 15.0
#: Statuses with which the Hub refuses who has no token; it hides private repositories by 401 and 404.
_REFUSED = frozenset({401, 403, 404})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Headers that say how long a client has to wait.
_WAITS = ("Retry-After", "RateLimit", "RateLimit-Policy")
#: Characters of the Hub's words that are passed on at most.
_MAX_WORDS = 500


class AwayError(RequestError):
    """The Hub that is mirrored cannot be reached, or answers with an error of its own."""

    status = 504


@dataclass(frozen=True)
class Answer:
    """An answer of the API."""

    value: Any
    """JSON."""
    after: str | None = None
    """Path and query of the next page of a list."""
    opened: bool = False
    """Whether it took the client's token."""


@dataclass(frozen=True)
class Moved:
    """The Hub answers elsewhere: path and query of the same Hub."""

    status: int
    target: str


class Upstream:
    """A Hub that is mirrored. May be used from any number of threads."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint` None: `HF_ENDPOINT`, else https://huggingface.co."""
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.stopping = threading.Event()
        self._away_until = 0.0

    def get(self, target: str, token: str | None = None) -> Answer | Moved:
        """The JSON at a path and query. Raises `AwayError`, and `RequestError` as the Hub refuses it."""
        answer = self._get(target, None)
        if isinstance(answer, RequestError):
            if token is None or answer.status not in _REFUSED:
                raise answer
            opened = self._get(target, token)
            if isinstance(opened, RequestError):
                raise opened
            return opened
        return answer

    def allows(self, target: str, token: str) -> bool:
        """Whether the Hub gives this to that token. Raises `AwayError`."""
        answer = self._get(target, token)
        if isinstance(answer, RequestError) and answer.status not in _REFUSED:
            raise answer
        return isinstance(answer, Answer)

    def download(self, target: str, path: Path, size: int, token: str | None) -> None:
        """Append to `path` what it lacks of a file of `size` bytes. Raises `AwayError`, `RequestError` as the Hub
        refuses it, `DamagedError`, `CancelledError` when the server stops, `OSError` of this disk."""
        session(HubAccess(self.endpoint))
        try:
            download(f"{self.endpoint}{target}", self._headers(token), path, size, self.stopping)
        except DamagedError:
            raise
        except Exception as error:
            response = getattr(error, "response", None)
            if isinstance(response, httpx2.Response) and not is_transient(error):
                raise _refusal(response) from None
            if isinstance(error, OSError) and error.errno is not None and not is_transient(error):
                raise
            raise self._away(error) from error

    def _get(self, target: str, token: str | None) -> "Answer | Moved | RequestError":
        """An answer, or how the Hub refuses it."""
        if time.monotonic() < self._away_until:
            raise self._away(None)
        try:
            return retrying(lambda: ATTEMPTS, leaving=self.stopping)(self._get_once, target, token)
        except RequestError:
            raise
        except (httpx2.HTTPError, OSError, RuntimeError) as error:
            if is_connection_trouble(error):
                self._away_until = time.monotonic() + AWAY_SECONDS
            raise self._away(error) from error

    def _get_once(self, target: str, token: str | None) -> "Answer | Moved | RequestError":
        session(HubAccess(self.endpoint))
        url = f"{self.endpoint}{target}"
        headers, extensions = self._headers(token), limited(MAX_JSON)
        with get_session().stream(
            "GET", url, headers=headers, timeout=TIMEOUT, extensions=extensions, follow_redirects=False
        ) as response:
            if response.status_code in _REDIRECTS:
                moved = _local(urljoin(url, response.headers.get("Location", "")), self.endpoint)
                return Moved(response.status_code, moved) if moved else _not_valid(url)
            content = response.read()
            # A limit of requests is the client's to wait for: it may be long.
            if response.status_code >= 500 or response.status_code in (408, 425):
                response.raise_for_status()
            if not response.is_success:
                return _refusal(response)
            try:
                value = json.loads(content)
            except (ValueError, RecursionError):
                return _not_valid(url)
            after = response.links.get("next", {}).get("url")
            return Answer(value, _local(urljoin(url, after), self.endpoint) if after else None, token is not None)

    def _headers(self, token: str | None) -> dict[str, str]:
        # Never this machine's own token in the place of the client's.
        headers = build_hf_headers(token=False, library_name="community-forensics")
        return dict(headers) | ({"authorization": f"Bearer {token}"} if token else {})

    def _away(self, error: Exception | None) -> AwayError:
        why = f" ({in_one_line(error, 120)})" if error is not None else ""
        return AwayError(f"{self.endpoint} cannot be reached or fails{why}, and this mirror does not have it")


def _local(url: str, endpoint: str) -> str | None:
    """Path and query of an address of the Hub at `endpoint`, or of the real one, whose addresses mirrors pass on."""
    parts = urlsplit(url)
    known = {urlsplit(one)[:2] for one in (endpoint, constants.HUGGINGFACE_CO_URL_HOME)}
    if (parts.scheme, parts.netloc) not in known or not parts.path.startswith("/"):
        return None
    # A header has ASCII only.
    return quote(
        f"{parts.path}?{parts.query}" if parts.query else parts.path, safe=string.punctuation, errors="replace"
    )


def _refusal(response: httpx2.Response) -> RequestError:
    """How the Hub refuses a request, in its own words."""
    code, words = (response.headers.get(name, "") for name in ("X-Error-Code", "X-Error-Message"))
    status = response.status_code if response.status_code >= 400 else 502
    words = printable(words or f"the Hub answers with the status {status}")[:_MAX_WORDS]
    waits = {name: value for name in _WAITS if _is_plain(value := response.headers.get(name, ""))}
    error = RequestError(words, status=status, headers=waits)
    error.code = code if code.isascii() and code.isalnum() else None
    return error


def _is_plain(value: str) -> bool:
    return value.isascii() and value.isprintable() and value != ""


def _not_valid(url: str) -> RequestError:
    return RequestError(f"the answer of {url} is not valid", status=502)
