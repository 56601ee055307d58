"""Copy the catalogue's generators and the safety checker into a folder for `cf-hub serve`, for nodes without internet.

python mirror_for_cluster.py WORKSPACE FOLDER
"""

import subprocess
import sys
import tempfile
from collections import defaultdict

import pandas as pd
from huggingface_hub import snapshot_download

import community_forensics as cf

workspace, folder = sys.argv[1:]
catalog = pd.read_parquet(cf.Workspace.open(workspace).catalog)
files = defaultdict(set)
for row in catalog[catalog["status"] == "compatible"].itertuples():
    files[row.model_name, row.revision] |= {file["path"] for file in row.files}
    if row.base_revision:
        files[row.base_model, row.base_revision] |= {file["path"] for file in row.base_files}
files[tuple(cf.SampleOptions.safety_checker.split("@"))] = {"*"}

for (name, revision), paths in files.items():
    with tempfile.TemporaryDirectory() as copy:
        snapshot_download(name, revision=revision, allow_patterns=sorted(paths), local_dir=copy)
        subprocess.run(["cf-hub", "add", folder, name, copy, "--commit-id", revision], check=True)
