"""From scores to numbers: the metrics of each generator, and their means over generators.

A generator's images are judged against the real images that they are paired with (or against all of its dataset), with
equal weight of both classes. Means are over generators, each counting once; what is undefined for a generator is left
out of the mean, and how often that was is a number beside it. Intervals hold 95 % of a bootstrap over generators, and
of the images of each, generated and real ones apart (`REPETITIONS`, seeded by the generator's name).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.hashes import Hashes, hashes_of
from detectors.metrics.calibration import best_threshold, brier, reliability, temperature, threshold_at
from detectors.metrics.definitions import AT_THRESHOLD, RANKING, Metric, Scored
from detectors.options import RealImages
from manifests.manifest import FAKE, REAL
from workspace.identity import seed_of

#: Repetitions of the bootstrap of a mean, and of each generator.
REPETITIONS, GENERATOR_REPETITIONS = 1_000, 200
_BOUNDS = (0.025, 0.975)
#: Values of repetitions that are averaged in one step.
_DRAWN_AT_A_TIME = 100_000
#: With `all` real images there are too many to repeat: their interval is not computed.
_MOST_REPEATED = 50_000

#: Thresholds, as they are named. `0.5`: probability one half. `oracle` is chosen on the test: no detector has it.
HALF, CALIBRATED, CALIBRATED_FPR, ORACLE = "0.5", "calibrated", "calibrated for 5 % FPR", "oracle"


#: The columns of scores that a part is made of.
PART_COLUMNS = ["label", "logit", "generator", "architecture", "dataset", "sha256", "pair"]


@dataclass(frozen=True)
class Part:
    """The scored images of one part of an evaluation, as columns of one length.

    `generator`, `architecture`, `dataset`: numbers of names, -1 for none; `own` and `pair`: the hash of the image, and
    of the real image that it is paired with (0: none). Images that could not be read are not among them.
    """

    labels: npt.NDArray[np.int8]
    logits: npt.NDArray[np.float32]
    generator: npt.NDArray[np.int32]
    architecture: npt.NDArray[np.int32]
    dataset: npt.NDArray[np.int32]
    own: Hashes
    pair: Hashes
    names: Mapping[str, Sequence[str]]
    """Names of generators, architectures and datasets, by column."""

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, scores: pa.Table) -> "Part":
        """The part that rows of `scores.Score` are."""
        scores = scores.select(PART_COLUMNS)
        if scores.column("logit").null_count:
            scores = scores.filter(pc.is_valid(scores.column("logit")))
        codes, names = {}, {}
        for name in ("generator", "architecture", "dataset"):
            codes[name], names[name] = _codes(scores.column(name))
        return cls(
            scores.column("label").to_numpy(),
            scores.column("logit").to_numpy(),
            codes["generator"],
            codes["architecture"],
            codes["dataset"],
            hashes_of(scores.column("sha256")),
            hashes_of(scores.column("pair")),
            names,
        )

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Part":
        """Some of the images."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in _COLUMNS})

    def matched(self, own: Hashes, partner: Hashes) -> "Part":
        """Only the images of a matched subset, each generated one paired with its partner there: two columns of one
        length, generated images and the real ones."""
        order = np.argsort(own)
        place = np.searchsorted(own[order], self.own).clip(max=max(0, len(own) - 1))
        found = own[order][place] == self.own if len(own) else np.zeros(len(self), bool)
        pair = np.where(found & (self.labels == FAKE), partner[order][place] if len(own) else 0, np.uint64(0))
        chosen = (found & (self.labels == FAKE)) | ((self.labels == REAL) & np.isin(self.own, partner))
        return replace(self, pair=pair.astype(np.uint64)).where(chosen)


_COLUMNS = ("labels", "logits", "generator", "architecture", "dataset", "own", "pair")


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], list[str]]:
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    return whole.indices.fill_null(-1).to_numpy(), whole.dictionary.to_pylist()


@dataclass(frozen=True)
class Measure:
    """What is measured: a metric, and at which threshold (None: at none)."""

    metric: str
    threshold: str | None = None


