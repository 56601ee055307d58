"""Evaluating: a detector's score of each image of a fold, written by image.

Rows are scored some hundred at a time, and each such part is a file of its own, whose content depends on the detector,
the rows and the transform only: what exists is finished, wherever the process was killed, and shards share the parts.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.images import Image, ImageDecoders
from detectors.data.index import Index, Rows
from detectors.pixels.transforms import ORIGINAL, Transform
from detectors.protocols.folds import Fold
from detectors.results.scores import OF_STUDY, Score, scores_folder, write_scores
from detectors.run import STUDY
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.progress import task
from workspace.shard import Shard

#: Images of one part: of a detector that scores ten a second, a minute is lost when it is killed.
PART_ROWS = 512

Logits = npt.NDArray[np.float32]


class ImageDetector(Protocol):
    """What scores images."""

    def logits(self, images: Sequence[Image]) -> Logits:
        """A logit for each image, float32 of shape (images,)."""


class RowDetector(Protocol):
    """What scores rows of the index, by facts of their files or by features that are kept."""

    def logits_of_rows(self, index: Index, rows: Rows) -> Logits:
        """A logit for each row, float32 of shape (rows,); NaN for an image that cannot be read."""


def evaluation_id(index: Index, fold: Fold) -> str:
    """The name of an evaluation: 12 digits of the digest of the images and of who is tested on which."""
    digest = hashlib.sha256(f"{index.sha256} {fold.protocol} {fold.name}".encode())
    for rows in (fold.validation, fold.test, fold.later, fold.seen):
        digest.update(hashlib.sha256(rows.astype(np.int64).tobytes()).digest())
    return f"{OF_STUDY if fold.protocol.startswith(STUDY) else ''}{digest.hexdigest()[:12]}"


def evaluate(
    run: Path,
    detector: ImageDetector | RowDetector,
    index: Index,
    fold: Fold,
    transforms: Sequence[Transform] = (ORIGINAL,),
    shard: Shard = Shard(1, 1),
    batch: int = 32,
) -> str:
    """Score the images of a fold that do not train under each transform; what exists is not scored again.

    `run`: the folder of the run; `batch`: images that the detector is given at a time. Validation images are scored
    unchanged only: thresholds are of clean images. Returns the evaluation's name. Raises `CommunityForensicsError` for
    a logit that is not finite.
    """
    name = evaluation_id(index, fold)
    folder = scores_folder(run) / name
    jobs = missing_jobs(run, index, fold, transforms, shard)
    pairs = index.pairs_within(np.concatenate([fold.validation, fold.test, fold.later, fold.seen]))
    with (
        ImageDecoders() as decoders,
        task(f"scoring {fold.name}", total=sum(len(job.rows) for job in jobs)) as progress,
    ):
        for job in jobs:
            if job.transform == ORIGINAL and hasattr(detector, "logits_of_rows"):
                logits = detector.logits_of_rows(index, job.rows)
                # Of images that cannot be read there is none.
                valid = ~np.isnan(logits)
            elif hasattr(detector, "logits"):
                logits, valid = logits_of_images(detector.logits, decoders, index, job.rows, job.transform, batch)
            else:
                raise CommunityForensicsError("this detector reads no pixels, so transforms of images change nothing")
            if not np.isfinite(logits[valid]).all():
                raise CommunityForensicsError(f"{run}: the detector gives logits that are not finite")
            write_scores(folder / job.file, _table(name, index, fold, job, pairs, pa.array(logits, mask=~valid)))
            progress.advance(len(job.rows))
    return name


def missing_jobs(run: Path, index: Index, fold: Fold, transforms: Sequence[Transform], shard: Shard) -> "list[Job]":
    """The parts of an evaluation that are this shard's and not there yet."""
    folder = scores_folder(run) / evaluation_id(index, fold)
    return [job for job in shard.of(list(_jobs(fold, transforms))) if not (folder / job.file).exists()]


@dataclass(frozen=True)
class Job:
    """One part: rows of one part of the fold under one transform, and the name of its file."""

    part: str
    rows: Rows
    transform: Transform
    file: str


def _jobs(fold: Fold, transforms: Sequence[Transform]) -> Iterator[Job]:
    for part, rows, which in (
        ("validation", fold.validation, (ORIGINAL,)),
        ("test", fold.test, transforms),
        ("later", fold.later, transforms),
        ("seen", fold.seen, transforms),
    ):
        for transform in which:
            for start in range(0, len(rows), PART_ROWS):
                file = f"{part}-{transform}-{start:09d}.parquet"
                yield Job(part, rows[start : start + PART_ROWS], transform, file)


def logits_of_images(
    logits: Callable[[Sequence[Image]], Logits],
    decoders: ImageDecoders,
    index: Index,
    rows: Rows,
    transform: Transform,
    batch: int,
) -> tuple[Logits, npt.NDArray[np.bool_]]:
    """The logits of the images of these rows under a transform, `batch` at a time, and which of them could be read."""
    found, valid = np.zeros(len(rows), np.float32), np.zeros(len(rows), bool)
    waiting: list[tuple[int, Image]] = []

    def score() -> None:
        if waiting:
            places, images = zip(*waiting, strict=True)
            found[list(places)] = logits(images)
            valid[list(places)] = True
            waiting.clear()

    for place, (_, image) in enumerate(decoders.read(index, rows)):
        if image is not None:
            waiting.append((place, transform.apply(image)))
        if len(waiting) == batch:
            score()
    score()
    return found, valid


def _table(name: str, index: Index, fold: Fold, job: Job, pairs: Rows, logits: pa.Array) -> pa.Table:
    rows = index.table.take(job.rows)
    hashes = index.table.column("sha256")
    paired = pairs[job.rows]
    constant = {
        "evaluation": name,
        "part": job.part,
        "protocol": fold.protocol,
        "fold": fold.name,
        "transform": job.transform.name,
        "strength": job.transform.strength,
    }
    schema = records.schema(Score)
    columns = []
    for field in schema:
        if field.name == "logit":
            values = logits
        elif field.name == "pair":
            values = hashes.take(pa.array(paired, mask=paired < 0))
        elif field.name in constant:
            plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            values = pa.repeat(pa.scalar(constant[field.name], plain), len(rows))
            values = pc.dictionary_encode(values) if pa.types.is_dictionary(field.type) else values
        else:
            values = rows.column(field.name)
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=schema)
