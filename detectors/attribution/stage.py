"""Measuring attribution with a detector's features, and writing what was found beside its run.

    detect/<run>/attribution/confusion.parquet     `tables.Confusion`
    detect/<run>/attribution/generators.parquet    `tables.GeneratorFound`
    detect/<run>/attribution/map.parquet           `tables.MapPoint`

Architectures: test images, whose generators the detector never saw, by votes of the nearest training images.
Generators: the test images of each, one half looked up in the other half; a caption is in one half only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from detectors.attribution.nearest import Features, normalised
from detectors.attribution.plane import plane
from detectors.attribution.tables import (
    Confusion,
    GeneratorFound,
    MapPoint,
    confusion,
    found_in_words,
    generators_found,
)
from detectors.data.index import Index, Rows
from detectors.data.sampling import evenly
from detectors.models.backbones import Backbone
from detectors.models.detector import Detector, load
from detectors.models.features import features_of
from detectors.options import AttributeOptions
from detectors.pixels.inputs import Image
from detectors.protocols.contents import contents_of, places_of
from detectors.protocols.folds import Fold
from detectors.protocols.generator_groups import of_generators
from detectors.run import Run
from detectors.stage import fold_of
from manifests.manifest import FAKE, REAL
from workspace import records
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace

#: The name of real images among the architectures, as in the manifest.
_REAL, _UNKNOWN = "real", "unknown"

R = TypeVar("R")

#: Images of a map at least: UMAP needs neighbours.
_FEWEST = 4


@dataclass(frozen=True)
class Attribution:
    """What was found of a run; empty where nothing was measured."""

    folder: Path
    about: Sequence[str]
    confusion: Sequence[Confusion] = ()
    generators: Sequence[GeneratorFound] = ()

    def lines(self) -> Iterator[str]:
        """For the terminal."""
        yield from self.about
        if not self.confusion:
            return
        for known in (True, False):
            rows = [row for row in self.confusion if row.known == known]
            for truth in dict.fromkeys(row.truth for row in rows):
                of = [row for row in rows if row.truth == truth]
                found = ", ".join(f"{row.predicted} {row.share:.2f}" for row in of)
                images = sum(row.images for row in of)
                yield f"{truth} ({'known' if known else 'unknown'}, {images} images): taken for {found}"
        yield from found_in_words(self.generators)
        yield f"attribution: {self.folder}"


def read_attribution(run: Run) -> tuple[list[Confusion], list[GeneratorFound], list[MapPoint]]:
    """What is there of a run; each empty where it was not measured. Raises `DamagedFileError`."""
    folder = run.folder / "attribution"

    def rows(name: str, record: type[R]) -> list[R]:
        file = folder / f"{name}.parquet"
        return records.read(file, record) if file.exists() else []

    return rows("confusion", Confusion), rows("generators", GeneratorFound), rows("map", MapPoint)


def attribute(workspace: Workspace, name: str, options: AttributeOptions) -> Attribution:
    """Measure the attribution of a run. Raises `UsageError` for an unknown or unfinished run, other data than it was
    made from, or a detector without features."""
    require_extra("detect", "cf-detect attribute")
    run = Run.find(workspace, name)
    index = Index.open(options.data, workspace, options.hub)
    fold = fold_of(run, index)
    if not len(fold.train):
        raise UsageError(f"{run.name} was not trained on this data: name the data that it was made from")
    folder = run.folder / "attribution"
    bank = _evenly(index, fold.train, options.bank, options.seed)
    about = [f"{run.name}: {len(fold.test)} test images, compared with {len(bank)} training images"]
    if options.dry_run:
        return Attribution(folder, about)
    features = _Features(workspace, index, _backbone(run, options.device))
    found = _architectures(features, index, bank, fold.test, options.k)
    generators = _generators(features, index, fold.test, options)
    if not found:
        raise UsageError(f"{run.name}: attribution needs training and test images that can be read")
    records.write(folder / "confusion.parquet", Confusion, found)
    records.write(folder / "generators.parquet", GeneratorFound, generators)
    if options.map_images:
        points = _map(features, index, fold, options)
        if points:
            records.write(folder / "map.parquet", MapPoint, points)
        else:
            about.append("no map: there are too few images")
    about += index.unread_lines()
    return Attribution(folder, about, found, generators)


class _Features:
    """The features of rows of an index, normalised, without those that cannot be read."""

    def __init__(self, workspace: Workspace, index: Index, backbone: Backbone) -> None:
        self._workspace, self._index, self._backbone = workspace, index, backbone

    def of(self, rows: Rows) -> tuple[Rows, Features]:
        """The rows that can be read, and their features."""
        if not len(rows):
            return rows, np.empty((0, 0), np.float32)
        features = features_of(self._workspace, self._index, rows, self._backbone)
        read = ~np.isnan(features).any(axis=1)
        return rows[read], normalised(features[read])


@dataclass(frozen=True)
class _RunBackbone:
    """A trained network as a backbone: its penultimate features."""

    key: str
    detector: Detector

    @property
    def reference(self) -> str:
        """The run's name."""
        return self.key

    def features(self, images: Sequence[Image]) -> npt.NDArray[np.float32]:
        """As `Backbone.features`."""
        return self.detector.features(images)


