"""The client: every request to the Hub goes through it.

huggingface_hub provides the session, the headers (token, user agent) and the errors. This adds

- a timeout for every request: without one, a server that sends nothing blocks the crawl;
- retries of temporary errors (`workspace/retry.py`); not found, gated and disabled are final;
- rate limits: when a response says that no requests are left in this window, all threads wait for the next window;
- a check of small files against the git hash that the Hub states.

The token goes to this Hub only and every response is bounded, by the rules of `workspace/hub_session.py`.

It returns JSON values or bytes and does not interpret them.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import quote, urljoin

import httpx2
from huggingface_hub import constants, hf_raise_for_status
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    fix_hf_endpoint_in_url,
    parse_ratelimit_headers,
)
from huggingface_hub.utils.sha import git_hash

from crawler.text import load_json
from workspace.errors import HubError, in_one_line
from workspace.hub_access import HubAccess
from workspace.hub_session import RefusedAnswerError, TooLargeError, limited, session
from workspace.retry import ATTEMPTS, FIRST_ATTEMPTS, MAX_WAIT, ROUNDED_SECOND, is_transient, retrying, status_of

#: Rows in one page of the list at most; the Hub allows no more.
PAGE_SIZE = 1000
#: Bytes of JSON read from the API at most: the file list of a repository of 100,000 files has about 30 MB.
MAX_JSON = 64 * 2**20
#: Characters of the Hub's own words about an error that a message quotes at most.
MAX_MESSAGE = 200


class NotFoundError(Exception):
    """The Hub has nothing at this URL and does not say what is missing."""


class ForbiddenError(Exception):
    """The Hub refuses this URL to this token, such as a fine-grained one that may not read gated repositories."""


class LegalError(Exception):
    """The Hub may not give this for legal reasons (status 451)."""


# Errors after which no request can reach this endpoint.
_CONNECTION_ERRORS = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
#: A repository, revision or file that does not exist or is refused: another attempt changes nothing.
FINAL_ERRORS = (
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RemoteEntryNotFoundError,
    GatedRepoError,
    DisabledRepoError,
    NotFoundError,
    ForbiddenError,
    LegalError,
)


class UnavailableError(HubError):
    """No request can succeed: there is no connection to the Hub, or it refuses the token."""


class CorruptedError(httpx2.TransportError):
    """The bytes received do not have the hash that the Hub states; another attempt may succeed."""


class Hub:
    """A Hugging Face Hub. May be used from any number of threads."""

    def __init__(self, access: HubAccess = HubAccess()) -> None:
        """Use the endpoint and the token of `access`."""
        self._access = access
        self.endpoint = (access.endpoint or constants.ENDPOINT).rstrip("/")
        self._headers = build_hf_headers(
            token=access.token,
            library_name="community-forensics",
            library_version=metadata.version("community-forensics"),
        )
        self.has_token = "authorization" in self._headers
        self._responded = False
        self._stopped = threading.Event()
        # Time (time.monotonic(), seconds) before which no request may start, by kind of request.
        self._blocked_until: dict[str, float] = {}
        self._lock = threading.Lock()

    def models(self, params: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Pages of the list of models, in the order of the Hub; raises `HubError`."""
        url: str | None = f"{self.endpoint}/api/models"
        query: Mapping[str, Any] | None = params
        while url is not None:
            try:
                response, content = self._get("api", url, query, MAX_JSON)
            except (*FINAL_ERRORS, TooLargeError) as error:
                reason = in_one_line(error, named=False)
                raise UnavailableError(f"{self.endpoint} does not give its list of models ({reason})") from error
            page = self._json(content, url)
            if not isinstance(page, list):
                raise HubError(f"{self.endpoint}: the response to {url} is not a list of models")
            yield page
            after, query = response.links.get("next", {}).get("url"), None
            # A mirror may name the pages of the Hub that it copies: they are asked of the mirror.
            url = fix_hf_endpoint_in_url(urljoin(url, after), self.endpoint) if after else None

    def model_info(self, model_name: str, revision: str | None) -> dict[str, Any]:
        """A model's metadata with its list of files; raises an error of `FINAL_ERRORS` or `HubError`."""
        url = f"{self.endpoint}/api/models/{model_name}"
        if revision is not None:
            url += f"/revision/{quote(revision, safe='')}"
        _, content = self._get("api", url, {"blobs": True}, MAX_JSON)
        info = self._json(content, url)
        if not isinstance(info, dict):
            raise HubError(f"{self.endpoint}: the response to {url} does not describe a model")
        return info

    def small_file(
        self, model_name: str, revision: str, path: str, max_bytes: int, git_oid: str | None = None
    ) -> bytes:
        """The bytes of a file of a model, checked against its git blob hash if given.

        Raises `TooLargeError` above `max_bytes`, an error of `FINAL_ERRORS`, or `HubError`.
        """
        url = f"{self.endpoint}/{model_name}/resolve/{quote(revision, safe='')}/{quote(path)}"
        return self._get("resolve", url, None, max_bytes, git_oid)[1]

    def stop(self) -> None:
        """End all waits for a retry at once, because the caller gives up."""
        self._stopped.set()

    def _json(self, content: bytes, url: str) -> Any:
        try:
            return load_json(content)
        except (ValueError, RecursionError) as error:
            raise HubError(
                f"the response of {url} is not JSON: {self.endpoint} is not a Hugging Face Hub, or a proxy responds "
                "instead of it; check HF_ENDPOINT and the proxy settings"
            ) from error

    def _get(
        self, kind: str, url: str, params: Mapping[str, Any] | None, max_bytes: int, git_oid: str | None = None
    ) -> tuple[httpx2.Response, bytes]:
        request = retrying(lambda: ATTEMPTS if self._responded else FIRST_ATTEMPTS, leaving=self._stopped)
        try:
            return request(self._get_once, kind, url, params, max_bytes, git_oid)
        except (httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
            if isinstance(error, (*FINAL_ERRORS, TooLargeError)):
                raise
            status = status_of(error)
            if status in (404, 410):
                raise NotFoundError(f"{self.endpoint} has no {url}") from error
            if status == 403 and kind == "resolve" and self.has_token:
                raise ForbiddenError(f"status 403{_message(error)}") from error
            if status == 451:
                raise LegalError(f"status 451{_message(error)}") from error
            raise _as_hub_error(error, self.endpoint, url) from error

    def _get_once(
        self, kind: str, url: str, params: Mapping[str, Any] | None, max_bytes: int, git_oid: str | None
    ) -> tuple[httpx2.Response, bytes]:
        self._stopped.wait(max(0.0, self._blocked_until.get(kind, 0.0) - time.monotonic()))
        timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        request = session(self._access).stream(
            "GET", url, params=params, headers=self._headers, timeout=timeout, extensions=limited(max_bytes)
        )
        with request as response:
            self._responded = True
            self._respect_rate_limit(kind, response)
            if response.is_error:
                body = response.read()
                try:
                    hf_raise_for_status(response)
                except HfHubHTTPError as error:
                    error.server_message = _words(response, body)
                    raise
            content = response.read()
        if git_oid is not None and git_hash(content) != git_oid:
            raise CorruptedError(f"{url} does not have the git hash that the Hub states")
        return response, content

    def _respect_rate_limit(self, kind: str, response: httpx2.Response) -> None:
        limit = parse_ratelimit_headers(response.headers)
        if limit is not None and limit.remaining == 0:
            with self._lock:
                seconds = min(limit.reset_in_seconds + ROUNDED_SECOND, MAX_WAIT)
                self._blocked_until[kind] = time.monotonic() + seconds


def _words(response: httpx2.Response, body: bytes) -> str | None:
    """What the Hub says about an error, in one line; None if it says nothing."""
    said: Any = response.headers.get("X-Error-Message")
    if not said:
        try:
            content = load_json(body)
        except (ValueError, RecursionError):
            return None
        said = content.get("error") if isinstance(content, dict) else None
    return " ".join(said.split())[:MAX_MESSAGE] or None if isinstance(said, str) else None


def _message(error: Exception) -> str:
    """What the Hub says about an error, behind a colon; empty if it says nothing."""
    said = error.server_message if isinstance(error, HfHubHTTPError) else None
    return f": {said}" if said else ""


def _as_hub_error(error: Exception, endpoint: str, url: str) -> HubError:
    if isinstance(error, OfflineModeIsEnabled):
        return UnavailableError(f"{endpoint} cannot be reached: HF_HUB_OFFLINE is set; unset it")
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        if status in (401, 403):
            return UnavailableError(
                f"{endpoint} refused the token (status {status}): check HF_TOKEN or run `hf auth login`"
            )
        later = "; run the same command again later" if is_transient(error) else ""
        return HubError(f"{url} failed with status {status}{_message(error)}{later}")
    reason = in_one_line(error, named=False)
    if isinstance(error, RefusedAnswerError):
        return HubError(reason)
    remedy = "check the network and HF_ENDPOINT, then run the same command again"
    if isinstance(error, _CONNECTION_ERRORS):
        return UnavailableError(f"{endpoint} cannot be reached ({reason}): {remedy}")
    return HubError(f"no response from {url} ({reason}): {remedy}")
