"""The files of a program: every file below the paths that its table names, with its size and SHA-256."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from crawler.catalog import ModelFile
from crawler.local.reader import files_below
from crawler.reasons import Incompatible
from workspace.errors import UsageError
from workspace.printable import in_line
from workspace.regular_file import OutsideError, open_regular

#: Folders of what Python makes of code, other bytes on each machine.
_CACHES = "__pycache__"


def files_of(places: Mapping[str, Path], hint: str) -> tuple[ModelFile, ...]:
    """The files at these places, by path in the generator's folder: the name of the place, and the path below it.

    Raises `UsageError` for what is not there (`hint` says where it comes from) or cannot be read.
    """
    return tuple(file for name, place in places.items() for file in _files(name, place, hint))


def _files(name: str, place: Path, hint: str) -> Iterator[ModelFile]:
    if not place.exists():
        raise UsageError(f"{place} does not exist{hint}")
    place = place.resolve()
    if not place.is_dir():
        yield _hashed(name, place, place.parent)
        return
    try:
        found = sorted(file.path for file in files_below(place))
    except Incompatible as error:
        raise UsageError(f"{place}: {error.detail}") from error
    kept = [path for path in found if _CACHES not in Path(path).parts]
    if not kept:
        raise UsageError(f"{place}: the folder has no files{hint}")
    for path in kept:
        yield _hashed(f"{name}/{path}", place / path, place)


def _hashed(path: str, file: Path, within: Path) -> ModelFile:
    try:
        with open_regular(file, within) as content:
            digest = hashlib.file_digest(content, "sha256")  # type: ignore[arg-type]
            size = content.tell()
    except OutsideError as error:
        raise UsageError(f"{in_line(str(file))} is a link that leads out of its folder: put the file there") from error
    except OSError as error:
        raise UsageError(f"{in_line(str(file))} cannot be read: {error.strerror or error}") from error
    return ModelFile(path=path, size=size, sha256=digest.hexdigest())
