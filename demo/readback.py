"""Reads the published dataset back as a stranger would, and holds every image against the manifest.

Run as `python -m demo.readback ORG/NAME WORKSPACE` in a process of its own, because `datasets` keeps the
endpoint it saw when it was imported. Prints one JSON object: rows by split, and how many images were compared.
"""

import hashlib
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from workspace.command_line import run
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace


def read_back(repo_id: str, workspace: Workspace) -> dict[str, object]:
    """Load every split of the dataset; raises `CommunityForensicsError` for an image that differs from its row."""
    import datasets

    # A service beside the Hub (datasets-server) that converts datasets to Parquet: ours are, and it is not here.
    datasets.config.USE_PARQUET_EXPORT = False
    expected = pq.read_table(workspace.manifest / "manifest.parquet", columns=["sha256", "label"]).to_pylist()
    generated = {row["sha256"] for row in expected if row["label"] == 1}
    loaded = datasets.load_dataset(repo_id)
    seen: set[str] = set()
    for split, rows in loaded.items():
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            digest = hashlib.sha256(row["image"]["bytes"]).hexdigest()
            if digest != row["sha256"]:
                raise CommunityForensicsError(f"{repo_id}, {split}: {row['image_name']} is not the image its row says")
            seen.add(digest)
    if missing := generated - seen:
        raise CommunityForensicsError(f"{repo_id}: {len(missing)} images of the manifest were not published")
    return {"rows": {split: len(rows) for split, rows in loaded.items()}, "images": len(seen)}


def main() -> None:
    """Print what was read."""
    repo_id, root = sys.argv[1:]
    print(json.dumps(read_back(repo_id, Workspace.open(Path(root)))))


if __name__ == "__main__":
    run(main)
