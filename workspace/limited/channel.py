"""Messages between two processes over a pair of sockets: an object of JSON, bytes, and open files.

What a process with walls answers may be wrong in any way, but it is only data: lengths are checked before memory is
taken, and nothing is unpickled.
"""

import json
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from workspace.json_text import load_json

#: In a question: the seconds of processor time after which the system ends the process that answers.
SECONDS = "seconds"

_LENGTHS = struct.Struct(">IQ")
_FILES = 4
#: Bytes of a message at most, and values in it: names of twenty thousand members, texts of as many rows.
_MESSAGE, _VALUES = 256 << 20, 8_000_000

#: Called whenever a wait took a tick of time; raises to end the wait.
Tick = Callable[[], None]


class MessageError(Exception):
    """What was received is no message."""


def send(
    link: socket.socket,
    message: dict[str, Any],
    body: bytes | memoryview = b"",
    files: Sequence[int] = (),
    tick: Tick | None = None,
) -> None:
    """Send a message. Raises `OSError` when the other end is closed."""
    header = json.dumps(message).encode()
    start = memoryview(_LENGTHS.pack(len(header), len(body)) + header)
    if files:
        sent = _repeated(lambda: socket.send_fds(link, [start], list(files)), tick)
        start = start[sent:]
    for part in (start, memoryview(body)):
        while part:
            part = part[_repeated(lambda part=part: link.send(part), tick) :]  # type: ignore[misc]


def receive(link: socket.socket, largest: int, tick: Tick | None = None) -> tuple[dict[str, Any], bytes]:
    """The next message and its bytes, at most `largest` of each, and of the message no more than `_MESSAGE`.

    Raises `EOFError` when the other end is closed, `MessageError` when it sent anything else, `OSError`.
    """
    message, body, _ = _receive(lambda view: (link.recv_into(view), []), largest, tick)
    return message, body


def receive_with_files(link: socket.socket, largest: int) -> tuple[dict[str, Any], bytes, list[int]]:
    """As `receive`, with the open files that came with it: for the end that trusts the other."""

    def read(view: memoryview) -> tuple[int, list[int]]:
        content, files, _, _ = socket.recv_fds(link, len(view), _FILES)
        view[: len(content)] = content
        return len(content), files

    return _receive(read, largest, None)


def _receive(
    read: Callable[[memoryview], tuple[int, list[int]]], largest: int, tick: Tick | None
) -> tuple[dict[str, Any], bytes, list[int]]:
    found: list[int] = []

    def exactly(length: int) -> bytearray:
        content = bytearray(length)
        view = memoryview(content)
        while view:
            count, files = _repeated(lambda view=view: read(view), tick)  # type: ignore[misc]
            found.extend(files)
            if not count:
                raise EOFError
            view = view[count:]
        return content

    header_length, body_length = _LENGTHS.unpack(exactly(_LENGTHS.size))
    if header_length > _MESSAGE or max(header_length, body_length) > largest:
        raise MessageError(f"an answer of {max(header_length, body_length):,} bytes")
    try:
        message = load_json(exactly(header_length), _VALUES)
    except (ValueError, RecursionError) as error:
        raise MessageError("an answer that is not JSON") from error
    if not isinstance(message, dict):
        raise MessageError("an answer that is not an object")
    return message, bytes(exactly(body_length)), found


def _repeated(call: Callable[[], Any], tick: Tick | None) -> Any:
    """The result of a call on a socket, which is tried again after each timeout of the socket."""
    while True:
        try:
            return call()
        except TimeoutError:
            if tick is not None:
                tick()
