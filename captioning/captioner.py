"""The captioner: whatever turns images into captions, and how one is named.

`prepare` is asked for one image at a time, so that its pixels can go as soon as the little a model looks at has
been taken from them; `caption` is asked for a batch of what was prepared. `CaptionerReference` says which captioner
is meant, exactly: a repository at a commit, or a folder and the hash of its files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from workspace.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

DEFAULT_CAPTIONER = "Salesforce/blip-image-captioning-base@82a37760796d32b1411fe092ab5d4e227313294b"
"""BLIP base, fine-tuned for captions on COCO; the head of its `main` in 2025."""

COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


class Captioner(Protocol):
    """A loaded captioner."""

    def prepare(self, image: "Image.Image") -> npt.NDArray[np.float32]:
        """What the model looks at of one RGB image of any size: float32 (3, height, width), the same shape for all."""
        ...

    def caption(self, prepared: Sequence[npt.NDArray[np.float32]]) -> list[str]:
        """One caption for each prepared image of the batch, in their order, as the model says it: not yet cleaned."""
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
