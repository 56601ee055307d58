"""What a detector says of image files that belong to no dataset."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from detectors.data.images import ImageDecoders
from detectors.data.index import Index
from detectors.data.sources.files import read_image_file
from detectors.data.sources.source import GeneratorFacts
from detectors.metrics.calibration import probabilities
from detectors.models.detector import load
from detectors.run import Run
from manifests.manifest import REAL
from workspace.errors import UsageError
from workspace.printable import in_line

#: Images that the detector is given at a time.
_BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """What is said of one file."""

    path: Path
    logit: float | None
    """None: it could not be read."""
    probability: float | None
    """That it is generated, after the temperature that validation gave."""
    generated: bool | None
    """By the threshold that validation gave, or by probability one half."""
    unreadable: str | None = None
    """Why it could not be read."""


def predict(run: Run, files: Sequence[Path], device: str = "auto") -> Iterator[Prediction]:
    """What a finished run says of each file, in their order.

    Raises `UsageError` for a file that does not exist, and as `detector.load`.
    """
    for path in files:
        if not path.is_file():
            raise UsageError(f"{path}: {'a folder; name image files' if path.is_dir() else 'there is no such file'}")
    detector = load(run, device)
    threshold = run.number("threshold", 0.0)
    temperature = run.number("temperature", 1.0)
    index = Index.of([_Files([path.resolve() for path in files])])
    with ImageDecoders() as decoders:
        for start in range(0, len(files), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(files)))
            decoded = dict(decoders.read(index, rows))
            images = [image for image in decoded.values() if image is not None]
            logits = iter(detector.logits(images).tolist() if images else [])
            for row in rows.tolist():
                if decoded[row] is None:
                    yield Prediction(files[row], None, None, None, index.unread.get(row, ""))
                    continue
                logit = next(logits)
                chance = float(probabilities(np.array([logit / temperature]))[0])
                yield Prediction(files[row], logit, chance, logit > threshold)


class _Files:
    """Files as a source; what label and sha256 they have is not known, and not used."""

    name = "files"

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def batches(self) -> Iterator[pa.RecordBatch]:
        """As `Source.batches`."""
        columns = {
            "sha256": [hashlib.sha256(os.fsencode(path)).hexdigest() for path in self._paths],
            "label": [REAL] * len(self._paths),
            # A name may have bytes that no table holds.
            "locator": [f"{number}{in_line(path.suffix)}" for number, path in enumerate(self._paths)],
        }
        yield pa.RecordBatch.from_pydict(columns)

    def generators(self) -> Mapping[str, GeneratorFacts]:
        """As `Source.generators`."""
        return {}

    def notes(self) -> Iterator[str]:
        """As `Source.notes`."""
        yield from ()

    def read(self, locator: str) -> bytes:
        """As `Source.read`."""
        return read_image_file(self._paths[int(locator.partition(".")[0])])
