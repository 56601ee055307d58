"""Exporting: the manifest's images as a folder tree for the code of public detectors.

Each source image is read once, compared with the sha256 of its row, and put into all places it has in the tree: by a
hard link, or as a copy of the same bytes. Variants are made in processes with limits. When everything is there, the
side table says of each file which image it is. An interrupted export continues: what is there is not made again.
"""

import functools
import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from manifests.exporting.destination import Destination
from manifests.exporting.encoders import Encoders
from manifests.exporting.planning import Plan, plan_export
from manifests.exporting.side_table import SideTable
from manifests.exporting.variants import UNCHANGED, Variant, variants_of
from manifests.images import ImageReader
from manifests.manifest import existing_manifest
from manifests.options import ExportOptions
from manifests.reading_threads import ReadingThreads
from workspace.exclusive import alone
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.limited.pool import default_processes
from workspace.number_text import counted
from workspace.progress import task

#: What readers look for anywhere in the path of an image.
_SEARCHED = {"0_real-1_fake": ("0_real", "1_fake")}

#: Images that are read ahead, and that are written at a time.
_AHEAD = 16


@dataclass(frozen=True)
class Exported:
    """What the folder holds now."""

    folder: Path
    files: int
    """Files of all trees."""
    added: int
    """Those that were not there before."""
    plan: Plan
    trees: Sequence[str]
    """Folders of the trees, where there are several."""
    not_linked: Mapping[str, int]
    """Files that were copied although links were asked for, by the reason."""
    misread: str | None
    """What in the folder's own path readers of the layout take for a label."""

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        yield from self.plan.lines()
        for reason, number in sorted(self.not_linked.items()):
            yield f"{counted(number, 'file')} copied, not linked ({reason})"
        trees = f" in the trees {', '.join(self.trees)}" if self.trees else ""
        yield f"{self.folder}: {counted(self.files, 'file')}{trees}, {self.added} of them new, listed in export.csv"
        if self.misread:
            yield (
                f"{self.folder.resolve()} has {self.misread} in its path, so UniversalFakeDetect and SIDBench would "
                "take every image for both classes: move or rename the folder"
            )


def export(workspace: Workspace, folder: Path, options: ExportOptions) -> Exported:
    """Export the manifest's images to `folder`, or continue there.

    Raises `UsageError` without a manifest, without images to export, and for a folder that holds anything else;
    `CommunityForensicsError` for images that have changed since the manifest was built, or that cannot be encoded;
    `OSError` where the disk cannot be written.
    """
    plan = plan_export(workspace, options)
    variants = variants_of(options.resize, options.jpeg)
    destination = Destination(folder, _settings(workspace, options, variants))
    with alone(Workspace(folder.resolve()), "export") as held:
        run = _Run(workspace, options, variants, destination, held.folder)
        hashes = run.complete(plan)
        SideTable(plan.files, run.trees, variants, hashes).write(folder)
    return Exported(
        folder=folder,
        files=len(plan.files) * max(1, len(run.trees)),
        added=run.added,
        plan=plan,
        trees=run.trees,
        not_linked=destination.not_linked,
        misread=next((label for label in _SEARCHED.get(options.layout, ()) if label in str(folder.resolve())), None),
    )


def _settings(workspace: Workspace, options: ExportOptions, variants: Sequence[Variant]) -> dict[str, Any]:
    """What decides which files the folder has, and their bytes."""
    import PIL

    return {
        "layout": options.layout,
        "split": sorted(options.split),
        "variants": [variant.name for variant in variants],
        "encoder": f"Pillow {PIL.__version__}" if variants else None,
        "manifest": sha256_of_file(existing_manifest(workspace)),
    }


