"""A folder tree of images, each perhaps with its caption in a `.txt` of the same name beside it.

    root/
      licenses.json     optional: {"a.jpg": {"license": "cc0-1.0", "redistributable": true}, "*": {"license": null}}
      a.jpg  a.txt      an image and its caption, as img2dataset writes them
      any/depth/b.png   an image without a caption

An image is what its name says is one: a file whose suffix is in `SUFFIXES`, in either case. Hidden files and folders
(names that start with a dot: system files, macOS's `._a.jpg`) are left out. Linked files and folders are followed, a
folder that leads back into itself once. Everything else that is listed and turns out to be no image is reported later.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from captioning.sources.source import RealImage
from workspace.errors import UsageError

SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"),
        *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".mpo"),
        *(".heic", ".heif", ".jxl", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".raw"),
    ]
)
"""Lower-case suffixes of file names that say image; those of the last row are reported, not decoded."""

LICENSES_FILE = "licenses.json"
CAPTION_BYTES = 65536
"""Read of a caption file at most; no caption is as long, so a longer file is a broken one."""


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
    ids = sorted(_image_ids(root, "", ()))
    if not ids:
        raise UsageError(f"{root} holds no images: no file below it is named like one (.jpg, .png, .webp, ...)")
    return Folder(root, ids, _licenses(root / LICENSES_FILE))


def _image_ids(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
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
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _image_ids(folder / entry.name, f"{prefix}{entry.name}/", (*above, identity))
        elif PurePath(entry.name).suffix.lower() in SUFFIXES:
            yield f"{prefix}{entry.name}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed as a file, reported as missing
        return False


def _captions_beside(path: Path) -> tuple[str, ...]:
    try:
        with path.with_suffix(".txt").open("rb") as file:
            content = file.read(CAPTION_BYTES)
    except FileNotFoundError:
        return ()
    # What is not UTF-8 becomes U+FFFD, which cleaning refuses: no caption is better than a garbled one.
    return (content.decode("utf-8-sig", errors="replace"),)


def _licenses(path: Path) -> Mapping[str, Mapping[str, Any]]:
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
