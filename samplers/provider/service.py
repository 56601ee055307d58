"""What every interface of providers has: one request for one image, and finding the image in the answer."""

import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx2

#: Bytes of an answer at most: an image of 64 MiB as base64, and what is around it.
MAX_ANSWER = 96 << 20
#: Bytes of an image at most.
MAX_IMAGE = 64 << 20
#: Values of JSON in an answer at most; texts in base64 are one each.
MAX_VALUES = 100_000
#: Seconds until a connection is made, and until an answer begins: a large image takes a provider minutes.
CONNECT_SECONDS, ANSWER_SECONDS = 30.0, 600.0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The image in an answer: its bytes, or the address that they are at."""

    content: bytes | None = None
    url: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the provider says of it, such as the prompt that it made of ours (`revised_prompt`)."""


class NoImageError(Exception):
    """An answer that the provider calls a success has no image, or none that can be read."""


class Service(Protocol):
    """One model of one provider. Used by several threads."""

    @property
    def address(self) -> str:
        """The address that requests are sent to."""

    def ask(self, prompt: str) -> bytes:
        """Send one request for one image, once; returns the body of the answer.

        Raises what its client raises (`answers.judged` says what it means).
        """

    def delivery(self, answer: bytes) -> Delivery:
        """Where the image of an answer is; nothing is paid for that. Raises `NoImageError`, and as `ask`."""

    def close(self) -> None:
        """Close its connections."""


@functools.cache
def tls() -> ssl.SSLContext:
    """The certificates that are trusted: reading them takes longer than a request."""
    return httpx2.create_ssl_context()
