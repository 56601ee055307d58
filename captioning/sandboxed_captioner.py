"""A captioner in a process of its own, behind the same walls as generators: its weights may be anybody's.

That process has no token and no network, reads the captioner's folder and nothing else of the user's, and writes a
folder that is removed at its end.
"""

import dataclasses
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from captioning.generation import Generation
from captioning.target_size import TargetSize
from workspace.errors import CommunityForensicsError, UsageError
from workspace.limited.process import NO_SENSE, NONSENSE, LimitedProcess, LimitError, Limits, LostError, Script
from workspace.sandbox.limits import default_memory

#: Seconds: a batch on a slow processor may take minutes, and loading from a slow disk too. Processor time has no limit.
_CLOCK, _PROCESSOR = 3600.0, 1e6


class SandboxedCaptioner:
    """A captioner loaded in a process of its own; a `captioning.captioner.Captioner`."""

    def __init__(self, program: str | Script, folder: Path, settings: dict[str, Any]) -> None:
        """Start `program`, which answers as `captioner_process` does, and let it load the captioner in `folder` with
        these settings.

        Raises `UsageError` when the folder or the device cannot be used, `CommunityForensicsError` when the process
        does not start, or ends.
        """
        home = tempfile.TemporaryDirectory(prefix="cf-captioner-")
        weakref.finalize(self, home.cleanup)
        # Files of the Hub's cache are links into another of its folders.
        readable = {folder, *(path.resolve().parent for path in folder.iterdir())}
        self._process = LimitedProcess(
            program,
            Limits(processor=_PROCESSOR, clock=_CLOCK, memory=default_memory(), answer=1 << 24),
            readable=readable,
            home=Path(home.name),
            environment={},
        )
        try:
            answer = self._ask({"load": settings})
            with _sensible():
                self.target_size = TargetSize(**answer["target_size"])
                self.device: str = answer.get("device", settings["device"]) + ""
        except BaseException:
            self._process.close()
            raise

    def caption(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        """Captions of a batch, in its order. Raises `CommunityForensicsError` when the captioner fails."""
        shapes = [list(image.shape[:2]) for image in images]
        answer = self._ask({"caption": shapes}, b"".join(image.tobytes() for image in images))
        with _sensible():
            captions = [caption + "" for caption in answer["captions"]]  # texts, or a `TypeError`
        if len(captions) != len(images):
            raise CommunityForensicsError(f"the captioner gave {len(captions)} captions of {len(images)} images")
        return captions

    def _ask(self, message: dict[str, Any], body: bytes = b"") -> dict[str, Any]:
        try:
            answer, _ = self._process.ask(message, body)
        except (LostError, LimitError) as error:
            raise CommunityForensicsError(
                f"the process of the captioner {error}: run the same command again; if it happens again, name another "
                "--captioner, or a smaller --batch-size in a new workspace"
            ) from error
        if "usage" in answer:
            raise UsageError(str(answer["usage"]))
        if "failed" in answer:
            raise CommunityForensicsError(str(answer["failed"]))
        return answer


@contextmanager
def _sensible() -> Iterator[None]:
    """A block that reads an answer, which may be wrong in any way: whoever made the weights may have made it."""
    try:
        yield
    except NONSENSE as error:
        raise CommunityForensicsError(f"the process of the captioner {NO_SENSE}: name another --captioner") from error


def load_sandboxed(folder: Path, device: str, generation: Generation) -> SandboxedCaptioner:
    """The captioner in `folder`, loaded by transformers onto a device; errors as `SandboxedCaptioner`."""
    asked = {"folder": str(folder), "device": device, "generation": dataclasses.asdict(generation)}
    return SandboxedCaptioner("captioning.captioner_process", folder, asked)
