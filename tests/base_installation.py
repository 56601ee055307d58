"""An installation without extras: what `pip install .` brings, and nothing else.

The base's packages, found by following the declared dependencies of what is installed here, are linked into a folder.
An interpreter that does not look into its own site-packages (`python -S`) and has that folder on PYTHONPATH sees
exactly these: torch, diffusers and transformers are really not there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = "community-forensics"


def packages_of_base() -> set[str]:
    """Names of all distributions that the base installs, the project itself included."""
    found: set[str] = set()
    left = [PROJECT]
    while left:
        name = _normalised(left.pop())
        if name in found:
            continue
        found.add(name)
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                left.append(requirement.name)
    return found


class BaseInstallation:
    """Runs Python with the base's packages and the project, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        for name in packages_of_base():
            for entry in _entries_of(metadata.distribution(name)):
                link = folder / entry.name
                if not link.exists():
                    link.symlink_to(entry)

    def run(
        self, code: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run Python code to its end."""
        path = os.pathsep.join([str(self._folder), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-S", "-c", code, *arguments],
            env={**os.environ, **(environment or {}), "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def _entries_of(distribution: metadata.Distribution) -> set[Path]:
    """Files and folders of a distribution directly below site-packages."""
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    return {Path(str(distribution.locate_file(top))) for top in tops}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
