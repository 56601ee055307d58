"""What the training set and the evaluation set consist of: generators and images of each kind.

As table 4 (generators in training), figure 11 (images in training) and figure 12 (the evaluation set) of the study,
which counts commercial generators as a kind of their own, because most do not say what they are.
"""

from dataclasses import dataclass

from manifests.manifest import FAKE
from manifests.report.rows import Rows

#: The study's names of the kinds, in its order; what is neither is at the end.
KINDS = {
    "Commercial": "Commercial",
    "LatDiff": "Latent diffusion",
    "GAN": "GAN",
    "PixDiff": "Pixel diffusion",
    "Other": "Other",
}

_COUNTS = f"""
SELECT CASE WHEN subset = 'Commercial' THEN 'Commercial' ELSE architecture END AS kind, split,
    count(DISTINCT generator) AS generators, count(*) AS images
FROM manifest WHERE label = {FAKE} AND split IN ('train', 'test') GROUP BY ALL
"""
_ORIGINS = f"""
SELECT origin, count(DISTINCT generator) AS generators, count(*) AS images FROM manifest WHERE label = {FAKE}
GROUP BY ALL ORDER BY images DESC, origin
"""


@dataclass(frozen=True)
class Numbers:
    """Generators and images of one kind in one set, and their shares of all of the set."""

    generators: int
    images: int
    generator_share: float
    image_share: float


@dataclass(frozen=True)
class KindRow:
    """One kind in the training set and in the evaluation set."""

    name: str
    training: Numbers
    evaluation: Numbers


@dataclass(frozen=True)
class Composition:
    """The kinds that occur, the sums, and where the images come from: (origin, generators, images)."""

    kinds: tuple[KindRow, ...]
    total: KindRow
    origins: tuple[tuple[str, int, int], ...]


def composition(rows: Rows) -> Composition | None:
    """Count it; None where no image is for training or for evaluation."""
    found = {(row["kind"], row["split"]): (row["generators"], row["images"]) for row in rows.query(_COUNTS)}
    if not found:
        return None
    sums = {
        split: tuple(sum(numbers[at] for (_, own), numbers in found.items() if own == split) for at in (0, 1))
        for split in ("train", "test")
    }

    def numbers_of(kind: str | None, split: str) -> Numbers:
        generators, images = sums[split] if kind is None else found.get((kind, split), (0, 0))
        of_generators, of_images = sums[split]
        return Numbers(generators, images, generators / max(1, of_generators), images / max(1, of_images))

    kinds = tuple(
        KindRow(name, numbers_of(kind, "train"), numbers_of(kind, "test"))
        for kind, name in KINDS.items()
        if {(kind, "train"), (kind, "test")} & found.keys()
    )
    origins = tuple((row["origin"], row["generators"], row["images"]) for row in rows.query(_ORIGINS))
    return Composition(kinds, KindRow("All", numbers_of(None, "train"), numbers_of(None, "test")), origins)
