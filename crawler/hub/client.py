"""The polite client: every question to the Hub goes through here.

huggingface_hub gives the session, the headers (token, user agent) and the errors. What it lacks is added:

- a timeout on every request, since a silent server would hang its own calls for ever;
- retries of what is transient (`workspace/retry.py`); not found, gated and disabled are final;
- a budget: when a response says that the window's requests are nearly used up, everybody waits for the next window;
- a cap on the size of what is read, and a check of a small file against the git hash the Hub states for it.

Answers are returned as plain JSON values or bytes: what a stranger's repository says is judged elsewhere.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub import constants, get_session, hf_raise_for_status
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, parse_ratelimit_headers  # type: ignore[attr-defined]
from huggingface_hub.utils.sha import git_hash

from crawler.text import load_json
from workspace.errors import HubError
from workspace.hub_access import HubAccess
from workspace.retry import ATTEMPTS, MAX_WAIT, retrying

#: Most rows the Hub gives in one page of a listing.
PAGE_SIZE = 1000
#: Bytes of JSON read at most from the API: a repository of 100,000 files states them in about 30 MB.
MAX_JSON = 64 * 2**20
#: Tries while no request has been answered yet: then the endpoint is wrong or there is no network.
FIRST_ATTEMPTS = 3


class AbsentError(Exception):
    """The Hub has nothing under this name, and does not say what is missing."""


# Errors that mean that there is no way to this endpoint, for any request.
_NO_WAY = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)
#: A repository, revision or file that is not there, or not for us: asking again changes nothing.
FINAL = (
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RemoteEntryNotFoundError,
    GatedRepoError,
    DisabledRepoError,
    AbsentError,
)


class UnavailableError(HubError):
    """The Hub as a whole cannot be asked, by anybody for anything: no connection, or a refused token."""


class OversizedError(Exception):
    """What was asked for is larger than the cap."""


class DamagedError(httpx2.TransportError):
    """The bytes that arrived are not those the Hub states: worth asking again."""


class Hub:
    """A Hugging Face Hub, asked politely. May be used from any number of threads."""

    def __init__(self, access: HubAccess = HubAccess()) -> None:
        """Use the endpoint and the token of `access`."""
        self.endpoint = (access.endpoint or constants.ENDPOINT).rstrip("/")
        self._headers = build_hf_headers(
            token=access.token,
            library_name="community-forensics",
            library_version=metadata.version("community-forensics"),
        )
        self._answered = False
        self._stopped = threading.Event()
        # Seconds of time.monotonic() before which nobody asks, by kind of request.
        self._resume: dict[str, float] = {}
        self._lock = threading.Lock()

    def models(self, params: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Pages of the model listing, as the Hub orders it; raises `HubError`."""
        url: str | None = f"{self.endpoint}/api/models"
        query: Mapping[str, Any] | None = params
        while url is not None:
            response, content = self._get("api", url, query, MAX_JSON)
            page = self._json(content, url)
            if not isinstance(page, list):
                raise HubError(f"{self.endpoint} answered {url} with something that is no list of models")
            yield page
            url, query = response.links.get("next", {}).get("url"), None

    def model_info(self, model_name: str, revision: str | None) -> dict[str, Any]:
        """What the Hub says of a model with all its files; raises what is in `FINAL`, or `HubError`."""
        url = f"{self.endpoint}/api/models/{model_name}"
        if revision is not None:
            url += f"/revision/{quote(revision, safe='')}"
        _, content = self._get("api", url, {"blobs": True}, MAX_JSON)
        info = self._json(content, url)
        if not isinstance(info, dict):
            raise HubError(f"{self.endpoint} answered {url} with something that is no model")
        return info

    def small_file(
        self, model_name: str, revision: str, path: str, max_bytes: int, git_oid: str | None = None
    ) -> bytes:
        """The bytes of a file of a model, checked against its git blob hash when that is given.

        Raises `OversizedError` above `max_bytes`, what is in `FINAL`, or `HubError`.
        """
        url = f"{self.endpoint}/{model_name}/resolve/{quote(revision, safe='')}/{quote(path)}"
        return self._get("resolve", url, None, max_bytes, git_oid)[1]

    def stop(self) -> None:
        """Whoever waits for a retry gives up at once: the caller is leaving."""
        self._stopped.set()

    def _json(self, content: bytes, url: str) -> Any:
        try:
            return load_json(content)
        except (ValueError, RecursionError) as error:
            raise HubError(
                f"{url} did not answer with JSON: {self.endpoint} is not a Hugging Face Hub, or something in between "
                "answers for it; check HF_ENDPOINT and the proxy"
            ) from error

    def _get(
        self, kind: str, url: str, params: Mapping[str, Any] | None, max_bytes: int, git_oid: str | None = None
    ) -> tuple[httpx2.Response, bytes]:
        asking = retrying(lambda: ATTEMPTS if self._answered else FIRST_ATTEMPTS, leaving=self._stopped)
        try:
            return asking(self._get_once, kind, url, params, max_bytes, git_oid)
        except (httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
            if isinstance(error, FINAL):
                raise
            if (
                isinstance(error, HfHubHTTPError)
                and error.response is not None
                and error.response.status_code in (404, 410)
            ):
                raise AbsentError(f"{self.endpoint} has no {url}") from error
            raise _in_words(error, self.endpoint, url) from error

    def _get_once(
        self, kind: str, url: str, params: Mapping[str, Any] | None, max_bytes: int, git_oid: str | None
    ) -> tuple[httpx2.Response, bytes]:
        self._stopped.wait(max(0.0, self._resume.get(kind, 0.0) - time.monotonic()))
        timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        with get_session().stream("GET", url, params=params, headers=self._headers, timeout=timeout) as response:
            self._answered = True
            self._keep_to_budget(kind, response)
            if response.is_error:
                _read(response, MAX_JSON)
                hf_raise_for_status(response)
            content = _read(response, max_bytes)
        if git_oid is not None and git_hash(content) != git_oid:
            raise DamagedError(f"what arrived of {url} is not the file the Hub states")
        return response, content

    def _keep_to_budget(self, kind: str, response: httpx2.Response) -> None:
        budget = parse_ratelimit_headers(response.headers)
        if budget is not None and budget.remaining == 0:
            with self._lock:
                self._resume[kind] = time.monotonic() + min(budget.reset_in_seconds, MAX_WAIT)


def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    parts, size = [], 0
    for part in response.iter_bytes():
        size += len(part)
        if size > max_bytes:
            raise OversizedError(f"{response.url} is larger than {max_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


def _in_words(error: Exception, endpoint: str, url: str) -> HubError:
    if isinstance(error, OfflineModeIsEnabled):
        return UnavailableError(f"cannot ask {endpoint}: HF_HUB_OFFLINE is set")
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        if status in (401, 403):
            return UnavailableError(f"{endpoint} refused the token ({status}): check HF_TOKEN or `hf auth login`")
        return HubError(f"{endpoint} answered {url} with status {status}")
    said = str(error) or type(error).__name__
    if isinstance(error, _NO_WAY):
        advice = "check the network and HF_ENDPOINT, then run the same command again"
        return UnavailableError(f"{endpoint} cannot be reached ({said}): {advice}")
    return HubError(f"{endpoint} did not answer {url} ({said})")
