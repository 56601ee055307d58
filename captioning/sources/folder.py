"""A folder tree of images, each perhaps with its caption in a `.txt` of the same name beside it.

    root/
      licenses.json     optional: {"a.jpg": {"license": "cc0-1.0", "redistributable": true}, "*": {"license": null}}
      a.jpg  a.txt      an image and its caption; without a.txt, the caption in a.json: so writes img2dataset
      any/depth/b.png   an image without a caption

An image is what its name says is one: a file whose suffix is in `SUFFIXES`, in either case. Hidden files and folders
(names that start with a dot: system files, macOS's `._a.jpg`) and the folders that systems add (`__MACOSX`) are left
out. Linked files and folders are followed, a
folder that leads back into itself once. Everything else that is listed and turns out to be no image is reported later.
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
from workspace.errors import UsageError

SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"),
        *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
        *(".heic", ".heif", ".jxl", *RAW_SUFFIXES),
    ]
)
"""Lower-case suffixes of file names that say image; those of the last row are reported, not decoded."""

LICENSES_FILE = "licenses.json"

SYSTEM_FOLDERS = frozenset(["__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found"])
"""Folders that archivers, disk stations and file systems add; what lies in them are no images of the data set."""


@dataclass(frozen=True)
class Folder:
    """A folder tree as a collection."""

    root: Path
    ids: Sequence[str]
    licenses: Mapping[str, Mapping[str, Any]]

    def image(self, real_id: str) -> RealImage:
        """The image, with the caption beside it and its entry in `licenses.json`."""
        path = self.root / real_id
        stated = self.licenses.get(real_id, self.licenses.get("*", {}))
        return RealImage(real_id, path, _captions_beside(path), stated.get("license"), stated.get("redistributable"))


def read_folder(root: Path) -> Folder:
    """Open `root` as a folder tree. Raises `UsageError` when it holds no image or `licenses.json` is not one."""
    ids = sorted(image_ids(root))
    if not ids:
        raise UsageError(f"{root} holds no images: no file below it is named like one (.jpg, .png, .webp, ...)")
    return Folder(root, ids, read_licenses(root))


def image_ids(root: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[str]:
    """The ids of all files below `root` with one of the suffixes, in no order. Raises `UsageError` for a folder that
    cannot be read."""
    return _image_ids(root, "", (), suffixes)


def _image_ids(
    folder: Path, prefix: str, above: tuple[tuple[int, int], ...], suffixes: Collection[str]
) -> Iterator[str]:
    """Ids of the images in `folder`, whose own id is `prefix`; `above` identifies the folders that lead here."""
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be read ({error.strerror}): mend that, or move it out of the source"
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
    except OSError:  # a link to itself: listed as a file, reported as missing
        return False


def _captions_beside(path: Path) -> tuple[str, ...]:
    for suffix, read in ((".txt", captions_in_text), (".json", captions_in_json)):
        try:
            with path.with_suffix(suffix).open("rb") as file:
                return read(file.read(CAPTION_BYTES))
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # the image's own name is as long as names may be
                raise
    return ()


def read_licenses(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """What `licenses.json` in a root says, by id; empty where there is none. Raises `UsageError` when it is not one."""
    path = root / LICENSES_FILE
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(stated, dict) or not all(_is_statement(entry) for entry in stated.values()):
        raise UsageError(
            f"{path} must be an object of objects, image -> license (a text or null) and redistributable (true, "
            f'false or null); "*" speaks for all images'
        )
    return stated


def _is_statement(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("license"), str | None)
        and entry.get("license") != ""
        and isinstance(entry.get("redistributable"), bool | None)
    )
