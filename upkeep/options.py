"""The options of removing and merging, with the defaults that the command lines and the Python interface share."""

import re
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import UsageError
from workspace.removal_reasons import REASONS, Reason

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """What is removed, and why. Raises `UsageError` for values that make no sense."""

    reason: str
    """licence, author-request, illegal-content, copyright, privacy, quality or other."""
    real: tuple[str, ...] = ()
    """sha256 of real images."""
    license: tuple[str, ...] = ()
    """Real images of these licences, as prompts/ has them or as shell patterns; none: whose licence is unknown."""
    with_generated: bool = False
    """Whether the images that were generated from the captions of these real images are removed too."""
    note: str | None = None
    """More about the reason, for removed.parquet."""
    dry_run: bool = False
    """Say what would be removed, and remove nothing."""

    def __post_init__(self) -> None:
        _ = self.checked_reason
        for sha256 in self.real:
            if not _SHA256.fullmatch(sha256.lower()):
                raise UsageError(f"--real {sha256}: not a sha256, which has 64 hexadecimal digits")
        if self.with_generated and not self.real and not self.license:
            raise UsageError("--with-generated goes with --real or --license: name the real images too")

    @property
    def checked_reason(self) -> Reason:
        """The reason, as it is recorded."""
        words = re.sub(r"['’]s\b", "", self.reason.strip().lower())
        wanted = {"license": "licence"}.get(words, re.sub(r"[\s_]+", "-", words))
        for reason in REASONS:
            if reason == wanted:
                return reason
        raise UsageError(f"--reason {self.reason!r}: must be one of {', '.join(REASONS)}")


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """How workspaces become one."""

    into: Path | str | None = None
    """The folder of the merged workspace, new or an earlier merge; None: the first of the workspaces."""
    copy: bool = False
    """Copy every file; otherwise files are hard links where the file system has them, which take no space."""
    dry_run: bool = False
    """Say what would be merged, and merge nothing."""
