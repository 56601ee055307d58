"""Connections on which an answer must come with some speed, its headers too.

A time-out is for one read from the socket, so a server that sends a byte now and then is never too late.
"""

import ssl
import time
from typing import Any

import httpcore2
import httpx2

#: Bytes a second that an answer must come with, over `PATIENCE` seconds of waiting for it: less is no connection that
#: anything could be downloaded with.
FLOOR = 4_000
PATIENCE = 30.0


def pace(client: httpx2.Client) -> None:
    """Let answers to this client be too late when they are slow. It has no public place for that."""
    for transport in (client._transport, *client._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore2.ConnectionPool):
            pool._network_backend = PacedBackend()


class PacedBackend(httpcore2.SyncBackend):
    """Makes connections on which an answer that is too slow is a time-out."""

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore2.NetworkStream:
        """As `httpcore2.SyncBackend.connect_tcp`."""
        return _PacedStream(super().connect_tcp(*args, **options))


class _PacedStream(httpcore2.NetworkStream):
    """A connection. Only the time of waiting for bytes counts, from the first ones of an answer on: a server may take
    long for an answer, and a disk for what is written to it."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream
        self._has_begun, self._waited, self._size = False, 0.0, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        started = time.monotonic()
        read = self._stream.read(max_bytes, timeout)
        if self._has_begun:
            self._waited += time.monotonic() - started
            self._size += len(read)
        self._has_begun = True
        if self._waited > PATIENCE:
            if self._size < FLOOR * self._waited:
                raise httpcore2.ReadTimeout(f"the answer comes with less than {FLOOR // 1000} kB a second")
            self._waited, self._size = 0.0, 0
        return read

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._has_begun, self._waited, self._size = False, 0.0, 0
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _PacedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
