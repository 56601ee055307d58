"""What the files of a folder say: every byte, and every value of every Parquet file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq


def files_with(folder: Path, *words: str) -> list[str]:
    """The files below a folder with one of the words in their path, their bytes or, decoded, their values."""
    return sorted({path for word in words for path, text in _texts(folder) if word.lower() in text.lower()})


def hashes(folder: Path, *without: str) -> dict[str, str]:
    """The sha256 of every file below a folder by path, but for those whose paths begin with one of `without`."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).as_posix().startswith(without or ("\x00",))
    }


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        yield name, name
        if path.is_file():
            yield name, path.read_bytes().decode(errors="replace")
            if path.suffix == ".parquet":
                file = pq.ParquetFile(path)
                yield name, f"{file.read().to_pylist()!r} {file.schema_arrow.metadata!r}"