class _Run:
    """One run: reads what is missing, and writes it."""

    def __init__(
        self,
        workspace: Workspace,
        options: ExportOptions,
        variants: Sequence[Variant],
        destination: Destination,
        scratch: Path,
    ) -> None:
        self._images = ImageReader(workspace, options.hub)
        self._link, self._variants, self._destination, self._scratch = options.link, variants, destination, scratch
        #: Folders of the trees in the destination; without variants it is the tree itself.
        self.trees = [UNCHANGED, *(variant.name for variant in variants)] if variants else []
        self.added = 0

    def complete(self, plan: Plan) -> dict[str, list[str]]:
        """Make every file that is missing; returns the sha256 of the variants by that of their source."""
        hashes: dict[str, list[str]] = {}
        writing: deque[tuple[str, Future[tuple[int, list[str]]]]] = deque()
        reading: deque[tuple[list[dict[str, Any]], Future[bytes]]] = deque()
        processes = default_processes()

        def finish_writing(most: int) -> None:
            while len(writing) > most:
                sha256, future = writing.popleft()
                added, made = future.result()
                self.added += added
                if made:
                    hashes[sha256] = made

        def finish_reading(most: int) -> None:
            while len(reading) > most:
                files, content = reading.popleft()
                writing.append((files[0]["sha256"], writers.submit(self._write, files, content.result(), encoders)))
                finish_writing(_AHEAD)

        with (
            task("exporting images", total=len(plan.files)) as progress,
            Encoders(processes) as encoders,
            ReadingThreads() as readers,
            ThreadPoolExecutor(processes) as writers,
        ):
            for files in _sources(plan):
                progress.advance(len(files), files[0]["stem"])
                if (known := self._there(files)) is not None:
                    if known:
                        hashes[files[0]["sha256"]] = known
                    continue
                source, sha256 = files[0]["source"], files[0]["sha256"]
                reading.append((files, readers.submit(source, self._images.read_unchanged, source, sha256)))
                finish_reading(_AHEAD)
            finish_reading(0)
            finish_writing(0)
        return hashes

    def _there(self, files: list[dict[str, Any]]) -> list[str] | None:
        """The sha256 of the variants where all files of an image are there; None: one is missing."""
        if not all(self._destination.has(self._unchanged(file), file["file_size"]) for file in files):
            return None
        if not all(self._destination.has(_path(file, variant), None) for variant in self._variants for file in files):
            return None
        return [sha256_of_file(self._destination.folder / _path(files[0], variant)) for variant in self._variants]

    def _write(self, files: list[dict[str, Any]], content: bytes, encoders: Encoders) -> tuple[int, list[str]]:
        """Put an image into all its places; returns how many of them were empty, and the sha256 of its variants."""
        source = files[0]["source"]
        link = functools.partial(self._destination.link, source=self._images.file(source)) if self._link else None
        added = 0
        for file in files:
            path = self._unchanged(file)
            if not self._destination.has(path, len(content)):
                added += 1
                if link is None or not link(path):
                    self._destination.put(path, content, self._scratch)
        hashes = []
        for variant, encoded in zip(self._variants, self._encoded(files, content, encoders), strict=True):
            hashes.append(hashlib.sha256(encoded).hexdigest())
            for file in files:
                path = _path(file, variant)
                if not self._destination.has(path, len(encoded)):
                    added += 1
                    self._destination.put(path, encoded, self._scratch)
        return added, hashes

    def _encoded(self, files: list[dict[str, Any]], content: bytes, encoders: Encoders) -> list[bytes]:
        return encoders.encode(files[0]["source"], content, self._variants) if self._variants else []

    def _unchanged(self, file: dict[str, Any]) -> str:
        return f"{UNCHANGED}/{_name(file)}" if self._variants else _name(file)


def _name(file: dict[str, Any]) -> str:
    return f"{file['stem']}.{file['extension']}"


def _path(file: dict[str, Any], variant: Variant) -> str:
    return f"{variant.name}/{file['stem']}.{variant.extension}"


def _sources(plan: Plan) -> Iterator[list[dict[str, Any]]]:
    """The files of each source image."""
    rows = (row for batch in plan.files.to_batches(max_chunksize=10_000) for row in batch.to_pylist())
    for _, files in groupby(rows, key=itemgetter("source")):
        yield list(files)
