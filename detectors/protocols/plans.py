"""The plans of the protocols: which generators and which images may be for training, validation and test, in each
fold."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.data.index import Index
from detectors.data.kin import Kin
from detectors.protocols.generator_groups import TEST, TRAIN, VALIDATION, Bits, dealt_groups, groups_of
from manifests.manifest import FAKE, REAL
from workspace.errors import UsageError


@dataclass(frozen=True)
class Plan:
    """What a fold is made of: what each generator may be for (bits, by its code), what each row may be for besides, and
    how what is shared is dealt.

    `winner`: the part that gets what it shares with others; 0: it is dealt. `kin_winner`: the part that keeps
    generators which are related to some of another one. `validates`: whether some of the generators that train are held
    out. `at`: where in [0, 1) the test's share begins; `share`: how large it is (None: as that of its images).
    `later`: which generators (by code) are of later periods; None: there are no periods."""

    name: str
    generators: Bits
    rows: Bits
    winner: int = 0
    kin_winner: int = TEST
    validates: bool = True
    at: float = 0.0
    share: float | None = None
    later: npt.NDArray[np.bool_] | None = None


def by_split(index: Index, _seed: int, _kin: Kin) -> list[Plan]:
    """As the manifest divides images; where it has no validation, some generators that train are held out."""
    codes, names = index.codes("split")
    known = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    bits = np.array([*(known.get(name, 0) for name in names), 0], np.int8)[codes]
    if not (bits == TRAIN).any() and not (bits == TEST).any():
        raise UsageError("--protocol split: the data has no split; name another protocol, such as generator:5")
    generators = index.codes("generator")[0]
    for_generators = np.zeros(generators.max(initial=-1) + 1, np.int8)
    generated = index.labels == FAKE
    np.bitwise_or.at(for_generators, generators[generated], bits[generated])
    validates = not (bits[generated] == VALIDATION).any()
    if validates:
        bits[bits == TRAIN] = TRAIN | VALIDATION
    return [Plan("split", for_generators, bits, winner=TEST, validates=validates)]


def by_generator(index: Index, count: int, seed: int, kin: Kin) -> list[Plan]:
    """`count` folds of kin groups."""
    fold_of = dealt_groups(index, count, seed, kin, f"generator:{count}")
    rows = _free(index)
    plans = []
    for number in range(count):
        bits = np.where(fold_of == number, TEST, TRAIN).astype(np.int8)
        plans.append(Plan(f"{number + 1}/{count}", bits, rows, at=number / count, share=1 / count))
    return plans


def by_architecture(index: Index, _seed: int, _kin: Kin) -> list[Plan]:
    """Each architecture is tested once."""
    codes, names = index.codes("architecture")
    generators = index.codes("generator")[0]
    generated = (index.labels == FAKE) & (codes >= 0)
    of_generator = np.full(generators.max(initial=-1) + 1, -1)
    of_generator[generators[generated]] = codes[generated]
    present: list[int] = np.unique(of_generator[of_generator >= 0]).tolist()
    if len(present) < 2:
        raise UsageError("--protocol architecture: the generators are of fewer than two known architectures")
    plans = []
    for code in sorted(present, key=names.__getitem__):
        bits = np.where(of_generator == code, TEST, np.where(of_generator >= 0, TRAIN, 0)).astype(np.int8)
        plans.append(Plan(names[code], bits, _free(index)))
    return plans


def by_time(index: Index, count: int, _seed: int, _kin: Kin) -> list[Plan]:
    """`count` generators in a period; trained on all periods up to one, tested on those after it."""
    dates, days = index.codes("created_at")
    generators, names = index.codes("generator")
    known = (index.labels == FAKE) & (dates >= 0)
    first = np.full(len(names), -1)
    first[generators[known]] = dates[known]
    dated = sorted(np.flatnonzero(first >= 0).tolist(), key=lambda code: (days[first[code]], names[code]))
    periods = [dated[start : start + count] for start in range(0, len(dated), count)]
    if len(periods) < 2:
        raise UsageError(
            f"--protocol temporal:{count}: {len(dated)} generators have a date, which are no two periods of {count}"
        )
    plans = []
    for number in range(len(periods) - 1):
        bits, later = np.zeros(len(names), np.int8), np.zeros(len(names), bool)
        for period in periods[: number + 1]:
            bits[period] = TRAIN
        for period in periods[number + 1 :]:
            bits[period] = TEST
        for period in periods[number + 2 :]:
            later[period] = True
        last = days[first[periods[number][-1]]][:10]
        name = f"until {last} ({number + 1}/{len(periods)})"
        plans.append(Plan(name, bits, _free(index), kin_winner=TRAIN, later=later))
    return plans


def by_source(index: Index, seed: int, kin: Kin) -> list[Plan]:
    """Each source of real images is tested once, with a share of the generators."""
    sources, names = index.codes("real_source")
    real, generators = index.labels == REAL, index.codes("generator")[0]
    present = sorted(np.unique(sources[real & (sources >= 0)]).tolist(), key=names.__getitem__)
    if len(present) < 2:
        raise UsageError("--protocol source: the real images are of fewer than two known sources")
    count = min(5, len(groups_of(index, np.unique(generators[generators >= 0]), kin)))
    fold_of = dealt_groups(index, count, seed, kin, "source")
    plans = []
    for number, code in enumerate(present):
        bits = np.where(fold_of == number % count, TEST, TRAIN).astype(np.int8)
        here = sources == code
        rows = np.where(here, TEST, TRAIN | VALIDATION).astype(np.int8)
        rows[~real & (sources < 0)] = TRAIN | VALIDATION | TEST
        plans.append(Plan(names[code], bits, rows, winner=TEST))
    return plans


def across(index: Index, _seed: int, _kin: Kin) -> list[Plan]:
    """Trained on the first dataset, tested on the others."""
    datasets, names = index.codes("dataset")
    if len(names) < 2:
        raise UsageError("--protocol cross: name two sources or more with --data; training is on the first")
    first = next(iter(index.sources))
    trains = datasets == names.index(first)
    generators = index.codes("generator")[0]
    bits = np.zeros(generators.max(initial=-1) + 1, np.int8)
    for here, bit in ((trains, TRAIN), (~trains, TEST)):
        some = here & (generators >= 0)
        np.bitwise_or.at(bits, generators[some], np.int8(bit))
    rows = np.where(trains, TRAIN | VALIDATION, TEST).astype(np.int8)
    return [Plan(f"trained on {first}", bits, rows, winner=TEST)]


def _free(index: Index) -> Bits:
    """Every row may be in any part."""
    return np.full(len(index), TRAIN | VALIDATION | TEST, np.int8)
