"""A folder tree of images, each with or without a caption in a `.txt` file of the same name.

    root/
      licenses.json     optional: {"a.jpg": {"license": "cc0-1.0", "redistributable": true}, "*": {"license": null}}
      a.jpg  a.txt      an image and its caption; without a.txt, the caption in a.json, as img2dataset writes it
      any/depth/b.png   an image without a caption

A file is listed as an image when its suffix, in upper or lower case, is in `SUFFIXES`; one that turns out not to be an
image is reported when it is decoded. Hidden files and folders (names that start with a dot, such as macOS's `._a.jpg`)
and folders that systems add (`__MACOSX`) are skipped. Links are followed; a folder linked into itself is read once.
"""

import errno
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from captioning.images import RAW_SUFFIXES
from captioning.sources.captions import CAPTION_BYTES, captions_in_json, captions_in_text
from captioning.sources.source import RealImage
from workspace.errors import UsageError, in_one_line

SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"),
        *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
        *(".heic", ".heif", ".jxl", *RAW_SUFFIXES),
    ]
)
"""Suffixes of image files, in lower case; files with those of the last row are reported, not decoded."""

LICENSES_FILE = "licenses.json"

SYSTEM_FOLDERS = frozenset(["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"])
"""Folders that archivers, network storage and file systems add; their files are not part of the data set."""


@dataclass(frozen=True)
class Folder:
    """A folder tree as a collection."""

    root: Path
    ids: Sequence[str]
    licenses: Mapping[str, Mapping[str, Any]]

    def image(self, real_id: str) -> RealImage:
        """The image, with the caption beside it and its entry in `licenses.json`."""
        path = self.root / real_id
        entry = self.licenses.get(real_id, self.licenses.get("*", {}))
        return RealImage(real_id, path, _captions_beside(path), entry.get("license"), entry.get("redistributable"))


def read_folder(root: Path) -> Folder:
    """Open `root` as a folder tree. Raises `UsageError` when it holds no image or its `licenses.json` is invalid."""
    ids = sorted(image_ids(root))
    if not ids:
        raise UsageError(f"{root} holds no images: no file in it has an image's suffix (.jpg, .png, .webp, ...)")
    return Folder(root, ids, read_licenses(root))


def image_ids(root: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[str]:
    """The ids of all files below `root` with one of the suffixes, in no order. Raises `UsageError` for a folder that
    cannot be read."""
    return _image_ids(root, "", (), suffixes)


def _image_ids(
    folder: Path, prefix: str, above: tuple[tuple[int, int], ...], suffixes: Collection[str]
) -> Iterator[str]:
    """Ids of the images in `folder`, each starting with `prefix`; `above` identifies the folders it is in."""
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read ({error.strerror}): change its permissions, or move it out of the source"
        ) from error
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS:
            continue
        if _is_folder(entry):
            yield from _image_ids(folder / entry.name, f"{prefix}{entry.name}/", (*above, identity), suffixes)
        elif PurePath(entry.name).suffix.lower() in suffixes:
            yield f"{prefix}{entry.name}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed as a file, and reported as missing
        return False


def _captions_beside(path: Path) -> tuple[str, ...]:
    for suffix, read in ((".txt", captions_in_text), (".json", captions_in_json)):
        try:
            with path.with_suffix(suffix).open("rb") as file:
                return read(file.read(CAPTION_BYTES))
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # the image's name already has the greatest length
                raise
    return ()


def read_licenses(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """The entries of `licenses.json` in a root, by id; none without that file. Raises `UsageError` if it is invalid."""
    path = root / LICENSES_FILE
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read as JSON ({in_one_line(error, named=False)}): correct it, or remove it"
        ) from error
    if not isinstance(entries, dict) or not all(_is_valid(entry) for entry in entries.values()):
        raise UsageError(
            f'{path} must be of the form {{"a.jpg": {{"license": "cc0-1.0", "redistributable": true}}}}: license is a '
            'text or null, redistributable is true, false or null, and "*" stands for all other images'
        )
    return entries


def _is_valid(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("license"), str | None)
        and entry.get("license") != ""
        and isinstance(entry.get("redistributable"), bool | None)
    )
