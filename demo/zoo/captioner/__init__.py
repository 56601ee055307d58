"""A stand-in for BLIP, the default captioner of `cf-caption`, trained on the demo's own images.

The complete repository is committed in `repository/`, written by `python -m demo.zoo.captioner.training`; to build it
is to copy it. Same class, files and preprocessing as the real one, at 1 MB instead of 990 MB: it knows handwritten
digits and sixteen photographs, and nothing else. torch is not imported here.
"""

import shutil
from pathlib import Path

from demo.zoo.repository import Repository

REPO_ID = "Salesforce/blip-image-captioning-base"
COMMIT_ID = "82a37760796d32b1411fe092ab5d4e227313294b"
"""The revision that `cf-caption` pins."""

REPOSITORY = Path(__file__).parent / "repository"
"""The committed repository."""


def repositories() -> list[Repository]:
    """The stand-in, under the real name and revision."""
    return [Repository(REPO_ID, _build, downloads=1_980_000, likes=790, commit_id=COMMIT_ID)]


def _build(folder: Path) -> None:
    shutil.copytree(REPOSITORY, folder, dirs_exist_ok=True)
