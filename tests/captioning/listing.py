"""The processes that list a data set's files with `datasets`, forked from one that has imported it.

A new interpreter imports it in more than a second. `datasets` reads the Hub's address when it is imported, so the
server is one of one Hub; for another Hub the process is a new interpreter, as a user's.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from captioning.sources import hub_files
from localhub.process import HubProcess
from tests.forking import Server
from tests.hubs import WITHOUT_TENSORS

#: What it imports when it needs it.
IMPORTS = ("datasets", "datasets.load", "datasets.data_files", "datasets.exceptions", "workspace.hub_session")


@contextmanager
def forked_listing(hub: HubProcess) -> Iterator[None]:
    """A block in which the files of this Hub's data sets are listed by such processes."""
    anew = hub_files._ask
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, **WITHOUT_TENSORS}
    server = Server("captioning.sources.hub_files", *IMPORTS, __name__, environment=environment)

    def ask(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        if environment.get("HF_ENDPOINT") != hub.endpoint:
            return anew(arguments, environment)
        with TemporaryDirectory() as folder:
            output = Path(folder, "output")
            process = server.start(_answer, [*arguments], dict(environment), output)
            process.join()
            assert process.exitcode is not None
            return subprocess.CompletedProcess(arguments, process.exitcode, output.read_bytes())

    with mock.patch.object(hub_files, "_ask", ask):
        yield


def _answer(arguments: list[str], environment: dict[str, str], output: Path) -> None:
    os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY), 1)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["hub_files", *arguments]
    hub_files._main()
