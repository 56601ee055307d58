"""Copy the catalogue's generators and the safety checker into a folder for `cf-hub serve`, for nodes without internet.

python mirror_for_cluster.py WORKSPACE FOLDER
"""

import subprocess
import sys
import tempfile
from collections import defaultdict

import pyarrow.parquet as pq
from huggingface_hub import snapshot_download

import community_forensics as cf

workspace, folder = sys.argv[1:]
files: dict[tuple[str, str], set[str]] = defaultdict(set)
for row in pq.read_table(f"{workspace}/catalog.parquet").to_pylist():
    if row["status"] == "compatible":
        files[row["model_name"], row["revision"]] |= {file["path"] for file in row["files"]}
        for other in ("base", "prior"):
            if row[f"{other}_files"]:
                of_other = row[f"{other}_model"], row[f"{other}_revision"]
                files[of_other] |= {file["path"] for file in row[f"{other}_files"]}
checker, _, revision = cf.SampleOptions.safety_checker.partition("@")
files[checker, revision] = {"*"}

for (name, revision), paths in files.items():
    with tempfile.TemporaryDirectory() as copy:
        snapshot_download(name, revision=revision, allow_patterns=sorted(paths), local_dir=copy)
        subprocess.run(["cf-hub", "add", folder, name, copy, "--commit-id", revision], check=True)
