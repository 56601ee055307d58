"""A stand-in for BLIP, the captioner that `cf-caption` asks for by default, really trained on the demo's own pictures.

The whole repository is committed below `repository/`, written by `python -m demo.zoo.captioner.training`; building
it is copying it. Same class, files and preprocessing as the real one, at 1 MB instead of 990 MB: it knows
handwritten digits and sixteen photographs, and nothing else. Nothing here imports torch.
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
