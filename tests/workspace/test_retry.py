"""Transient failures are retried after the wait that the Hub names; final ones are not."""

import threading
import time
from datetime import UTC, datetime

import httpx2
import pytest

from workspace.retry import (
    ATTEMPTS,
    ATTEMPTS_AT_INTERNAL_ERROR,
    MAX_WAIT,
    asked_wait,
    is_transient,
    retrying,
    status_of,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "99999"}, MAX_WAIT),
        ({"Retry-After": "Wed, 01 Jan 2025 00:00:20 GMT"}, 20.0),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:20 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        # The rest of a window may be rounded down.
        ({"RateLimit": '"api";r=0;t=55'}, 56.0),
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "55"}, 56.0),
        ({"RateLimit": '"api";r=10;t=55'}, None),
    ],
)
def test_all_forms_of_a_wait_are_read_with_an_upper_limit(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, datetime(2025, 1, 1, tzinfo=UTC)) == seconds


def test_the_cause_of_an_error_decides() -> None:
    outer = ValueError("not cached")
    outer.__cause__ = httpx2.ReadTimeout("silent")
    assert is_transient(outer)
    assert not is_transient(ValueError("a mistake"))


def answered(status: int, headers: dict[str, str] | None = None) -> httpx2.HTTPStatusError:
    request = httpx2.Request("GET", "http://hub/x")
    return httpx2.HTTPStatusError("", request=request, response=httpx2.Response(status, headers=headers or {}))


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        *((status, True) for status in (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)),
        *((status, False) for status in (400, 401, 403, 404, 409, 413, 416, 501, 505, 519, 525)),
    ],
)
def test_the_status_of_a_wrapped_answer_decides(status: int, passing: bool) -> None:
    outer = OSError("not cached, and no connection")
    outer.__cause__ = answered(status)
    assert (status_of(outer), is_transient(outer)) == (status, passing)


def test_an_invalid_address_is_not_requested_again() -> None:
    assert not is_transient(httpx2.UnsupportedProtocol("ftp"))


def test_a_call_is_repeated_up_to_the_limit() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise answered(503, {"Retry-After": "0"})

    began = time.monotonic()
    with pytest.raises(httpx2.HTTPStatusError):
        retrying()(ask)
    assert len(asked) == ATTEMPTS
    assert time.monotonic() - began < 2, "the Hub's wait of no seconds counts"
    with pytest.raises(httpx2.HTTPStatusError):
        retrying(passing=lambda _: False)(ask)
    assert len(asked) == ATTEMPTS + 1


def test_a_wait_ends_at_once_when_leaving_is_set() -> None:
    leaving = threading.Event()
    threading.Timer(0.2, leaving.set).start()
    began = time.monotonic()

    def ask() -> None:
        raise answered(429, {"Retry-After": "60"})

    with pytest.raises(httpx2.HTTPStatusError):
        retrying(leaving=leaving)(ask)
    assert time.monotonic() - began < 10


def test_where_the_hub_names_no_wait_it_is_short_at_first() -> None:
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.monotonic())
        raise answered(503)

    with pytest.raises(httpx2.HTTPStatusError):
        retrying(lambda: 3)(ask)
    assert len(asked) == 3
    assert asked[-1] - asked[0] < 5


def test_waiting_for_the_next_window_is_no_try() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise answered(429, {"Retry-After": "1"}) if len(asked) <= 2 else answered(503)

    with pytest.raises(httpx2.HTTPStatusError):
        retrying(lambda: 2)(ask)
    assert len(asked) == 4


def test_an_internal_error_is_soon_believed() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise answered(500, {"Retry-After": "0"})

    with pytest.raises(httpx2.HTTPStatusError):
        retrying()(ask)
    assert len(asked) == ATTEMPTS_AT_INTERNAL_ERROR
