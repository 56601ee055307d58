"""FFHQ's metadata: `ffhq-dataset-v2.json`, which has the licence of each photograph.

    {"0": {"metadata": {"license": "Attribution License", "license_url": "https://creativecommons.org/..."}, ...}, ...}

The file has 255 MB, most of them landmarks of faces, so it is read entry by entry.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from captioning.sources.folder import Folder
from captioning.sources.licenses import stated_license
from captioning.sources.source import Collection, RealImage
from workspace.errors import UsageError

METADATA = "ffhq-dataset-v2.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Ffhq:
    """A copy of FFHQ with its metadata; `stated` is the licence by number."""

    folder: Folder
    stated: Mapping[str, str | None]

    @property
    def ids(self) -> Sequence[str]:
        """As the folder's."""
        return self.folder.ids

    def image(self, real_id: str) -> RealImage:
        """The image with its own licence. All of FFHQ's licences let images be passed on for no commercial purpose,
        says its README."""
        number = PurePosixPath(real_id).stem.lstrip("0") or "0"
        return replace(self.folder.image(real_id), license=self.stated.get(number), redistributable=True)


def with_licenses(folder: Folder) -> Collection:
    """The folder with the licences of the metadata, where that lies in it or beside it."""
    for root in (folder.root, folder.root.parent):
        if (root / METADATA).is_file():
            return Ffhq(folder, dict(_licenses(root / METADATA)))
    return folder


def _licenses(path: Path) -> Iterator[tuple[str, str | None]]:
    try:
        for number, entry in _entries(path):
            metadata = entry["metadata"]
            yield number, stated_license(metadata.get("license"), metadata.get("license_url"))[0]
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is not FFHQ's metadata (number -> metadata -> license_url): {type(error).__name__} {error}"
        ) from error


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The entries of a JSON object in a file, one at a time. Raises `ValueError` for anything else."""
    with path.open(encoding="utf-8") as file:
        text = _Text(file)
        mark = text.mark()
        while mark in ("{", ","):
            key = text.value()
            if not isinstance(key, str) or text.mark() != ":":
                break
            yield key, text.value()
            mark = text.mark()
        if mark != "}":
            raise ValueError("it is not one object, or ends early")


class _Text:
    """A text that is read as it is asked for."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def mark(self) -> str:
        """The next character that is no white space; empty at the end."""
        self._skip_space()
        mark = self._text[self._at : self._at + 1]
        self._at += len(mark)
        return mark

    def value(self) -> Any:
        """The next value. One that is cut off by the end of what was read is tried again with more of it."""
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
