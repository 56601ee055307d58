"""The runs of a study, its cells: each is one run at one point of one curve.

A cell says which model with which settings trains on which rows; its test images are those of the protocol's fold. A
repeat has a subset and a seed of its own, and its fold is the next one where the protocol has several.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.data.index import Index, Rows
from detectors.data.sampling import evenly
from detectors.models.registry import resolve
from detectors.options import StudyOptions
from detectors.protocols.folds import Fold
from detectors.run import STUDY, Setting
from detectors.studies import subsets
from detectors.studies.designs import Design, design_of
from workspace.errors import UsageError


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    series: str
    """The curve, or the bar of a study without points."""
    point: int
    """On the x axis; 0 where there is none."""
    repeat: int
    model: str
    settings: Mapping[str, Setting | str]
    seed: int
    fold: Fold
    generators: int
    """How many train."""
    images: int
    """How many generated images train, each counted once."""


def cells(index: Index, folds: Sequence[Fold], options: StudyOptions) -> Iterator[Cell]:
    """The runs of a study, one after the other; those that cost most come last.

    Raises `UsageError` for points that this index cannot have, and settings that a model does not have.
    """
    design = design_of(options)
    yield from _STUDIES[options.study](index, folds, options, design)


@dataclass(frozen=True)
class _Part:
    """A series that is a part of the training rows."""

    series: str
    rows: Rows


def _by_number_of_generators(
    index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design
) -> Iterator[Cell]:
    known = [subsets.training_generators(index, fold.train, options.architecture) for fold in folds]
    points = _possible(design.points, min(map(len, known)), bool(options.points), "training generators")
    for point in points:
        for repeat in range(design.repeats):
            fold, generators = folds[repeat % len(folds)], known[repeat % len(folds)]
            images = options.images
            if options.fix == "images":
                fewest = subsets.drawn(generators, points[0], options.seed, repeat)
                images = min(images, len(subsets.of_generators(index, fold.train, fewest)))
            chosen = subsets.drawn(generators, point, options.seed, repeat)
            rows = subsets.training_rows(index, fold.train, chosen, images, options.seed, repeat)
            for model in design.models:
                yield _cell(index, options, design, model, fold, rows, model, point, repeat)


def _by_number_of_images(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    if not options.popular:
        raise UsageError(
            "the study `images` compares random generators with popular ones: name them with --popular, or use a "
            "workspace whose catalogue has their downloads"
        )
    for point in design.points:
        for repeat in range(design.repeats):
            fold = folds[repeat % len(folds)]
            known = subsets.training_generators(index, fold.train, options.architecture)
            popular = [name for name in options.popular if name in set(known)][:_POPULAR]
            if not popular:
                raise UsageError("--popular: none of these generators trains in this protocol")
            several = subsets.drawn(known, min(options.random, len(known)), options.seed, repeat)
            for series, chosen in ((f"{len(several)} random", several), (f"{len(popular)} popular", popular)):
                rows = subsets.training_rows(index, fold.train, chosen, point, options.seed, repeat)
                for model in design.models:
                    yield _cell(index, options, design, model, fold, rows, series, point, repeat)


#: Popular generators of figure 4.
_POPULAR = 10


def _by_architecture(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    """The most frequent architecture alone, all others, and both: the study's systematic set has latent diffusion only,
    its manual one the others."""
    codes, names = index.codes("architecture")

    def parts(fold: Fold) -> Iterator[_Part]:
        generated, real = subsets.generated_of(index, fold.train), subsets.real_of(index, fold.train)
        counts = np.bincount(codes[generated] + 1)[1:]
        if np.count_nonzero(counts) < 2:
            raise UsageError("the study `architectures` needs training generators of two architectures or more")
        most = int(counts.argmax())
        is_most = codes[generated] == most
        yield _Part(f"only {names[most]}", np.concatenate([real, generated[is_most]]))
        yield _Part(f"all but {names[most]}", np.concatenate([real, generated[~is_most]]))
        yield _Part("all", fold.train)

    yield from _bars(index, folds, options, design, parts)


def _by_dataset(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    codes, names = index.codes("dataset")

    def parts(fold: Fold) -> Iterator[_Part]:
        for code, name in enumerate(names):
            rows = fold.train[codes[fold.train] == code]
            if len(np.unique(index.labels[rows])) == 2:
                yield _Part(name, rows)

    yield from _bars(index, folds, options, design, parts)


def _by_freezing(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    for repeat in range(design.repeats):
        fold = folds[repeat % len(folds)]
        for model in design.models:
            if "freeze" not in resolve(model).settings:
                raise UsageError(f"the study `freezing`: {model} has no backbone that is trained; name another model")
            for series, freeze in ((model, False), (f"{model} (frozen)", True)):
                rows = _limited(index, fold.train, options, repeat)
                yield _cell(index, options, design, model, fold, rows, series, 0, repeat, freeze=freeze)


def _by_pairing(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    """Real images of one source or of the others, with generated images whose captions are from that source or from the
    others: as many of each in all four, so that only the sources differ."""
    codes, names = index.codes("real_source")

    def parts(fold: Fold) -> Iterator[_Part]:
        real, generated = subsets.real_of(index, fold.train), subsets.generated_of(index, fold.train)
        counts = np.bincount(codes[real] + 1, minlength=len(names) + 1)[1:]
        if np.count_nonzero(counts) < 2:
            raise UsageError("the study `pairing` needs training images of two real sources or more")
        source = options.source if options.source is not None else names[int(counts.argmax())]
        if source not in names:
            raise UsageError(f"--source {source}: there is no such real source; there are {', '.join(names)}")
        code = names.index(source)
        groups = {
            label: [rows[codes[rows] == code], rows[(codes[rows] >= 0) & (codes[rows] != code)]]
            for label, rows in (("R", real), ("F", generated))
        }
        for label, what in (("R", "real images"), ("F", "generated images")):
            if not all(map(len, groups[label])):
                raise UsageError(f"--source {source}: the training needs {what} of it and of other sources")
        fewest = {label: min(map(len, both)) for label, both in groups.items()}
        for of_real, real_name in enumerate((source, "others")):
            for of_captions, caption_name in enumerate((source, "others")):
                chosen = []
                for label, which in (("R", of_real), ("F", of_captions)):
                    rows = groups[label][which]
                    places = evenly(np.zeros(len(rows), np.int32), fewest[label], options.seed, which)
                    chosen.append(rows[places])
                yield _Part(f"real: {real_name}, captions: {caption_name}", np.concatenate(chosen))

    yield from _bars(index, folds, options, design, parts)


def _by_steps(index: Index, folds: Sequence[Fold], options: StudyOptions, design: Design) -> Iterator[Cell]:
    for point in design.points:
        for repeat in range(design.repeats):
            fold = folds[repeat % len(folds)]
            rows = _limited(index, fold.train, options, repeat)
            for model in design.models:
                if "steps" not in resolve(model).settings:
                    raise UsageError(f"the study `iterations`: {model} is not trained by steps; name another model")
                yield _cell(index, options, replace(design, steps=point), model, fold, rows, model, point, repeat)


_STUDIES: Mapping[str, Callable[[Index, Sequence[Fold], StudyOptions, Design], Iterator[Cell]]] = {
    "generators": _by_number_of_generators,
    "images": _by_number_of_images,
    "architectures": _by_architecture,
    "backbone": _by_dataset,
    "freezing": _by_freezing,
    "pairing": _by_pairing,
    "iterations": _by_steps,
}


def _bars(
    index: Index,
    folds: Sequence[Fold],
    options: StudyOptions,
    design: Design,
    parts: Callable[[Fold], Iterator[_Part]],
) -> Iterator[Cell]:
    """The cells of a study that trains each model on each of several parts of the training rows."""
    for repeat in range(design.repeats):
        fold = folds[repeat % len(folds)]
        for part in parts(fold):
            rows = _limited(index, part.rows, options, repeat)
            for model in design.models:
                series = part.series if len(design.models) == 1 else f"{model}: {part.series}"
                yield _cell(index, options, design, model, fold, rows, series, 0, repeat)


def _limited(index: Index, rows: Rows, options: StudyOptions, repeat: int) -> Rows:
    """At most as many images of each label as were asked for, evenly over the generators."""
    generators = subsets.training_generators(index, rows, options.architecture)
    return subsets.training_rows(index, rows, generators, options.images, options.seed, repeat)


def _cell(
    index: Index,
    options: StudyOptions,
    design: Design,
    model: str,
    fold: Fold,
    rows: Rows,
    series: str,
    point: int,
    repeat: int,
    **changed: Setting,
) -> Cell:
    labels = index.labels[rows]
    if len(np.unique(labels)) < 2:
        raise UsageError(f"the study `{options.study}`: {series} has no real or no generated image to train on")
    settings = dict(options.settings) | changed
    if design.steps and "steps" in resolve(model).settings:
        settings.setdefault("steps", design.steps)
        if options.study == "iterations":
            settings["steps"] = point
    generated = rows[labels == 1]
    return Cell(
        series=series,
        point=point,
        repeat=repeat,
        model=model,
        settings=settings,
        seed=options.seed + repeat,
        # A recipe has the digest of its rows: another subset is another run, and studies share the runs that both have.
        fold=replace(fold, protocol=STUDY + fold.protocol, train=rows),
        generators=len(np.unique(index.codes("generator")[0][generated])),
        images=len(generated),
    )


def _possible(points: Sequence[int], most: int, asked: bool, what: str) -> list[int]:
    """The points that there is enough for. Raises `UsageError` where none is left, or one was asked for."""
    possible = sorted({point for point in points if 1 <= point <= most})
    if not possible or (asked and len(possible) < len(set(points))):
        raise UsageError(
            f"--points {' '.join(map(str, points))}: there are {most} {what} in this protocol; name points up to that"
        )
    return possible
