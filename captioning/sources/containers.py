"""Opens a folder by its content: a copy of COCO, tar archives, Parquet files or a folder tree of images.

This is how a source with an unknown name is opened, and LAION, which img2dataset writes in any of the last three ways.
A folder that holds images in more than one way is refused, because part of it would be skipped without a message;
Parquet files with the paths of images beside them are one way.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from captioning.sources.coco import read_coco
from captioning.sources.columns import Columns
from captioning.sources.folder import every_file, image_ids, read_folder
from captioning.sources.parquet import PARQUET_SUFFIXES, ParquetFiles, holds_images, names_files, read_parquet
from captioning.sources.source import Collection
from captioning.sources.webdataset import TAR_SUFFIXES, WebDataset, read_webdataset
from workspace.errors import UsageError

#: Names of archives that are not read: compressed ones.
_UNREAD = re.compile(r"\.(zip|7z|rar|tgz|tbz2|txz|tar\.\w+|tar\.\w+\.part\w+|zip\.\d+|z\d\d)\Z", re.IGNORECASE)

_Files = TypeVar("_Files", WebDataset, ParquetFiles)


def read_by_content(root: Path, columns: Columns = Columns()) -> Collection:
    """Open a folder by its content. Raises `UsageError` when it holds no images, or images in several ways."""
    if any(root.glob("annotations/captions_*.json")):
        return read_coco(root, columns)
    tars = list(image_ids(root, TAR_SUFFIXES))
    # Beside its archives or folders img2dataset writes Parquet files without images: its log.
    tables = [
        name for name in image_ids(root, PARQUET_SUFFIXES) if not tars and holds_images(f"{root}/{name}", root, columns)
    ]
    unread = _unread_archives(root)
    archives = tars or tables
    image = next(image_ids(root), None)
    if tables and image is not None and all(names_files(f"{root}/{name}", root, columns) for name in tables):
        image = None  # one of those that the tables name
    if archives and image is not None:
        raise UsageError(
            f"{root} holds both archives of images ({min(archives)}) and images ({image}): give a folder with only one "
            "kind"
        )
    if tars:
        return _with_remark(read_webdataset(str(root), tars, columns), unread)
    if tables:
        return _with_remark(read_parquet(str(root), tables, columns), unread)
    if image is None and unread is not None:
        raise UsageError(f"{root} holds no images; {unread}")
    folder = read_folder(root, columns)
    folder.tables.remarks += [] if unread is None else [unread]
    return folder


def _unread_archives(root: Path) -> str | None:
    """One line that names the archives of a kind that is not read; None: there are none."""
    names = sorted(name for name in every_file(root) if _UNREAD.search(name))
    return f"archives that are not read: {len(names)}, such as {names[0]!r}: unpack them" if names else None


def _with_remark(collection: _Files, remark: str | None) -> _Files:
    return collection if remark is None else replace(collection, remarks=[*collection.remarks, remark])


def read_container(path: Path, columns: Columns = Columns()) -> Collection:
    """Open one `.tar` or `.parquet`. Raises `UsageError` for any other file."""
    kind = path.suffix.lower()
    if kind in TAR_SUFFIXES:
        return read_webdataset(str(path.parent), [path.name], columns)
    if kind in PARQUET_SUFFIXES:
        return read_parquet(str(path.parent), [path.name], columns)
    raise UsageError(f"{path} is neither a folder nor a .tar or .parquet file: give the folder of the data set")
