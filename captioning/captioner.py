"""The captioner: whatever turns images into captions, and how one is named.

Its `target_size` says what it looks at of an image, so that images are brought to that size where they are decoded; it is
asked for a batch of what that leaves. `CaptionerReference` says which captioner
is meant, exactly: a repository at a commit, or a folder and the hash of its files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from captioning.target_size import TargetSize
from workspace.errors import UsageError

DEFAULT_CAPTIONER = "Salesforce/blip-image-captioning-base@82a37760796d32b1411fe092ab5d4e227313294b"
"""BLIP base, fine-tuned for captions on COCO; the head of its `main` in 2025."""

Backend = Literal["transformers", "lavis"]
"""What runs a captioner: transformers, or for BLIP the code of its authors."""

COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


class Captioner(Protocol):
    """A loaded captioner."""

    @property
    def target_size(self) -> TargetSize:
        """What it looks at of an image."""
        ...

    def caption(self, views: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """One caption for each view of the batch, in their order, as the model says it: not yet cleaned.

        A view is what `target_size` leaves of an image: bytes (height, width, 3), RGB.
        """
        ...


@dataclass(frozen=True)
class CaptionerReference:
    """A captioner as the user names it: REPO, REPO@REVISION or a FOLDER.

    Exactly one of `repository` and `folder` is set; `revision` is None for the repository's `main`.
    """

    repository: str | None
    revision: str | None
    folder: Path | None

    @classmethod
    def parse(cls, text: str) -> "CaptionerReference":
        """Read the option; a folder that exists comes first. Raises `UsageError` for what can be neither."""
        if text and Path(text).is_dir():
            return cls(None, None, Path(text).resolve())
        repository, at, revision = text.partition("@")
        if not _REPOSITORY.fullmatch(repository) or (at and not revision):
            raise UsageError(
                f"--captioner {text!r} is neither a folder that exists nor a repository (ORG/NAME[@REVISION])"
            )
        return cls(repository, revision or None, None)
