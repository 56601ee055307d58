"""A supervisor without a child: fetches generators and reads their files for a while instead of sampling.

It prints a line of JSON for each generator. `flock` and `links` say what the file system under it is like. It is a
process of its own, forked from the fork server that has the imports.
"""

import errno
import fcntl
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from huggingface_hub.utils.sha import git_hash

from crawler.catalog import CatalogEntry, ModelFile
from samplers.weights.fetching import Fetcher, FetchError
from samplers.weights.prefetch import prefetched
from samplers.weights.process_folder import ProcessFolder
from samplers.weights.store import WeightStore
from workspace.command_line import run
from workspace.hub_access import HubAccess
from workspace.identity import sha256_of_file


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a holder fetches, and from where."""

    weights: Path
    endpoint: str
    entries: list[CatalogEntry] = field(default_factory=list)
    seconds: float = 0.0
    """How long it reads the files of each generator."""
    max_disk: int | None = None
    flock: str | None = None
    """Error of file locks; "nothing": they succeed and do not lock."""
    links: bool = True
    """Whether there are hard links."""


class Holder:
    """The process, with the parts of `subprocess.Popen` that the tests need. It waits for a line before it starts."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("forkserver")
        (stdin, its_stdin), (its_stdout, stdout), (its_stderr, stderr) = (context.Pipe(False) for _ in range(3))
        self._process = context.Process(target=_hold, args=(work, stdin, stdout, stderr))
        self._process.start()
        for end in (stdin, stdout, stderr):
            end.close()
        self.stdin = _opened(its_stdin, "w")
        self.stdout, self.stderr = _opened(its_stdout, "r"), _opened(its_stderr, "r")

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid or 0, number)

    def communicate(self) -> tuple[str, str]:
        """Wait for the end; what it printed."""
        if not self.stdout.closed:
            self._printed = self.stdout.read(), self.stderr.read()
            self._process.join()
            for file in (self.stdin, self.stdout, self.stderr):
                file.close()
        return self._printed


def _opened(end: Connection, mode: str) -> Any:
    file = os.fdopen(os.dup(end.fileno()), mode, encoding="utf-8")
    end.close()
    return file


def _hold(work: Work, *standard: Connection) -> None:
    import huggingface_hub.constants

    # The fork server is for children, which work offline.
    huggingface_hub.constants.HF_HUB_OFFLINE = False
    for number, end in enumerate(standard):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    run(lambda: _fetch(work))


def _fetch(work: Work) -> None:
    if work.flock == "nothing":
        fcntl.flock = lambda *_: None  # type: ignore[assignment]
    elif work.flock is not None:
        fcntl.flock = _refused(work.flock)
    if not work.links:
        os.link = _refused("EPERM")
    generators = [SimpleNamespace(entry=entry) for entry in work.entries]
    with ProcessFolder(work.weights) as folder:
        store = WeightStore(folder, Fetcher(HubAccess(work.endpoint)), work.max_disk)
        _print(folder=folder.path.name)
        sys.stdin.readline()
        for one, files in prefetched(generators, store):
            if isinstance(files, FetchError):
                _print(failed=one.entry.model_name, detail=str(files))
                continue
            _print(fetched=one.entry.model_name)
            until = time.monotonic() + work.seconds
            while not _verified(files.folder, one.entry.files) or time.monotonic() < until:
                time.sleep(0.02)
            _print(done=one.entry.model_name)


def _verified(folder: Path, files: Sequence[ModelFile]) -> bool:
    for file in files:
        path = folder / file.path
        if file.sha256 is not None:
            assert sha256_of_file(path) == file.sha256, path
        else:
            assert git_hash(path.read_bytes()) == file.git_oid, path
    return True


def _refused(name: str) -> Any:
    def refuse(*_: object) -> NoReturn:
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))

    return refuse


def _print(**values: str) -> None:
    print(json.dumps(values), flush=True)
