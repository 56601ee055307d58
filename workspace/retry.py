"""When a request to the Hub is repeated, and after how long.

huggingface_hub repeats some calls by itself and raises an error for others at the first 503 or reset connection. So
all our calls go through `retrying`: after a busy answer, a time-out or a lost connection the call is repeated, after
the wait that the Hub names; that something is missing, gated or forbidden is final. Waiting for the next window of a
rate limit is no try: with many workers a request may have to wait for several.
"""

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
import tenacity
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

#: Longest wait that the Hub may request, in seconds: its rate-limit windows are five minutes long.
MAX_WAIT = 310.0
#: Seconds added to the rest of a window: the Hub's number may be rounded down, and the client of the Hub adds one too.
ROUNDED_SECOND = 1
#: Tries of one request.
ATTEMPTS = 8
#: Tries of the first request: without any answer the address is wrong, or there is no network.
FIRST_ATTEMPTS = 3
#: Tries of a request that ends in an internal error (500), which is mostly permanent.
ATTEMPTS_AT_INTERNAL_ERROR = 3
#: Windows of a rate limit that one request waits for at most.
MAX_WINDOWS = 50
#: Longest wait where the Hub requests none, in seconds: random, with a limit that doubles each time up to this one.
MAX_BACKOFF = 30.0
#: What httpx says where huggingface_hub closed, after a lost connection, the client that all threads share.
_CLOSED = "the client has been closed"
#: A number of seconds, with a fraction as some providers send it.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
# Time-out, too early, too many requests, and errors of the server and its CDN.
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status behind an error; None if there was no answer. The client wraps errors in others."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def is_connection_trouble(error: BaseException | None) -> bool:
    """Whether the cause of an error, however wrapped, is a connection that failed, timed out or was lost."""
    while error is not None:
        if isinstance(error, httpx2.TransportError | httpx2.DecodingError | ConnectionError | TimeoutError):
            return not isinstance(error, httpx2.UnsupportedProtocol)
        if isinstance(error, RuntimeError) and _CLOSED in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    status = status_of(error)
    return status in _BUSY if status is not None else is_connection_trouble(error)


def remedy(error: BaseException) -> str | None:
    """What happened and what to do, where the Hub did not answer well this time; None: its answer counts."""
    status = status_of(error)
    if status in _BUSY:
        return f"the Hub is busy or failing (status {status}): run the same command again later"
    if status is None and is_connection_trouble(error):
        return "the Hub cannot be reached: check the network and HF_ENDPOINT, then run the same command again"
    return None


def asked_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the headers `Retry-After` or `RateLimit`, at most `MAX_WAIT`; None: they request no wait."""
    seconds = retry_after(headers, now)
    budget = parse_ratelimit_headers(headers)
    if budget is not None and budget.remaining == 0:
        seconds = max(seconds or 0.0, budget.reset_in_seconds + ROUNDED_SECOND)
    return None if seconds is None else min(seconds, MAX_WAIT)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the header `Retry-After`, a number or a date (RFC 9110, 10.2.3); None: it says none."""
    after = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(after):
        return float(after)
    try:
        date = parsedate_to_datetime(after)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def retrying(
    attempts: Callable[[], int] = lambda: ATTEMPTS,
    passing: Callable[[BaseException], bool] = is_transient,
    leaving: threading.Event | None = None,
) -> tenacity.Retrying:
    """Calls a function again while `passing` is true of its error, at most `attempts()` times; raises the last error.

    When `leaving` is set, a wait ends at once and the error is raised.
    """
    event = leaving or threading.Event()

    def is_last(state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        windows = getattr(state, "windows", 0) + _is_window(error)
        state.windows = windows  # type: ignore[attr-defined]
        most = min(attempts(), ATTEMPTS_AT_INTERNAL_ERROR) if status_of(error) == 500 else attempts()
        return state.attempt_number - min(windows, MAX_WINDOWS) >= most or event.is_set()

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=is_last,
        wait=_wait,
        sleep=tenacity.sleep_using_event(event),
        reraise=True,
    )


def _is_window(error: BaseException | None) -> bool:
    """Whether the Hub refused a request until the next window of its rate limit, and named the wait."""
    response = response_of(error)
    return (
        response is not None and response.status_code == 429 and bool(asked_wait(response.headers, datetime.now(UTC)))
    )


def _wait(state: tenacity.RetryCallState) -> float:
    response = response_of(state.outcome.exception() if state.outcome is not None else None)
    if response is not None:
        asked = asked_wait(response.headers, datetime.now(UTC))
        if asked is not None:
            return asked
    return float(tenacity.wait_random_exponential(multiplier=0.5, max=MAX_BACKOFF)(state))


def response_of(error: BaseException | None) -> httpx2.Response | None:
    """The answer that an error, or what led to it, is about; None: there is none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, httpx2.Response):
            return response
        error = error.__cause__ or error.__context__
    return None
