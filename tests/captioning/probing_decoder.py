"""A decoding process that tries what code in a decoder would try, and answers what it was allowed."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workspace.limited.serving import Handler, Server, serve


def probing(server: Server) -> Handler:
    def answer(message: dict[str, Any], body: bytes, files: list[int]) -> tuple[dict[str, Any], bytes]:
        secret, parent = Path(message["suffix"].removeprefix(".")), os.getppid()
        attempts: dict[str, Callable[[], object]] = {
            "read the token": secret.read_bytes,
            "list the folder of the token": lambda: os.listdir(secret.parent),  # noqa: PTH208
            "write a file": lambda: (secret.parent / "written").write_bytes(b"x"),
            "write to /tmp": lambda: Path("/tmp/cf-probe").write_bytes(b"x"),
            "read the environment of the process that started it": Path(f"/proc/{parent}/environ").read_bytes,
            "open its memory": lambda: os.close(os.open(f"/proc/{parent}/mem", os.O_RDONLY)),
            "open its files": lambda: os.close(os.open(f"/proc/{parent}/fd/0", os.O_RDONLY)),
            "connect": lambda: socket.create_connection(("127.0.0.1", 9), 1),
            "send a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "kill the process that started it": lambda: os.kill(parent, 0),
            "start a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        }
        allowed = [name for name, attempt in attempts.items() if not _refused(attempt)]
        environment = sorted(os.environ)
        return {"unusable": {"reason": "broken", "detail": f"{allowed} {environment}"}}, b""

    return answer


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


if __name__ == "__main__":
    serve(probing)
