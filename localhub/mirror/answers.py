"""Answers of the API that everybody gets, kept as they were for the time when the Hub does not answer.

    DIR/answers/ab/<hash of path and query>.json

A page of a list, and what is said of a repository at a branch, change from day to day, so the Hub is asked first. The
folder may be removed at any time.
"""

import hashlib
import json
from pathlib import Path

from localhub.mirror.upstream import Answer
from workspace.atomic import write_bytes


class Answers:
    """The answers in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, target: str, answer: Answer) -> None:
        """Keep the answer at a path and query; not one that took a token."""
        if not answer.opened:
            kept = {"target": target, "after": answer.after, "value": answer.value}
            write_bytes(self._path(target), json.dumps(kept, separators=(",", ":")).encode())

    def kept(self, target: str) -> Answer | None:
        """The answer that was kept; None where there is none, or a damaged one."""
        try:
            read = json.loads(self._path(target).read_bytes())
            return Answer(read["value"], read["after"]) if read["target"] == target else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _path(self, target: str) -> Path:
        name = hashlib.sha256(target.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.json"