@dataclass(frozen=True)
class GeneratorValues:
    """The metrics of one generator, and those of the repetitions of its bootstrap (empty: not repeated); NaN where one
    is undefined."""

    generator: str
    architecture: str | None
    dataset: str
    n_real: int
    n_generated: int
    values: Mapping[Measure, float]
    repeated: Mapping[Measure, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Value:
    """One number with its interval. `scope` says over what it is, `name` of which."""

    scope: str
    name: str | None
    measure: Measure
    value: float | None
    lower: float | None = None
    upper: float | None = None
    n_real: int = 0
    n_generated: int = 0
    generators: int = 1
    """How many generators it is over."""
    undefined: int = 0
    """How many generators are left out of it, because the metric is undefined for them."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of logits by name, those that can be computed, and the temperature (None: it cannot)."""

    by_name: Mapping[str, float]
    temperature: float | None

    @classmethod
    def of(cls, validation: Part, test: Part) -> "Thresholds":
        """From the generators of validation; `oracle` from the test."""
        known = {
            HALF: 0.0,
            CALIBRATED: best_threshold(validation.labels, validation.logits),
            CALIBRATED_FPR: threshold_at(validation.labels, validation.logits, 0.05),
            ORACLE: best_threshold(test.labels, test.logits),
        }
        found = {name: threshold for name, threshold in known.items() if threshold is not None}
        return cls(found, temperature(validation.labels, validation.logits))

    @property
    def metrics(self) -> dict[Measure, Metric]:
        """All metrics of a set of images."""
        found = {Measure(name): metric for name, metric in RANKING.items()}
        for threshold, value in self.by_name.items():
            found |= {Measure(name, threshold): metric(value) for name, metric in AT_THRESHOLD.items()}
        return found


def generators_of(
    part: Part, thresholds: Thresholds, real: RealImages = "paired", repeat: bool = True
) -> Iterator[GeneratorValues]:
    """The metrics of each generator of each dataset, by dataset and name. `repeat`: whether it is repeated for
    intervals."""
    metrics = thresholds.metrics
    order = np.lexsort((part.generator, part.dataset))
    order = order[part.labels[order] == FAKE]
    keys = np.stack([part.dataset[order], part.generator[order]])
    starts = np.flatnonzero((np.diff(keys, axis=1, prepend=-2) != 0).any(axis=0))
    real_rows = np.flatnonzero(part.labels == REAL)
    real_rows = real_rows[np.argsort(part.own[real_rows], kind="stable")]
    of_dataset = {number: real_rows[part.dataset[real_rows] == number] for number in np.unique(part.dataset).tolist()}
    found = []
    for rows in np.split(order, starts[1:]) if len(order) else []:
        beside = of_dataset[int(part.dataset[rows[0]])]
        if real == "paired":
            beside = beside[_places_of(part.pair[rows], part.own[beside])]
        found.append(_values_of(part, rows, beside, metrics, repeat))
    return iter(sorted(found, key=lambda values: (values.dataset, values.generator)))


def _places_of(wanted: Hashes, known: Hashes) -> npt.NDArray[np.int64]:
    """The places in `known`, which is sorted, of those that are wanted and there, each once."""
    if not len(known):
        return np.empty(0, np.int64)
    places = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return np.unique(places[known[places] == wanted])


def _values_of(
    part: Part,
    generated: npt.NDArray[np.int64],
    real: npt.NDArray[np.int64],
    metrics: Mapping[Measure, Metric],
    repeat: bool,
) -> GeneratorValues:
    rows = np.concatenate([generated, real])
    labels, logits = part.labels[rows], part.logits[rows]
    name = part.names["generator"][part.generator[generated[0]]] if part.generator[generated[0]] >= 0 else "unknown"
    once = Scored(labels, logits)
    values = {measure: float(metric(once)[0]) for measure, metric in metrics.items()}
    repeated: dict[Measure, npt.NDArray[np.float32]] = {}
    if repeat and len(rows) <= _MOST_REPEATED:
        chance = np.random.default_rng(seed_of("bootstrap", name))
        drawn = [_drawn(chance, len(some), GENERATOR_REPETITIONS) for some in (generated, real)]
        again = Scored(labels, logits, np.concatenate(drawn, axis=1))
        # In 4 bytes: those of thousands of generators are in memory at a time.
        repeated = {measure: metric(again).astype(np.float32) for measure, metric in metrics.items()}
    architecture = part.architecture[generated[0]]
    return GeneratorValues(
        name,
        part.names["architecture"][architecture] if architecture >= 0 else None,
        part.names["dataset"][part.dataset[generated[0]]],
        len(real),
        len(generated),
        values,
        repeated,
    )


def _drawn(chance: np.random.Generator, size: int, repetitions: int) -> npt.NDArray[np.int64]:
    """How often each of `size` images is drawn, with replacement: shape (repetitions, size)."""
    if not size:
        return np.zeros((repetitions, 0), np.int64)
    places = chance.integers(0, size, (repetitions, size)) + np.arange(repetitions)[:, None] * size
    return np.bincount(places.ravel(), minlength=repetitions * size).reshape(repetitions, size)


def summary(generators: Sequence[GeneratorValues]) -> Iterator[Value]:
    """What the metrics of several generators are together: of each alone, in the mean of each architecture, over
    generators and over architectures; the worst generator, and the 5 % quantile."""
    architectures: dict[str, list[GeneratorValues]] = {}
    for one in generators:
        architectures.setdefault(one.architecture or "unknown", []).append(one)
    for measure in dict.fromkeys(measure for one in generators for measure in one.values):
        having = [one for one in generators if measure in one.values]
        for one in having:
            yield _mean("generator", one.generator, measure, [one])
        means = [_mean("architecture", name, measure, architectures[name]) for name in sorted(architectures)]
        yield from means
        yield _mean("mean over generators", None, measure, having)
        defined = [value.value for value in means if value.value is not None]
        yield Value(
            "mean over architectures",
            None,
            measure,
            float(np.mean(defined)) if defined else None,
            generators=len(having),
            undefined=len(means) - len(defined),
        )
        values = np.array([one.values[measure] for one in having])
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            worst = having[known[np.argmin(values[known])]]
            yield _mean("worst generator", worst.generator, measure, [worst])
            quantile = float(np.quantile(values[known], 0.05))
            yield Value(
                "5 % quantile of generators",
                None,
                measure,
                quantile,
                generators=len(known),
                undefined=len(values) - len(known),
            )


def _mean(scope: str, name: str | None, measure: Measure, generators: Sequence[GeneratorValues]) -> Value:
    """The mean over the generators for which it is defined, with the interval of the bootstrap."""
    defined = [one for one in generators if not np.isnan(one.values[measure])]
    sizes = {
        "n_real": sum(one.n_real for one in generators),
        "n_generated": sum(one.n_generated for one in generators),
        "generators": len(defined),
        "undefined": len(generators) - len(defined),
    }
    if not defined:
        return Value(scope, name, measure, None, **sizes)
    value = float(np.mean([one.values[measure] for one in defined]))
    repeated = [one.repeated[measure] for one in defined if measure in one.repeated]
    if len(repeated) < len(defined):
        return Value(scope, name, measure, value, **sizes)
    pool = np.stack(repeated).astype(np.float64)
    if len(defined) == 1:
        means = pool[0]
    else:
        # First which generators, then which repetition of the images of each.
        chance = np.random.default_rng(seed_of("bootstrap", scope, name or ""))
        shape = (REPETITIONS, len(defined))
        which = chance.integers(0, len(defined), shape).astype(np.int32)
        repetition = chance.integers(0, pool.shape[1], shape)
        # As many at a time as are quick together and need little memory.
        step = max(1, _DRAWN_AT_A_TIME // len(defined))
        pieces = [slice(start, start + step) for start in range(0, REPETITIONS, step)]
        means = np.concatenate([pool[which[piece], repetition[piece]].mean(axis=1) for piece in pieces])
    lower, upper = np.quantile(means, _BOUNDS)
    return Value(scope, name, measure, value, float(lower), float(upper), **sizes)


def of_images(part: Part, thresholds: Thresholds) -> Iterator[Value]:
    """The metrics of all images together, and their calibration as they are and with the temperature. Without
    intervals: those of the mean over generators say how much they vary."""
    once = Scored(part.labels, part.logits)
    n_real, n_generated = int((part.labels == REAL).sum()), int((part.labels == FAKE).sum())
    sizes = {
        "n_real": n_real,
        "n_generated": n_generated,
        "generators": len(np.unique(part.generator[part.labels == FAKE])),
    }

    def value(measure: Measure, number: float | None) -> Value:
        defined = number is not None and not np.isnan(number)
        return Value("images", None, measure, number if defined else None, **sizes)

    for measure, metric in thresholds.metrics.items():
        yield value(measure, float(metric(once)[0]))
    scaled = {"": 1.0} | ({} if thresholds.temperature is None else {" with temperature": thresholds.temperature})
    for said, divisor in scaled.items():
        logits = part.logits / divisor
        yield value(Measure(f"ECE{said}"), reliability(part.labels, logits).expected_error)
        yield value(Measure(f"Brier score{said}"), brier(part.labels, logits))
    yield value(Measure("temperature"), thresholds.temperature)
    for name, threshold in thresholds.by_name.items():
        yield value(Measure("threshold", name), threshold)
