"""Which images train at a point of a study: pure functions of the index, the point and the repeat.

Within a repeat subsets are nested: the generators of a smaller point are among those of a larger one. Each point still
has a random subset, and two points of a repeat differ by what was added, not by luck.
"""

from collections.abc import Sequence

import numpy as np

from detectors.data.index import Index, Rows
from detectors.data.sampling import evenly
from manifests.manifest import FAKE, REAL


def training_generators(index: Index, rows: Rows, architecture: str | None = None) -> list[str]:
    """The generators of these rows by name; `architecture`: only those of it."""
    codes, names = index.codes("generator")
    kinds, kind_names = index.codes("architecture")
    if architecture is not None:
        wanted = kind_names.index(architecture) if architecture in kind_names else len(kind_names)
        rows = rows[kinds[rows] == wanted]
    return sorted(names[code] for code in np.unique(codes[rows]) if code >= 0)


def drawn(generators: Sequence[str], number: int, seed: int, repeat: int) -> list[str]:
    """`number` generators by chance, the first ones of an order that each repeat has of its own."""
    order = np.random.default_rng([seed, repeat, 0]).permutation(len(generators))
    return sorted(generators[place] for place in order[:number])


def of_generators(index: Index, rows: Rows, generators: Sequence[str]) -> Rows:
    """Those of the rows that are images of these generators, in their order."""
    codes, names = index.codes("generator")
    wanted = set(generators)
    chosen = np.array([code for code, name in enumerate(names) if name in wanted], dtype=np.int64)
    return rows[np.isin(codes[rows], chosen)]


def real_of(index: Index, rows: Rows) -> Rows:
    """Those of the rows that are real images."""
    return np.asarray(rows[index.labels[rows] == REAL], dtype=np.int64)


def generated_of(index: Index, rows: Rows) -> Rows:
    """Those of the rows that are generated images."""
    return np.asarray(rows[index.labels[rows] == FAKE], dtype=np.int64)


def training_rows(index: Index, rows: Rows, generators: Sequence[str], images: int, seed: int, repeat: int) -> Rows:
    """Sorted rows to train on: at most `images` images of these generators, evenly, and at most as many real ones by
    chance, so in proportion to their sources."""
    generated, real = of_generators(index, rows, generators), real_of(index, rows)
    names = index.codes("generator")[0]
    return np.sort(
        np.concatenate(
            [
                generated[evenly(names[generated], images, seed, repeat)],
                real[evenly(np.zeros(len(real), np.int32), images, seed, repeat)],
            ]
        )
    )
