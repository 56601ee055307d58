"""A process with limits, from the inside: it enters the sandbox, then answers until its socket closes."""

import io
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workspace.limited.channel import SECONDS, receive, receive_with_files, send
from workspace.sandbox import isolation

#: The answer to a message, its bytes and its open files.
Handler = Callable[[dict[str, Any], bytes, list[int]], tuple[dict[str, Any], bytes]]

_LARGEST = 2 << 30
#: It needs no home, so none exists.
_NOWHERE = Path("/nonexistent")


def serve(handler: Callable[["Server"], Handler]) -> None:
    """Run the process that `LimitedProcess` started. `handler` makes the function that answers, inside the sandbox."""
    server = Server(socket.socket(fileno=int(sys.argv[1])))
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:  # the walls would not hold for them
        raise RuntimeError(f"{threads} threads before the sandbox was entered")
    # It ends when its socket closes. It must not end with the thread that started it, which other threads outlive.
    walls = isolation.enter(_NOWHERE, memory=int(sys.argv[2]), kept=[server.link.fileno()], dies_with_parent=False)
    answer = handler(server)
    try:
        send(server.link, {"walls": walls})
        while True:
            message, body, files = receive_with_files(server.link, _LARGEST)
            # The default action of its signal ends this process, whatever it is doing.
            signal.setitimer(signal.ITIMER_PROF, message.pop(SECONDS))
            send(server.link, *answer(message, body, files))
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (EOFError, ConnectionError):
        return


class Server:
    """What a handler may ask of the process that started it."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link

    def remote_file(self, size: int) -> "RemoteFile":
        """A file of `size` bytes that the other process reads."""
        return RemoteFile(self.link, size)


class RemoteFile(io.RawIOBase):
    """A file for reading, whose bytes the process that started this one gives."""

    def __init__(self, link: socket.socket, size: int) -> None:
        self._link, self._size, self._at = link, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise ValueError("a negative position")
        return self._at

    def tell(self) -> int:
        """As of any file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file."""
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._size - self._at))
        if not length:
            return 0
        send(self._link, {"read": [self._at, length]})
        content = receive(self._link, max(length, 1024))[1][:length]
        view[: len(content)] = content
        self._at += len(content)
        return len(content)
