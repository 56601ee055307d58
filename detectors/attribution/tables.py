"""What attribution finds, as rows: confusion of architectures, and how often the generator is found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from detectors.attribution.nearest import Codes, Features, nearness, ranks, voted
from workspace.records import column

#: Nearest neighbours, and the ranks that are counted: k and top-1 of the study's figure 9.
K = 5
TOP = (1, 5)


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """How many images of one architecture were taken for another: one cell of the matrix."""

    known: bool = column(pa.bool_(), "whether images of the true architecture are among those that are compared with")
    truth: str = column(pa.string(), "architecture of the image; real for real images")
    predicted: str = column(pa.string(), "architecture of most of its nearest neighbours")
    images: int = column(pa.int64(), "how many images")
    share: float = column(pa.float64(), "of the images of the true architecture")


@dataclass(frozen=True, kw_only=True)
class GeneratorFound:
    """How often the nearest images are of the generator itself."""

    generator: str = column(pa.string(), "the generator's name")
    architecture: str | None = column(pa.string(), "of the generator; null: unknown", default=None)
    scope: Literal["all", "kin"] = column(pa.string(), "among which generators: all, or those of its kin group")
    candidates: int = column(pa.int64(), "how many these are")
    images: int = column(pa.int64(), "images that were looked up")
    top_1: float = column(pa.float64(), "share of them whose generator is the nearest")
    top_5: float = column(pa.float64(), "share of them whose generator is among the five nearest")
    chance_1: float = column(pa.float64(), "the share that guessing gives, of the nearest")
    chance_5: float = column(pa.float64(), "and of the five nearest")


@dataclass(frozen=True, kw_only=True)
class MapPoint:
    """An image in the map of the features."""

    sha256: str = column(pa.string(), "of the image file")
    label: int = column(pa.int8(), "1: generated, 0: real")
    generator: str | None = column(pa.string(), "the generator's name; null for real images", default=None)
    architecture: str | None = column(pa.string(), "of the generator, as in the index", default=None)
    real_source: str | None = column(pa.string(), "as in the index", default=None)
    part: Literal["train", "test"] = column(pa.string(), "train | test: whether the detector was trained on it")
    x: float = column(pa.float32(), "place in the map; it has no unit")
    y: float = column(pa.float32(), "place in the map; it has no unit")


def confusion(
    queries: Features, truth: Sequence[str], bank: Features, classes: Sequence[str], k: int = K
) -> list[Confusion]:
    """The confusion matrix of the architectures of the queries, known ones first, by votes of the `k` nearest images of
    the bank. Features are normalised. Cells of no image are there too, so that the matrix is complete."""
    names = sorted(set(classes))
    codes = np.array([names.index(name) for name in classes], dtype=np.int64)
    predicted = voted(queries, bank, codes, k)
    rows = []
    for architecture in sorted(set(truth), key=lambda name: (name not in names, name)):
        votes = predicted[np.array([name == architecture for name in truth])]
        counts = np.bincount(votes, minlength=len(names))
        rows += [
            Confusion(
                known=architecture in names,
                truth=architecture,
                predicted=name,
                images=int(count),
                share=float(count / len(votes)),
            )
            for name, count in zip(names, counts, strict=True)
        ]
    return rows


def generators_found(
    queries: Features,
    truth: Codes,
    bank: Features,
    classes: Codes,
    names: Sequence[str],
    kin: Sequence[str],
    architectures: Sequence[str | None],
    k: int = K,
) -> list[GeneratorFound]:
    """How often each generator is found among all, and among its kin where it has some. Features are normalised.

    `truth`, `classes`: numbers of generators, whose name, kin group and architecture are at that place of `names`,
    `kin` and `architectures`. A generator counts that has images on both sides.
    """
    present = sorted(set(np.unique(truth).tolist()) & set(np.unique(classes).tolist()))
    near = nearness(queries, bank, classes, k)
    rows = []
    for code in present:
        own = truth == code
        groups: list[tuple[Literal["all", "kin"], list[int]]] = [
            ("all", present),
            ("kin", [other for other in present if kin[other] == kin[code]]),
        ]
        for scope, candidates in groups:
            if len(candidates) < 2:
                continue
            places = ranks(near[own], truth[own], candidates)
            top_1, top_5 = (float((places <= most).mean()) for most in TOP)
            chance_1, chance_5 = (min(1.0, most / len(candidates)) for most in TOP)
            rows.append(
                GeneratorFound(
                    generator=names[code],
                    architecture=architectures[code],
                    scope=scope,
                    candidates=len(candidates),
                    images=int(own.sum()),
                    top_1=top_1,
                    top_5=top_5,
                    chance_1=chance_1,
                    chance_5=chance_5,
                )
            )
    return rows


def found_in_words(found: Sequence[GeneratorFound]) -> Iterator[str]:
    """How often generators were found, a sentence for all and for kin."""
    for scope, among in (("all", "all"), ("kin", "their kin")):
        rows = [row for row in found if row.scope == scope]
        if not rows:
            yield f"Generators among {among}: not measured, because no two of them can be compared."
            continue
        top_1, top_5, chance_1, chance_5 = (
            float(np.mean([getattr(row, name) for row in rows])) for name in ("top_1", "top_5", "chance_1", "chance_5")
        )
        yield (
            f"Generators among {among}: top-1 {top_1:.3f} (chance {chance_1:.3f}), top-5 {top_5:.3f} (chance "
            f"{chance_5:.3f}), mean over {len(rows)} generators."
        )
