"""A server that answers as no Hub should: a test writes every byte of the answer."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""

    @property
    def token(self) -> str | None:
        """The token it came with."""
        return self.headers.get("authorization")


Answer = Callable[[Request, socket.socket], None]


@dataclass
class StrangeHub:
    """Its address, and what it was sent."""

    endpoint: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def strange_hub(answer: Answer) -> Iterator[StrangeHub]:
    """A server on loopback: `answer` gets each request and the connection, which is closed afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hub = StrangeHub(f"http://127.0.0.1:{server.getsockname()[1]}")

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=converse, args=(connection,), daemon=True).start()

        def converse(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                received = b""
                while b"\r\n\r\n" not in received:
                    part = connection.recv(65_536)
                    if not part:
                        return
                    received += part
                head = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                request = Request(method, path, headers)
                hub.requests.append(request)
                answer(request, connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield hub
        finally:
            # Wakes `accept`.
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def send(connection: socket.socket, status: int = 200, body: bytes = b"", **headers: str) -> None:
    """Send a whole answer; underscores in the names of headers stand for hyphens."""
    fields = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    connection.sendall(f"HTTP/1.1 {status} So\r\nConnection: close\r\n{lines}\r\n".encode() + body)


def send_without_end(connection: socket.socket, part: bytes = b"\0" * 65_536, status: int = 200, **headers: str) -> int:
    """Send a body until the client closes the connection; the bytes it took."""
    sent = 0
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    with suppress(OSError):
        connection.sendall(f"HTTP/1.1 {status} So\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode())
        while True:
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            sent += len(part)
    return sent
