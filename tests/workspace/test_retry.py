"""What may pass is asked again, after the wait the Hub names; what is final is not."""

import threading
import time
from datetime import UTC, datetime

import httpx2
import pytest

from workspace.retry import ATTEMPTS, MAX_WAIT, asked_wait, is_transient, retrying, status_of


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
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=10;t=55'}, None),
    ],
)
def test_waits_are_read_in_every_form_and_capped(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, datetime(2025, 1, 1, tzinfo=UTC)) == seconds


def test_causes_are_looked_through() -> None:
    outer = ValueError("not cached")
    outer.__cause__ = httpx2.ReadTimeout("silent")
    assert is_transient(outer)
    assert not is_transient(ValueError("a mistake"))


def answered(status: int, headers: dict[str, str] | None = None) -> httpx2.HTTPStatusError:
    request = httpx2.Request("GET", "http://hub/x")
    return httpx2.HTTPStatusError("", request=request, response=httpx2.Response(status, headers=headers or {}))


@pytest.mark.parametrize(("status", "passing"), [(429, True), (503, True), (401, False), (404, False), (413, False)])
def test_an_answer_counts_more_than_what_it_is_wrapped_in(status: int, passing: bool) -> None:
    outer = OSError("not cached, and no connection")
    outer.__cause__ = answered(status)
    assert (status_of(outer), is_transient(outer)) == (status, passing)


def test_an_address_that_is_none_is_not_asked_again() -> None:
    assert not is_transient(httpx2.UnsupportedProtocol("ftp"))


def test_it_is_asked_so_often_and_no_more() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise answered(503, {"Retry-After": "0"})

    with pytest.raises(httpx2.HTTPStatusError):
        retrying()(ask)
    assert len(asked) == ATTEMPTS
    with pytest.raises(httpx2.HTTPStatusError):
        retrying(passing=lambda _: False)(ask)
    assert len(asked) == ATTEMPTS + 1


def test_who_leaves_waits_no_longer() -> None:
    leaving = threading.Event()
    threading.Timer(0.2, leaving.set).start()
    began = time.monotonic()

    def ask() -> None:
        raise answered(429, {"Retry-After": "60"})

    with pytest.raises(httpx2.HTTPStatusError):
        retrying(leaving=leaving)(ask)
    assert time.monotonic() - began < 10
