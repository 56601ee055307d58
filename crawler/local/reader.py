"""Folders and files on this machine, opened like repositories of the Hub.

The path is the user's and is followed wherever it leads; what is below it may be a stranger's. So files are opened only
when they are regular ones, and links only when they stay in the folder (`workspace/regular_file.py`).
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from crawler.catalog import ModelFile
from crawler.hub.repository import MAX_FILES, Description, Reader, Repository
from crawler.hub.single_flight import SingleFlight
from crawler.reasons import Incompatible, Reason
from workspace.folder_tree import is_folder, paths_below
from workspace.regular_file import OutsideError, open_regular
from workspace.size import text_of

#: The path in the catalogue of a checkpoint in one file, whatever it is called here.
CHECKPOINT = "checkpoint.safetensors"
#: Stands for the revision until the files are hashed.
NOT_HASHED = "0" * 64


class LocalReader:
    """Opens generators on this machine by name, and all others by the reader of the Hub; for any number of threads."""

    def __init__(self, places: Mapping[str, Path], hub: Reader) -> None:
        """`places` are folders, and files that are checkpoints."""
        self._places, self._hub = places, hub
        self._hashed: SingleFlight[Path, str] = SingleFlight()

    def open(self, model_name: str, revision: str | None) -> Repository:
        """A generator on this machine, or a repository of the Hub; raises as `RepositoryReader.open`."""
        if model_name not in self._places:
            return self._hub.open(model_name, revision)
        return Repository(model_name, NOT_HASHED, Description(self._files(model_name)).checked(), self)

    def content(self, repository: Repository, path: str, max_bytes: int) -> bytes:
        """The bytes of a file; raises `Incompatible` (malformed)."""
        with self.opened(repository.model_name, path) as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise Incompatible(Reason.MALFORMED, f"{path} has more than {text_of(max_bytes)}")
        return content

    def has(self, model_name: str) -> bool:
        """Whether a generator, or a configuration, is on this machine."""
        return model_name in self._places

    @contextmanager
    def opened(self, model_name: str, path: str) -> Iterator[BinaryIO]:
        """A file of a generator, for reading; raises `Incompatible` (malformed) where it cannot be read."""
        with _readable(path), open_regular(*self._where(model_name, path)) as file:
            yield file

    def hashed(self, model_name: str, files: Iterable[ModelFile]) -> tuple[ModelFile, ...]:
        """The files with the SHA-256 of each; raises `Incompatible` (malformed)."""
        return tuple(replace(file, sha256=self._sha256(model_name, file)) for file in files)

    def _sha256(self, model_name: str, file: ModelFile) -> str:
        def compute() -> str:
            with self.opened(model_name, file.path) as content:
                if os.fstat(content.fileno()).st_size != file.size:
                    raise Incompatible(Reason.MALFORMED, f"{file.path} was changed while it was read")
                return hashlib.file_digest(cast(BufferedReader, content), "sha256").hexdigest()

        return self._hashed.get(self._where(model_name, file.path)[0], compute)

    def _where(self, model_name: str, path: str) -> tuple[Path, Path]:
        """The path of a file, and the folder that it must be in."""
        place = self._places[model_name].resolve()
        return (place / path, place) if place.is_dir() else (place, place.parent)

    def _files(self, model_name: str) -> dict[str, ModelFile]:
        place = self._places[model_name].resolve()
        if place.is_dir():
            with _readable("its folder"):
                return {file.path: file for file in files_below(place)}
        with _readable("its path"):
            size = place.stat().st_size
        return {CHECKPOINT: ModelFile(path=CHECKPOINT, size=size)}


def files_below(folder: Path) -> Iterator[ModelFile]:
    """The files below a folder, one more than is read at most; sizes of other things than files are 0."""
    count = 0

    def wanted(entry: os.DirEntry[str]) -> bool:
        # Hidden folders are those of programs: .git, and the cache of `hf download`.
        return not (entry.name.startswith(".") and is_folder(entry))

    # What a folder that cannot be read would have is missed, and said, later.
    for text in paths_below(folder, wanted, on_error=lambda _: None):
        if not text.isprintable() or "\\" in text:
            continue
        count += 1
        if count > MAX_FILES:
            raise Incompatible(Reason.MALFORMED, f"the folder has more than {MAX_FILES:,} files")
        path = folder / text
        yield ModelFile(path=text, size=path.stat().st_size if path.is_file() else 0)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Errors of files as reasons, which are published: without the folder that they are in."""
    try:
        yield
    except OutsideError as error:
        raise Incompatible(Reason.MALFORMED, f"{path} is a link that leads out of its folder") from error
    except OSError as error:
        raise Incompatible(Reason.MALFORMED, f"{path} cannot be read: {error.strerror or error}") from error
