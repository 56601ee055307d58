"""The list of a safety checker's files in a shared store, for processes that do not ask the Hub.

The Hub says which files a checker has, so `cf-fetch` writes the list beside the pool. It has a checksum: a damaged list
is no list, and is written again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from crawler.catalog import ModelFile
from workspace.atomic import write_json
from workspace.layout import generator_folder


def write_checker_list(weights_dir: Path, repo_id: str, revision: str, files: Sequence[ModelFile]) -> None:
    """Write the files of a checker at a commit."""
    listed = [asdict(file) for file in files]
    write_json(_path(weights_dir, repo_id, revision), {"files": listed, "sha256": _checksum(listed)})


def read_checker_list(weights_dir: Path, repo_id: str, revision: str) -> list[ModelFile] | None:
    """The files of a checker at a commit; None where there is no list, or a damaged one."""
    try:
        read = json.loads(_path(weights_dir, repo_id, revision).read_bytes())
        if read["sha256"] != _checksum(read["files"]):
            return None
        return [ModelFile(**file) for file in read["files"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _checksum(listed: object) -> str:
    return hashlib.sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()


def _path(weights_dir: Path, repo_id: str, revision: str) -> Path:
    return weights_dir / "checkers" / f"{generator_folder(repo_id)}@{revision}.json"
