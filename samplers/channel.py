"""Messages between the supervisor and the child, as bytes with their length, over the pipe that both were given.

The child opens untrusted files, so the supervisor believes nothing that comes from it: it reads no more bytes than it
expects, and waits no longer than a deadline, for a message that never becomes complete as for one that never begins.
Sending has a deadline too: a child that does not read cannot stop the supervisor.
"""

import os
import select
import struct
import threading
import time
from multiprocessing.connection import Connection

_LENGTH = struct.Struct(">Q")
_CHUNK = 1 << 20


class Channel:
    """One end of the pipe. `receive` is for one thread, `send` for any."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        os.set_blocking(connection.fileno(), False)

    def close(self) -> None:
        """Close this end; the other one then gets `EOFError`."""
        self._connection.close()

    def send(self, *messages: bytes, seconds: float | None = None) -> None:
        """Send messages, one after the other. Raises `TimeoutError` after `seconds` (None: never), and `OSError` when
        the other end is closed."""
        deadline = _deadline(seconds)
        with self._sending:
            for message in messages:
                for part in (_LENGTH.pack(len(message)), message):
                    self._write(memoryview(part), deadline)

    def receive(self, most: int, seconds: float | None = None) -> bytes:
        """The next message. Raises `ValueError` when it has more than `most` bytes, `TimeoutError` when it is not
        complete after `seconds` (None: never), and `EOFError` or `OSError` when the other end is closed."""
        deadline = _deadline(seconds)
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > most:
            raise ValueError(f"a message of {length} bytes, at most {most} are expected")
        return self._read(length, deadline)

    def _read(self, count: int, deadline: float | None) -> bytes:
        found = bytearray()
        while len(found) < count:
            self._wait(select.POLLIN, deadline)
            try:
                part = os.read(self._connection.fileno(), min(count - len(found), _CHUNK))
            except BlockingIOError:
                continue
            if not part:
                raise EOFError
            found += part
        return bytes(found)

    def _write(self, content: memoryview, deadline: float | None) -> None:
        while content:
            self._wait(select.POLLOUT, deadline)
            try:
                content = content[os.write(self._connection.fileno(), content[:_CHUNK]) :]
            except BlockingIOError:
                continue

    def _wait(self, event: int, deadline: float | None) -> None:
        poll = select.poll()
        poll.register(self._connection.fileno(), event)
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not poll.poll(left):
            raise TimeoutError


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
