"""A real Xet store on this disk: the upload of a new version of a dataset to a store with content-defined chunks."""

import os
import subprocess
import sys
from pathlib import Path

# The client runs in a process of its own: it reads its settings once and its threads do not end.
_SEND = """
import pathlib, sys
import hf_xet

for folder in sys.argv[2:]:
    commit = hf_xet.XetSession().new_upload_commit(endpoint=f"local://{sys.argv[1]}")
    for path in sorted(pathlib.Path(folder).glob("*.parquet")):
        commit.start_upload_file(str(path))
    said = commit.wait_to_finish().dedup_metrics
print(said.total_bytes_uploaded / said.total_bytes)
"""


def taken_anew(store: Path, old: Path, new: Path) -> float:
    """The share of the bytes of the Parquet files in `new` that must be uploaded to a store with those in `old`.

    `store`: a folder that does not exist yet. Raises `CalledProcessError` if the client fails.
    """
    (store / "content").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", _SEND, str(store / "content"), str(old), str(new)],
        env={**os.environ, "HF_XET_CACHE": str(store / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    return float(done.stdout)
