"""The newest images of a run, found in the rows of the generators that its shards sample.

An image is known by its sha256, and its file is looked up here, not in a request. What is served is what a row says, or
nothing: the content must have that sha256.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplers.sample import Sample
from samplers.status.shard_status import ShardStatus
from samplers.storage.batches import read_batches, rows_of_batches
from workspace import records
from workspace.errors import UsageError
from workspace.layout import SampleFiles, Workspace, sample_files
from workspace.regular_file import read_regular

#: Images of one generator; shards whose images are shown; and generators up to which those before are shown too.
IMAGES, SHARDS, FEW = 6, 12, 3
_COLUMNS = ("index", "status", "image_name", "sha256", "file_size", "width", "prompt")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[0-9]{8,}\.(?:png|jpg|webp)", re.ASCII)
#: Images inside a part that are in memory at a time.
_AT_A_TIME = 8


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """One image, and where it is."""

    sha256: str
    index: int
    width: int
    prompt: str | None
    part: Path
    """The part or journal that has its row."""
    image_name: str
    file_size: int


@dataclass(frozen=True, kw_only=True)
class NewImages:
    """The newest images of a shard, all of one generator; the newest first."""

    shard: str
    at_work: bool
    generator: str
    images: tuple[NewImage, ...]


class NewestImages:
    """Finds and reads the newest images of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # By generator: when its folder changed and how long its journals are, and its newest images.
        self._known: dict[str, tuple[tuple[int, ...], tuple[NewImage, ...]]] = {}
        self._by_sha256: dict[str, tuple[str, NewImage]] = {}

    def look(self, shards: Sequence[ShardStatus]) -> tuple[NewImages, ...]:
        """Of each shard, first of those at work, the newest images of the generator that it began last and that has
        any; of few shards, those of the generators before as well."""
        found: dict[str, NewImages] = {}
        by_shard = [
            (shard, [generator for generator in shard.begun if self._of(generator)])
            for shard in sorted(shards, key=lambda shard: not shard.at_work)
        ]
        for number, most in enumerate((SHARDS, FEW, FEW)):
            for shard, generators in by_shard:
                if number < len(generators) and len(found) < most:
                    name, images = generators[number], self._of(generators[number])
                    new = NewImages(shard=shard.shard, at_work=shard.at_work, generator=name, images=images)
                    found.setdefault(name, new)
        self._known = {name: self._known[name] for shard in shards for name in shard.begun if name in self._known}
        self._by_sha256 = {image.sha256: (one.generator, image) for one in found.values() for image in one.images}
        return tuple(found.values())

    def content(self, sha256: str) -> bytes | None:
        """The file of an image of the last look; None where there is none, or where the file is another one."""
        known = self._by_sha256.get(sha256)
        if known is None:
            return None
        with suppress(OSError, UsageError):
            content = self._read(*known)
            if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                return content
        return None

    def _of(self, generator: str) -> tuple[NewImage, ...]:
        try:
            folder = self._workspace.samples_of(generator)
            changed = folder.stat().st_mtime_ns
            files = sample_files(folder)
            # A journal grows without a change of its folder.
            look = (changed, *map(_size, files.journals))
        except (OSError, UsageError):
            return ()
        known = self._known.get(generator)
        if known is None or known[0] != look:
            known = self._known[generator] = (look, tuple(_newest(files)))
        return known[1]

    def _read(self, generator: str, image: NewImage) -> bytes | None:
        """The content of an image: a file of its own, or from its journal or part. Raises `OSError` and
        `UsageError`."""
        with suppress(FileNotFoundError):
            return _file(self._workspace.images_of(generator), image)
        if image.part.suffix != ".parquet":
            rows = (row for batch in read_batches(image.part) for row in batch)
            return next((row.image.bytes for row in rows if row.sha256 == image.sha256), None)
        with records.opened(image.part, Sample) as part:
            for batch in part.iter_batches(_AT_A_TIME, columns=["image", "sha256"]):
                for row in batch.to_pylist():
                    if row["sha256"] == image.sha256:
                        content: bytes | None = row["image"]["bytes"]
                        return content
        return None


def _file(folder: Path, image: NewImage) -> bytes:
    """A file in a folder, and no other that a link leads to."""
    return read_regular(folder / image.image_name, within=folder, limit=image.file_size + 1)


def _size(path: Path) -> int:
    """Of a journal; 0 where it became a part a moment ago."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _newest(files: SampleFiles) -> list[NewImage]:
    """The newest images of a generator: of its journals, then of its parts. What cannot be read is left out."""
    found: dict[str, NewImage] = {}
    for path in (*reversed((*files.batches, *files.journals)), *reversed(files.parts)):
        with suppress(OSError, UsageError):
            rows = (
                records.read_table(path, Sample, _COLUMNS).to_pylist()
                if path.suffix == ".parquet"
                else [row for batch, _ in rows_of_batches(path, _COLUMNS) for row in batch]
            )
            for image in _images(path, rows):
                found.setdefault(image.sha256, image)
        if len(found) >= IMAGES:
            break
    return sorted(found.values(), key=lambda image: -image.index)[:IMAGES]


def _images(place: Path, rows: Iterable[dict[str, Any]]) -> Iterable[NewImage]:
    for row in rows:
        sha256, name = row["sha256"] or "", row["image_name"] or ""
        if row["status"] == "ok" and _SHA256.fullmatch(sha256) and _NAME.fullmatch(name):
            values = {field: row[field] for field in ("index", "prompt", "file_size", "width")}
            yield NewImage(**values, sha256=sha256, image_name=name, part=place)
