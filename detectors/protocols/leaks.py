"""Leaks: what is in two parts of a fold and must not be. A second opinion, which shares no code with the protocols."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from detectors.data.index import Index, Rows
from detectors.data.kin import Kin
from detectors.protocols.folds import Fold
from manifests.manifest import FAKE


def find_leaks(index: Index, fold: Fold, kin: Kin = "exclude") -> list[str]:
    """What two parts of a fold share, a line each: files, real images, prompts and, unless they are to be ignored, kin
    groups."""
    return list(_leaks(index, fold, kin))


def _leaks(index: Index, fold: Fold, kin: Kin) -> Iterator[str]:
    tested = np.concatenate([fold.test, fold.later, fold.seen])
    parts = {"training": fold.train, "validation": fold.validation, "the test": tested}
    own, real, prompts = index.hashes("sha256"), index.hashes("real_sha256"), index.numbers("prompt_key")
    for (first, rows), (second, others) in combinations(parts.items(), 2):
        both = f"in {first} and in {second}"
        if number := len(np.intersect1d(_images(own, real, rows), _images(own, real, others))):
            yield f"{number} images, or real images whose captions were prompts, are {both}"
        if number := len(np.setdiff1d(np.intersect1d(prompts[rows], prompts[others]), [0])):
            yield f"{number} prompts are {both}"
    groups, names = index.codes("kin")
    if kin == "ignore":
        return
    parts["the test"] = np.concatenate([fold.test, fold.later])
    for (first, rows), (second, others) in combinations(parts.items(), 2):
        rows, others = (some[index.labels[some] == FAKE] for some in (rows, others))
        for group in np.intersect1d(groups[rows], groups[others]).tolist():
            yield f"generators of the kin group {names[group]} are in {first} and in {second}"


def _images(own: np.ndarray, real: np.ndarray, rows: Rows) -> np.ndarray:
    return np.setdiff1d(np.concatenate([own[rows], real[rows]]), [0])
