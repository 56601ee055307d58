"""A supervisor without a child: has generators placed, looks at their files for a while instead of sampling, goes on.

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
    """Hold what is asked for."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    if asked["flock"] == "nothing":
        fcntl.flock = lambda *_: None  # type: ignore[assignment]
    elif asked["flock"] is not None:
        fcntl.flock = _refused(asked["flock"])
    if not asked["links"]:
        os.link = _refused("EPERM")

    from samplers.weights.fetching import Fetcher, FetchError
    from samplers.weights.prefetch import placed
    from samplers.weights.scratch import Slot
    from samplers.weights.store import WeightStore

    owed = [SimpleNamespace(entry=entry) for entry in pickle.loads(Path(asked["entries"]).read_bytes())]
    with Slot(Path(asked["weights"])) as slot:
        store = WeightStore(slot, Fetcher(asked["endpoint"]), asked["max_disk"])
        _say(slot=slot.path.name)
        sys.stdin.readline()
        for one, arrived in placed(owed, store):
            if isinstance(arrived, FetchError):
                _say(failed=one.entry.model_name, detail=str(arrived))
                continue
            _say(placed=one.entry.model_name)
            until = time.monotonic() + asked["seconds"]
            while not _whole(arrived.folder, one.entry.files) or time.monotonic() < until:
                time.sleep(0.02)
            _say(done=one.entry.model_name)


def _whole(folder: Path, files: Sequence[ModelFile]) -> bool:
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


def _say(**words: str) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    from workspace.errors import run

    run(main)