def _backbone(run: Run, device: str) -> Backbone:
    """What gives a run's features; those of a frozen backbone are shared by all that use it."""
    detector = load(run, device)
    own = getattr(detector, "backbone", None)
    return own if own is not None else _RunBackbone(run.name, detector)


def _architectures(features: _Features, index: Index, bank: Rows, test: Rows, k: int) -> list[Confusion]:
    bank, known = features.of(bank)
    test, asked = features.of(test)
    if not len(bank) or not len(test):
        return []
    return confusion(asked, _architecture(index, test), known, _architecture(index, bank), k)


def _architecture(index: Index, rows: Rows) -> list[str]:
    codes, names = index.codes("architecture")
    labels = index.labels
    return [
        (names[codes[row]] if codes[row] >= 0 else _UNKNOWN) if labels[row] == FAKE else _REAL for row in rows.tolist()
    ]


def _generators(features: _Features, index: Index, test: Rows, options: AttributeOptions) -> list[GeneratorFound]:
    generated, found = features.of(test[index.labels[test] == FAKE])
    if not len(generated):
        return []
    contents = contents_of(index)
    looked_up = places_of(index, contents, options.seed)[contents[generated]] < 0.5
    codes, names = index.codes("generator")
    kin, architecture = (_names_of_generators(index, column) for column in ("kin", "architecture"))
    of = codes[generated].astype(np.int64)
    return generators_found(
        found[looked_up],
        of[looked_up],
        found[~looked_up],
        of[~looked_up],
        names,
        [group or name for group, name in zip(kin, names, strict=True)],
        architecture,
        options.k,
    )


def _names_of_generators(index: Index, column: str) -> list[str | None]:
    """What a column says of each generator."""
    names = index.codes(column)[1]
    return [names[value] if value >= 0 else None for value in of_generators(index, column).tolist()]


def _map(features: _Features, index: Index, fold: Fold, options: AttributeOptions) -> list[MapPoint]:
    """Half of the map are training images, the other half test images."""
    half = (options.map_images + 1) // 2
    train, test = (_evenly(index, rows, half, options.seed) for rows in (fold.train, fold.test))
    rows, found = features.of(np.concatenate([train, test]))
    if len(rows) < _FEWEST:
        return []
    trained = set(train.tolist())
    columns = ("sha256", "label", "generator", "architecture", "real_source")
    about = index.table.select(columns).take(rows).to_pylist()
    return [
        MapPoint(**one, part="train" if row in trained else "test", x=float(x), y=float(y))
        for one, row, (x, y) in zip(about, rows.tolist(), plane(found, options.seed), strict=True)
    ]


def _evenly(index: Index, rows: Rows, number: int, seed: int) -> Rows:
    """At most so many rows, sorted: half of them real ones by chance, half generated ones evenly over generators."""
    codes, labels, half = index.codes("generator")[0], index.labels, max(1, number // 2)
    parts = [rows[labels[rows] == label] for label in (REAL, FAKE)]
    return np.sort(np.concatenate([part[evenly(codes[part], half, seed, 0)] for part in parts]))
