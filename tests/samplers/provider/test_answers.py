"""What answers mean: waits, words, and that nothing a stranger answers ends in another error."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.provider.answers import (
    MAX_WORDS,
    FailedError,
    ProviderError,
    RefusedError,
    UnansweredError,
    WrongPromptError,
    judged,
    wait_of,
    words_of,
)
from samplers.provider.openai_images import OpenAIImages
from samplers.provider.service import Delivery, NoImageError
from tests.bounds import within
from tests.fuzzing import fuzzed

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 30 Nov 2026 10:00:20 GMT"}, 20.0),
        ({"retry-after": "Mon, 30 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 40}, None),
        ({}, None),
    ],
)
def test_the_wait_is_what_the_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_of(httpx2.Headers(headers), NOW) == seconds


def _response(status: int, content: bytes) -> httpx2.Response:
    return httpx2.Response(status, content=content, request=httpx2.Request("POST", "https://x.example"))


@fuzzed(60)
@given(JSON)
def test_whatever_a_provider_says_is_one_short_line(value: Any) -> None:
    words = words_of(_response(400, json.dumps(value).encode()))
    assert len(words) <= MAX_WORDS
    assert "\n" not in words


@fuzzed(60)
@given(st.integers(300, 599), st.binary(max_size=200))
def test_whatever_a_provider_answers_has_one_of_the_meanings(status: int, content: bytes) -> None:
    response = _response(status, content)
    meaning = judged(httpx2.HTTPStatusError("x", request=response.request, response=response), "KEY")
    assert isinstance(meaning, FailedError | ProviderError | RefusedError | UnansweredError | WrongPromptError)


@fuzzed(60)
@given(JSON | st.builds(lambda one: {"data": [one]}, st.dictionaries(st.sampled_from(["url", "b64_json"]), JSON)))
def test_an_answer_has_an_image_or_none(value: Any) -> None:
    service = OpenAIImages.__new__(OpenAIImages)
    with suppress(NoImageError):
        assert isinstance(service.delivery(json.dumps(value).encode()), Delivery)


@pytest.mark.attack
@pytest.mark.parametrize("piece", [b"[],", b'{"a":1},'])
def test_an_answer_of_many_small_values_takes_no_memory(piece: bytes) -> None:
    answer = b'{"data": [' + piece * (2_000_000 // len(piece)) + b"1]}"
    with within(seconds=3, megabytes=20):
        with pytest.raises(NoImageError):
            OpenAIImages.__new__(OpenAIImages).delivery(answer)
        assert len(words_of(_response(400, answer))) <= MAX_WORDS
