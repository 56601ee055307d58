"""A user at a shell: a folder with a workspace in it, and the installed commands."""

import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from captioning.prompt import Prompt, read_prompts
from crawler.catalog import CatalogEntry, read_catalog
from samplers.sample import Sample, read_samples
from tests.programs import Programs
from workspace.layout import Workspace

#: Commands that a wish may take.
COMMANDS = 3


class User:
    """Types command lines in `folder`, where `workspace` is the workspace; a wish ends with the last of them."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        self.folder, self.workspace = folder, Workspace(folder / "workspace")
        self._programs, self._typed = programs, 0

    def types(self, line: str, code: int = 0) -> str:
        """A command that does what it is asked for, or ends with this exit code; returns what it prints."""
        out, err, ended = self._end(line)
        assert ended == code, f"$ {line}: {ended}\n{out}\n{err}"
        return out + err

    def is_refused(self, line: str) -> str:
        """A command that is refused as wrong use; returns the line that says so."""
        out, err, code = self._end(line)
        assert code == 2, f"$ {line}\n{out}\n{err}"
        assert err.count("\n") == 1, err
        return err

    def runs(self, code: str) -> str:
        """Lines of Python, which are a command too."""
        self._count()
        return self._programs.source(code, folder=self.folder)

    def _end(self, line: str) -> tuple[str, str, int | None]:
        self._count()
        ended = self._programs.end_of(*shlex.split(line), folder=self.folder)
        return ended.out, ended.err, ended.code

    def _count(self) -> None:
        self._typed += 1
        assert self._typed <= COMMANDS, "a wish takes three commands at most"

    # What they find then

    @property
    def catalog(self) -> dict[str, CatalogEntry]:
        return {entry.model_name: entry for entry in read_catalog(self.workspace)}

    @property
    def prompts(self) -> list[Prompt]:
        return read_prompts(self.workspace)

    def samples(self, generator: str) -> list[Sample]:
        return read_samples(self.workspace, generator)

    @property
    def manifest(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.workspace.manifest / "manifest.parquet").to_pylist()
        return rows

    @property
    def images(self) -> dict[str, bytes]:
        """The image files, by their path in the workspace."""
        files = sorted(self.workspace.images.rglob("*.png"))
        return {path.relative_to(self.workspace.root).as_posix(): path.read_bytes() for path in files}
