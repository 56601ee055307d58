"""Opens a folder by its content: a copy of COCO, tar archives, Parquet files or a folder tree of images.

This is how a source with an unknown name is opened, and LAION, which img2dataset writes in any of the last three ways.
A folder that holds images in more than one way is refused, because part of it would be skipped without a message;
Parquet files with the paths of images beside them are one way.
"""

from pathlib import Path

from captioning.sources.coco import read_coco
from captioning.sources.columns import Columns
from captioning.sources.folder import image_ids, read_folder
from captioning.sources.parquet import PARQUET_SUFFIXES, holds_images, names_files, read_parquet
from captioning.sources.source import Collection
from captioning.sources.webdataset import TAR_SUFFIXES, read_webdataset
from workspace.errors import UsageError


def read_by_content(root: Path, columns: Columns = Columns()) -> Collection:
    """Open a folder by its content. Raises `UsageError` when it holds no images, or images in several ways."""
    if any(root.glob("annotations/captions_*.json")):
        return read_coco(root, columns)
    tars = list(image_ids(root, TAR_SUFFIXES))
    # Beside its archives or folders img2dataset writes Parquet files without images: its log.
    tables = [
        name for name in image_ids(root, PARQUET_SUFFIXES) if not tars and holds_images(f"{root}/{name}", root, columns)
    ]
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
        return read_webdataset(str(root), tars, columns)
    if tables:
        return read_parquet(str(root), tables, columns)
    return read_folder(root, columns)


def read_container(path: Path, columns: Columns = Columns()) -> Collection:
    """Open one `.tar` or `.parquet`. Raises `UsageError` for any other file."""
    kind = path.suffix.lower()
    if kind in TAR_SUFFIXES:
        return read_webdataset(str(path.parent), [path.name], columns)
    if kind in PARQUET_SUFFIXES:
        return read_parquet(str(path.parent), [path.name], columns)
    raise UsageError(f"{path} is neither a folder nor a .tar or .parquet file: give the folder of the data set")
