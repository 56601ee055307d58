"""Loads the published dataset as any user would, and compares every image with the manifest.

Run as `python -m demo.readback ORG/NAME WORKSPACE` in a process of its own, because `datasets` reads the endpoint when
it is imported. Prints one JSON object: the number of rows of each split, and of the images that were compared.
"""

import hashlib
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from workspace.command_line import run
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.number_text import counted


def read_back(repo_id: str, workspace: Workspace) -> dict[str, object]:
    """Load every split of the dataset; raises `CommunityForensicsError` for an image that differs from its row."""
    import datasets

    # The Hub's service that converts datasets to Parquet: the embedded Hub has none, and this dataset is Parquet.
    datasets.config.USE_PARQUET_EXPORT = False
    expected = pq.read_table(workspace.manifest / "manifest.parquet", columns=["sha256", "label"]).to_pylist()
    generated = {row["sha256"] for row in expected if row["label"] == 1}
    loaded = datasets.load_dataset(repo_id)
    seen: set[str] = set()
    for split, rows in loaded.items():
        for row in rows.cast_column("image", datasets.Image(decode=False)):
            digest = hashlib.sha256(row["image"]["bytes"]).hexdigest()
            if digest != row["sha256"]:
                raise CommunityForensicsError(
                    f"{repo_id}, {split}: the sha256 of {row['image_name']} differs from its row"
                )
            seen.add(digest)
    if missing := generated - seen:
        raise CommunityForensicsError(f"{repo_id}: {counted(len(missing), 'image')} of the manifest not published")
    return {"rows": {split: len(rows) for split, rows in loaded.items()}, "images": len(seen)}


def main() -> None:
    """Load the dataset and print the numbers."""
    repo_id, root = sys.argv[1:]
    print(json.dumps(read_back(repo_id, Workspace.open(Path(root)))))


if __name__ == "__main__":
    run(main)
