"""What an answer of a provider means: whether an image may have been paid for, and whether to ask again.

A request ends in one of five ways. An image came. It was *refused*: the provider does not make this image. It *failed*:
nothing was made, so it may be asked again later. It is *unanswered*: the provider may have made an image, and charge
for it, that did not arrive. Or no further request makes sense: the key, the credit, the model or the address is wrong.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2

from samplers.provider.service import MAX_VALUES
from workspace.errors import CommunityForensicsError
from workspace.json_text import load_json
from workspace.printable import in_line
from workspace.retry import response_of, retry_after

#: Longest wait in seconds that a provider may ask for; a run that is to wait longer ends instead.
MAX_WAIT = 900.0
#: Characters of a provider's own words in a message, an error or a row.
MAX_WORDS = 300
#: Nothing was made: too many requests, or a server that says that it cannot at the moment.
_NOTHING_MADE = frozenset({409, 425, 429, 500, 503, 529})
#: A server in between gave up: what is behind it may have made an image.
_GATEWAY = frozenset({408, 502, 504, 520, 521, 522, 523, 524, 525, 526, 527})
#: What providers call a refusal because of what the prompt or the image shows.
_REFUSAL = re.compile(
    r"content[ _-]?(policy|filter|moderat)|moderation[ _-]?block|safety (system|filter|policy)|nsfw|"
    r"responsible[ _-]?ai|"
    r"(was|been|is) (flagged|moderated)|(prohibited|sensitive|inappropriate|unsafe) (content|prompt|words)",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient[ _-]?(quota|funds|balance|credit)|billing|exhausted your|payment", re.IGNORECASE)
#: Errors of a connection that was not made: the request was not sent.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class RefusedError(Exception):
    """The provider does not make this image; nothing is counted as paid."""


class FailedError(Exception):
    """Nothing was made. The same request may succeed after `wait` seconds (None: the provider names no time)."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class UnansweredError(Exception):
    """The provider may have made an image that did not arrive, and may charge for it."""


class WrongPromptError(Exception):
    """The provider says that the request is wrong; where others of its kind succeed, it is this prompt."""


class ProviderError(CommunityForensicsError):
    """No further request to this provider makes sense before something is changed."""


def judged(error: Exception, key_name: str) -> Exception:
    """What the error of a client means: one of the classes above. `key_name`: the variable that has the key."""
    response = response_of(error)
    if response is None:
        return _without_answer(error)
    status, words = response.status_code, words_of(response)
    if 300 <= status < 400:
        target = in_line(response.headers.get("Location", "another address"))[:MAX_WORDS]
        return ProviderError(
            f"the provider's address has moved to {target}: nothing is sent there by itself; if it is the provider's, "
            "name it as endpoint in the generator's TOML file"
        )
    if status == 402 or (status in (403, 429) and _NO_CREDIT.search(words)):
        return ProviderError(f"the provider says that its credit is used up ({words or status}): add some there")
    if status in _NOTHING_MADE:
        return _failed(f"status {status}: {words}", response.headers)
    if status in _GATEWAY:
        return UnansweredError(f"status {status}: {words}")
    if status in (400, 403, 422, 451) and _REFUSAL.search(words):
        return RefusedError(words)
    if status in (401, 403):
        # Not in the provider's words: some quote parts of the key.
        return ProviderError(f"the provider does not accept the key in {key_name} (status {status})")
    if status in (400, 413, 422):
        return WrongPromptError(words or f"status {status}")
    return ProviderError(f"the provider answers with status {status}: {words or 'without a word'}")


def words_of(response: httpx2.Response) -> str:
    """What a provider says in an answer that is no image, as one short line; empty where nothing can be read."""
    try:
        text = response.text
    except Exception:  # the body was not read, or is no text: it says nothing
        return ""
    try:
        said = load_json(text, MAX_VALUES)
    except (ValueError, RecursionError):
        said = None
    if said is None and "<" in text[:20]:
        return ""  # a page
    first, *others = list(dict.fromkeys(_texts(said))) or [text if said is None else ""]
    return in_line(f"{first} ({', '.join(others)})" if others else first)[:MAX_WORDS]


def wait_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by `retry-after-ms`, which OpenAI's client reads too, or `Retry-After`; None: they say none."""
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.isdecimal() and len(milliseconds) <= 9:
        return float(milliseconds) / 1000
    return retry_after(headers, now)


def _failed(text: str, headers: Mapping[str, str]) -> Exception:
    wait = wait_of(headers, datetime.now(UTC))
    if wait is not None and wait > MAX_WAIT:
        return ProviderError(
            f"the provider asks to wait {wait / 60:.0f} minutes ({text}): run the same command again then"
        )
    return FailedError(text, wait)


def _without_answer(error: Exception) -> Exception:
    """What it means that no answer came: by the first cause that says whether the request was sent."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, _NOT_SENT):
            return FailedError(f"the provider cannot be reached ({type(one).__name__})")
        if isinstance(one, httpx2.HTTPError | OSError):
            return UnansweredError(f"no whole answer came ({type(one).__name__})")
        one = one.__cause__ or one.__context__
    return error


def _texts(value: Any, depth: int = 0) -> list[str]:
    """The texts of an error in JSON, its message first, then codes and types, whatever their provider names them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and depth < 4:
        ordered = sorted(value, key=lambda name: name not in ("message", "error", "detail", "msg"))
        return [text for name in ordered for text in _texts(value[name], depth + 1)]
    if isinstance(value, list) and depth < 4:
        return [text for one in value[:10] for text in _texts(one, depth + 1)]
    return []
