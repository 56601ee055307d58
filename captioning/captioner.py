"""The captioner: whatever turns images into captions, and how one is named.

Its `target_size` says how large an image it looks at, so that images are brought to that size where they are decoded.
`CaptionerReference` says which captioner is meant, exactly: a repository at a commit, or a folder and the hash of its
files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from captioning.target_size import TargetSize
from workspace.errors import UsageError
from workspace.repo_id import split_revision

COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)


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
        try:
            return cls(*split_revision(text), None)
        except UsageError as error:
            raise UsageError(
                f"--captioner {text!r} is neither an existing folder nor a repository (ORG/NAME[@REVISION])"
            ) from error
