"""FFHQ's metadata: `ffhq-dataset-v2.json`, which has the licence of each photograph.

    {"0": {"metadata": {"license": "Attribution License", "license_url": "https://creativecommons.org/..."}, ...}, ...}

The file has 255 MB, most of which are landmarks of faces, so it is read entry by entry.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from captioning.sources.folder import Folder
from captioning.sources.licenses import parse_license
from captioning.sources.source import Collection, RealImage
from workspace.errors import UsageError, in_one_line
from workspace.regular_file import open_regular

METADATA = "ffhq-dataset-v2.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Ffhq:
    """A copy of FFHQ with its metadata; `licenses` are by image number."""

    folder: Folder
    licenses: Mapping[str, str | None]

    @property
    def ids(self) -> Sequence[str]:
        """As the folder's."""
        return self.folder.ids

    @property
    def remarks(self) -> Sequence[str]:
        """As the folder's."""
        return self.folder.remarks

    def image(self, real_id: str) -> RealImage:
        """The image with its own licence. All of FFHQ's licences allow non-commercial redistribution, according to its
        README."""
        number = PurePosixPath(real_id).stem.lstrip("0") or "0"
        return replace(self.folder.image(real_id), license=self.licenses.get(number), redistributable=True)


def add_licenses(folder: Folder) -> Collection:
    """The folder with the licences of the metadata file, if that is in it or beside it."""
    for root in (folder.root, folder.root.parent):
        if os.path.lexists(root / METADATA):
            return Ffhq(folder, dict(_licenses(root / METADATA)))
    return folder


def _licenses(path: Path) -> Iterator[tuple[str, str | None]]:
    try:
        for number, entry in _entries(path):
            metadata = entry["metadata"]
            yield number, parse_license(metadata.get("license"), metadata.get("license_url"))[0]
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read as JSON ({in_one_line(error, named=False)}): download it again, or remove it "
            "(licences are then unknown)"
        ) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is not FFHQ's metadata (number -> metadata -> license_url): {in_one_line(error)}; download it "
            "again, or remove it (licences are then unknown)"
        ) from error


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a JSON object in a file, one at a time. Raises `ValueError` for anything else."""
    with TextIOWrapper(open_regular(path, path.parent), encoding="utf-8-sig") as file:
        text = _JsonStream(file)
        mark = text.next_mark()
        while mark in ("{", ","):
            key = text.next_value()
            if not isinstance(key, str) or text.next_mark() != ":":
                break
            yield key, text.next_value()
            mark = text.next_mark()
        if mark != "}":
            raise ValueError("not one object, or truncated")


class _JsonStream:
    """JSON that is read from a file in pieces, as far as it is needed."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def next_mark(self) -> str:
        """The next character that is not white space; empty at the end."""
        self._skip_space()
        mark = self._text[self._at : self._at + 1]
        self._at += len(mark)
        return mark

    def next_value(self) -> Any:
        """The next value. If the text read so far ends within it, more is read and it is parsed again."""
        self._skip_space()
        while True:
            try:
                found, self._at = self._decoder.raw_decode(self._text, self._at)
            except ValueError:
                if not self._more():
                    raise
            else:
                return found

    def _skip_space(self) -> None:
        while True:
            while self._text[self._at : self._at + 1].isspace():
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return

    def _more(self) -> bool:
        chunk = self._file.read(_CHUNK)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)
