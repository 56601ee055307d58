"""What is damaged of one generator: parts and images that are not as they were written.

A part's pages have checksums, and a row has the size and the sha256 of its image. To read everything again at each
start would take hours on a shared file system. So only what was written since a given moment is read, such as the end
of the generator's last sampling, which finds what somebody changed, cut or replaced; of the rest, the sizes are
compared. What a disk changed by itself is found where everything is read (`--verify full`).
"""

import hashlib
import os
import stat
from dataclasses import replace
from pathlib import Path

from samplers.options import Store
from samplers.sample import Sample
from samplers.storage.progress import GeneratorProgress
from workspace import records
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

#: Images inside a part that are in memory at a time.
_IMAGES_AT_A_TIME = 8


def is_damaged(part: Path) -> bool:
    """Whether a page of a part, or an image inside, is not as it was written; a part that does not exist is damaged."""
    try:
        records.verify(part, Sample, without=("image.bytes",))
        with records.opened(part, Sample) as file:
            for batch in file.iter_batches(_IMAGES_AT_A_TIME, columns=["image", "sha256"]):
                for row in batch.to_pylist():
                    content = row["image"]["bytes"]
                    if content is not None and hashlib.sha256(content).hexdigest() != row["sha256"]:
                        return True
    except records.DamagedFileError:
        return True
    return False


def without_damaged_parts(progress: GeneratorProgress, read_after: float) -> GeneratorProgress:
    """`progress` without the parts that are damaged anywhere; those written before `read_after` (seconds since 1970)
    are not read."""
    damaged = tuple(part for part in progress.parts if _written(part.path) > read_after and is_damaged(part.path))
    return replace(
        progress,
        parts=tuple(part for part in progress.parts if part not in damaged),
        damaged=(*progress.damaged, *(part.path for part in damaged)),
    )


def damaged_images(
    workspace: Workspace, generator: str, progress: GeneratorProgress, store: Store, read_after: float
) -> frozenset[int]:
    """The samples in parts whose image file is missing, has another size, or, where it was written after `read_after`,
    another sha256; none where images are inside the parts."""
    if store == "parquet":
        return frozenset()
    folder = workspace.images_of(generator)
    try:
        with os.scandir(folder) as entries:
            files = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        files = {}
    found: set[int] = set()
    changed: list[tuple[int, Path, str | None]] = []
    for part in progress.parts:
        for row in part.rows:
            if row.image_name is None:
                continue
            file = files.get(row.image_name)
            if file is None or not stat.S_ISREG(file.st_mode) or file.st_size != row.file_size:
                found.add(row.index)
            elif file.st_mtime > read_after:
                changed.append((row.index, folder / row.image_name, row.sha256))
    found.update(index for index, path, sha256 in changed if sha256_of_file(path) != sha256)
    return frozenset(found)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
