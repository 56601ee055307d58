"""Images examined in this process, by the code of the process that does it, without the safety checker.

That process takes seconds to start, and holds neither key nor ledger: where it is not what is tested, it is left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samplers.child.safety import SafetyResult
from samplers.foreign.examiner import Examined, Unusable, _checked
from samplers.foreign.examining_process import examine

#: A safety checker that nobody loads.
CHECKER = f"nobody/checker@{'0' * 40}"


class HereExaminer:
    """As `samplers.foreign.examiner.Examiner`."""

    walls = ()

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> "HereExaminer":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def examine(self, files: Sequence[tuple[bytes, str]]) -> list[Examined | Unusable]:
        message = {"images": [{"suffix": suffix, "size": len(content)} for content, suffix in files], "hashes": False}
        found = examine(_Checker(), message, b"".join(content for content, _ in files))  # type: ignore[arg-type]
        return [_checked(one) for one in found]


class _Checker:
    def check(self, pictures: Sequence[Any]) -> list[SafetyResult]:
        return [SafetyResult(flagged=False, score=-0.1) for _ in pictures]


def no_files(*_: Any, **__: Any) -> Path:
    """In place of downloading a checker."""
    return Path()
