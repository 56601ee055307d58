"""The Hubs of the tests: `HubProcess` forks its server from one that has imported the code.

A new interpreter needs half a second of processor time until it serves, and the tests start hundreds of Hubs. The
process is still one of its own, with its arguments, environment, folder, session and standard input.
tests/localhub/test_process.py starts new interpreters.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

from localhub import process
from tests.forking import Forked, Server

SERVER = Server(
    "localhub.cli",
    # What this imports when it needs it.
    "localhub.serve",
    "localhub.mirror.app",
    "localhub.mirror.upstream",
    "pydantic.type_adapter",
    "typer._adapters",
    __name__,
)

_ANEW = process._cf_hub


@contextmanager
def forked_hubs() -> Iterator[None]:
    """A block in which this process forks its Hubs."""
    with mock.patch.object(process, "_cf_hub", _started):
        yield


def _started(arguments: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes] | _ForkedHub":
    return _ANEW(arguments, environment) if SERVER.is_inherited else _ForkedHub(arguments, environment)


class _ForkedHub(Forked):
    """The server, and what it has as its standard input."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        theirs, self.stdin = Pipe(duplex=False)
        super().__init__(SERVER.start(_cf_hub, theirs, [*arguments], dict(environment), Path.cwd()))
        theirs.close()


def _cf_hub(stdin: Connection, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
    os.setsid()
    # multiprocessing has given it another one.
    sys.stdin = os.fdopen(stdin.fileno(), closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    from huggingface_hub import constants

    from localhub.cli import main

    # Read when the server imported it.
    constants.ENDPOINT = environment.get("HF_ENDPOINT", constants.ENDPOINT)
    sys.argv = ["cf-hub", *arguments]
    main()
