"""The captioner: a model that describes images in words, and how one is named.

Its `target_size` says how large an image it looks at, so that images are resized where they are decoded.
`CaptionerReference` says which captioner is meant: a repository of the Hub, or a folder.
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
from workspace.repo_id import checked_repo_id, split_revision

COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)


class Captioner(Protocol):
    """A loaded captioner."""

    @property
    def target_size(self) -> TargetSize:
        """The size at which it looks at images."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: cpu, cuda:0, ..."""
        ...

    def caption(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """One caption for each image, in their order, as the model generates it: not yet cleaned.

        Images are RGB bytes of shape (height, width, 3), resized by `target_size`.
        """
        ...


@dataclass(frozen=True)
class CaptionerReference:
    """A captioner as the user names it: ORG/NAME, ORG/NAME@REVISION or a folder.

    Exactly one of `repo_id` and `folder` is set; a `revision` of None means the repository's `main`.
    """

    repo_id: str | None
    revision: str | None
    folder: Path | None

    @classmethod
    def parse(cls, text: str) -> "CaptionerReference":
        """Read the option; an existing folder comes first. Raises `UsageError` for what is neither."""
        if text and Path(text).is_dir():
            return cls(None, None, Path(text).resolve())
        try:
            repo_id, revision = split_revision(text)
            return cls(checked_repo_id(repo_id, namespace=True), revision, None)
        except UsageError as error:
            raise UsageError(
                f"--captioner {text!r} is neither an existing folder nor a repository (ORG/NAME[@REVISION])"
            ) from error
