"""What an evaluation would take: the scores that are not there yet, and their time, as measured on some of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from detectors.data.images import Image, ImageDecoders
from detectors.data.index import Index, Rows
from detectors.models.speed import seconds_an_image
from detectors.pixels.transforms import ORIGINAL, Transform
from detectors.protocols.folds import Fold
from detectors.results.evaluation import ImageDetector, Logits, RowDetector, logits_of_images, missing_jobs
from workspace.number_text import hours_text
from workspace.shard import Shard


def forecast(
    run: Path,
    detector: ImageDetector | RowDetector | None,
    index: Index,
    fold: Fold,
    transforms: Sequence[Transform],
    shard: Shard,
    batch: int,
) -> str:
    """In words; `detector`: None where there is none yet, and of one that reads no image. Arguments as of `evaluate`.
    Nothing is written."""
    jobs = missing_jobs(run, index, fold, transforms, shard)
    scores = sum(len(job.rows) for job in jobs)
    said = f"{fold.name}: {scores:,} scores to compute"
    if detector is None or not hasattr(detector, "logits"):
        return said
    seconds, images = 0.0, 0
    with ImageDecoders() as decoders:
        for name in dict.fromkeys(job.transform.name for job in jobs):
            alike = [job for job in jobs if job.transform.name == name]
            rows = np.concatenate([job.rows for job in alike])
            if alike[0].transform == ORIGINAL and hasattr(detector, "without_features"):
                rows = detector.without_features(index, rows)
            if len(rows):
                compute = _scoring(detector.logits, decoders, index, rows, alike[0].transform, batch)
                seconds += len(rows) * seconds_an_image(compute, len(rows))
                images += len(rows)
    if not images:
        return f"{said}: no image is read for them"
    rate = f"{images / seconds:,.3g} images a second, as measured here on some of them"
    return f"{said}: about {hours_text(seconds)} at {rate}"


def _scoring(
    logits: Callable[[Sequence[Image]], Logits],
    decoders: ImageDecoders,
    index: Index,
    rows: Rows,
    transform: Transform,
    batch: int,
) -> Callable[[int], object]:
    """A function that scores so many of the rows, from all over them."""

    def compute(images: int) -> object:
        chosen = rows[np.linspace(0, len(rows) - 1, images).round().astype(np.int64)]
        return logits_of_images(logits, decoders, index, chosen, transform, batch)

    return compute
