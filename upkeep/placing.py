"""Putting the files of one workspace into another one: as hard links, or as copies."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from workspace.atomic import atomic_path, link_or_copy, write_bytes
from workspace.errors import UsageError
from workspace.layout import Workspace

#: How a line of a log begins, before its time; and the length of both.
_TIME = b'{"time": "'
_TIME_LENGTH = len(_TIME) + len("2026-01-31T12:00:00.000")


class Placing:
    """Places files in `target`; `copy`: never as links. What it places folder by folder is first made in `.merge`."""

    def __init__(self, target: Workspace, copy: bool) -> None:
        self._target, self._copy = target, copy
        self._scratch = target.root / ".merge"

    def file(self, source: Path, name: str, copy: bool = False) -> None:
        """Give the target this file, by its path below the workspace, in place of another one; `copy`: as one of its
        own, which a person may change."""
        target = self._target.root / name
        if target.exists() and source.samefile(target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        made = self._scratch / "file"
        self._scratch.mkdir(exist_ok=True)
        made.unlink(missing_ok=True)
        self._give(source, made, copy)
        made.replace(target)

    def folder(self, source: Path, name: str, copy: bool = False) -> None:
        """Give the target this folder, by its path below the workspace, in place of another one; none where there is no
        such folder. `copy`: with files of its own, as they are written to later."""
        made, target = self._scratch / "folder", self._target.root / name
        shutil.rmtree(made, ignore_errors=True)
        if source.is_dir():
            made.mkdir(parents=True)
            for path in sorted(source.rglob("*")):
                if path.is_dir():
                    (made / path.relative_to(source)).mkdir(exist_ok=True)
                else:
                    self._give(path, made / path.relative_to(source), copy)
        if target.exists():
            shutil.rmtree(target)
        if source.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            made.rename(target)

    def logs(self, sources: Sequence[Workspace], is_gone: Callable[[str], bool]) -> None:
        """Unite the logs: of files of one name the lines of all, in the order of their times, equal ones once; without
        files whose names are those of what `is_gone`."""
        names = sorted(
            {path.relative_to(one.logs) for one in sources for path in one.logs.rglob("*") if is_file_itself(path)}
        )
        for name in names:
            if any(map(is_gone, name.parts)):
                continue
            lines: list[bytes] = []
            for one in sources:
                if is_file_itself(one.logs / name):
                    known = set(lines)
                    more = (one.logs / name).read_bytes().splitlines(keepends=True)
                    lines += [line for line in more if line not in known]
            ordered: list[bytes] = sorted(lines, key=_time)
            content = b"".join(ordered)
            target = self._target.logs / name
            if not target.exists() or target.read_bytes() != content:
                write_bytes(target, content)

    def finish(self) -> None:
        """Remove what was made on the way."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _give(self, source: Path, target: Path, copy: bool = False) -> None:
        if not is_file_itself(source):
            raise UsageError(
                f"{source} is a link, or no regular file: put the file itself there, and run the same command again"
            )
        if self._copy or copy:
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        else:
            link_or_copy(source, target)


def is_file_itself(path: Path) -> bool:
    """Whether a path is a regular file and no link, which might lead to a file of the user's that is no part of a
    workspace."""
    return path.is_file() and not path.is_symlink()


def _time(line: bytes) -> bytes:
    """The time of a line of a log, as text that can be compared (`workspace.progress.Log`); of others the first."""
    return line[:_TIME_LENGTH] if line.startswith(_TIME) else b""
