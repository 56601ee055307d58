"""A supervisor without a child: fetches generators and reads their files for a while instead of sampling.

    python -m tests.samplers.weights.holder '{"weights": ..., "endpoint": ..., "entries": FILE, ...}'

Prints a line of JSON for each generator. `flock` and `links` say what the file system under it is like.
"""

import errno
import fcntl
import json
import os
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from huggingface_hub.utils.sha import git_hash

from crawler.catalog import ModelFile
from workspace.identity import sha256_of_file


def main() -> None:
    """Fetch what the argument names."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    if asked["flock"] == "nothing":
        fcntl.flock = lambda *_: None  # type: ignore[assignment]
    elif asked["flock"] is not None:
        fcntl.flock = _refused(asked["flock"])
    if not asked["links"]:
        os.link = _refused("EPERM")

    from samplers.weights.fetching import Fetcher, FetchError
    from samplers.weights.prefetch import prefetched
    from samplers.weights.process_folder import ProcessFolder
    from samplers.weights.store import WeightStore
    from workspace.hub_access import HubAccess

    generators = [SimpleNamespace(entry=entry) for entry in pickle.loads(Path(asked["entries"]).read_bytes())]
    with ProcessFolder(Path(asked["weights"])) as folder:
        store = WeightStore(folder, Fetcher(HubAccess(asked["endpoint"])), asked["max_disk"])
        _print(folder=folder.path.name)
        sys.stdin.readline()
        for one, files in prefetched(generators, store):
            if isinstance(files, FetchError):
                _print(failed=one.entry.model_name, detail=str(files))
                continue
            _print(fetched=one.entry.model_name)
            until = time.monotonic() + asked["seconds"]
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


if __name__ == "__main__":
    from workspace.command_line import run

    run(main)
