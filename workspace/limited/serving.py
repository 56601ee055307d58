"""A process with limits, from the inside: it enters the sandbox, then answers until its socket closes."""

import gc
import io
import json
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
    settings = json.loads(sys.argv[2])
    walls = isolation.enter(
        Path(settings["home"] or _NOWHERE),
        [Path(folder) for folder in settings["readable"]],
        memory=settings["memory"],
        mapped=0,
        kept=[server.link.fileno()],
        # It ends when its socket closes. The thread that started it may end before others have used it.
        dies_with_parent=False,
    )
    # The imports, for which the first message may wait too: the garbage collector would visit the growing heap again
    # and again and free nothing, a fifth of the time.
    gc.disable()
    answer = handler(server)
    # From here on strangers' files may have a say in what is printed.
    for output in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    try:
        send(server.link, {"walls": walls})
        while True:
            message, body, files = receive_with_files(server.link, _LARGEST)
            # The default action of its signal ends this process, whatever it is doing.
            signal.setitimer(signal.ITIMER_PROF, message.pop(SECONDS))
            send(server.link, *answer(message, body, files))
            signal.setitimer(signal.ITIMER_PROF, 0)
            if not gc.isenabled():
                gc.freeze()  # what is imported and loaded stays until the end
                gc.enable()
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
