"""Answers sealed for the disk, until their images are checked.

An answer is on the disk before anything else is done with it, or a killed process would lose an image that was paid
for. But no image is readable on the disk that the safety checker has not seen. So an answer is encrypted in between,
with a key that is derived from the provider's: whoever has that, and nobody else, can continue. The cipher is a stream
made by SHAKE-256 of the secret and a random number of 32 bytes, with a MAC (HMAC-SHA-256) over both.
"""

import hashlib
import hmac
import secrets

import numpy as np

_NONCE, _MAC = 32, 32
#: scrypt: 16 MiB and about 50 ms, so that also a short key of a local server is slow to guess from an answer.
_COST, _BLOCK = 2**14, 8


class SealError(Exception):
    """What was sealed was sealed with another key, or is damaged."""


class Seal:
    """Seals and opens with a secret; it never leaves the object."""

    def __init__(self, secret: str, salt: str) -> None:
        """`salt`: the name of what is sealed, such as the generator's."""
        derived = hashlib.scrypt(secret.encode(), salt=salt.encode(), n=_COST, r=_BLOCK, p=1, dklen=64)
        self._pad, self._mac = derived[:32], derived[32:]

    def seal(self, content: bytes) -> bytes:
        """`content` encrypted, with what shows a change of it."""
        nonce = secrets.token_bytes(_NONCE)
        body = nonce + self._applied(content, nonce)
        return hmac.digest(self._mac, body, "sha256") + body

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises `SealError`."""
        mac, body = sealed[:_MAC], sealed[_MAC:]
        if len(body) < _NONCE or not hmac.compare_digest(mac, hmac.digest(self._mac, body, "sha256")):
            raise SealError("it was sealed with another key, or is damaged")
        return self._applied(body[_NONCE:], body[:_NONCE])

    def _applied(self, content: bytes, nonce: bytes) -> bytes:
        pad = hashlib.shake_256(self._pad + nonce).digest(len(content))
        return np.bitwise_xor(np.frombuffer(content, np.uint8), np.frombuffer(pad, np.uint8)).tobytes()
