"""Which images are drawn: half real, generators alike, always the same at one place."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.data.index import Index
from detectors.training import draws as draws_module
from detectors.training.draws import Draws
from tests.detectors.worlds import MemorySource, generated, real
from workspace.errors import UsageError

SIZES = {"a": 3, "b": 30, "c": 7}


@pytest.fixture(scope="module")
def index():
    rows = [generated(name, number) for name, count in SIZES.items() for number in range(count)]
    return Index.of([MemorySource([*rows, *(real(number) for number in range(25))])])


def draws(index, **options):
    return Draws(index, np.arange(len(index)), seed=options.pop("seed", 4), **options)


def test_half_of_each_batch_is_real(index):
    rows, passes, labels = draws(index).batch(0, 64)
    assert labels.tolist() == [0] * 32 + [1] * 32
    assert np.array_equal(index.labels[rows], labels)
    assert passes.min() == 0


@given(first=st.integers(0, 10_000).map(lambda n: 2 * n), count=st.integers(1, 20).map(lambda n: 2 * n))
def test_a_batch_is_its_parts_wherever_it_begins(index, first, count):
    """So a batch may be shared by processes, and a run continued anywhere."""
    whole, drawn = draws(index).batch(first, count), draws(index)
    parts = [drawn.batch(place, 2) for place in range(first, first + count, 2)]
    order = [*range(0, count, 2), *range(1, count, 2)]
    for column, all_parts in zip(whole, zip(*parts, strict=True), strict=True):
        assert column.tolist() == np.concatenate(all_parts)[order].tolist()


def test_each_generator_is_drawn_alike_and_each_image_of_it_once_in_a_pass(index):
    drawn = draws(index)
    rows, passes, labels = drawn.batch(0, 2 * 3 * 30)
    fake = rows[labels == 1]
    names = index.table.column("generator").to_pylist()
    assert Counter(names[row] for row in fake) == {"a": 30, "b": 30, "c": 30}
    seen = Counter(zip(fake.tolist(), passes[labels == 1].tolist(), strict=True))
    assert set(seen.values()) == {1}
    assert {row for row, _ in seen} == set(range(40))


def test_each_image_is_drawn_once_in_a_pass_where_images_are_balanced(index):
    rows, _, labels = draws(index, balance="images").batch(0, 80)
    assert sorted(rows[labels == 1].tolist()) == list(range(40))
    assert len(set(rows[labels == 0].tolist()[:25])) == 25


def test_seeds_give_other_orders(index):
    first, other = (draws(index, seed=seed).batch(0, 64)[0].tolist() for seed in (1, 2))
    assert first != other


def test_only_rows_of_the_fold_are_drawn(index):
    some = np.array([0, 1, 5, 45, 46])
    rows, _, _ = Draws(index, some, 1).batch(0, 40)
    assert set(rows.tolist()) == set(some.tolist())


@pytest.mark.parametrize("rows", [range(40), range(40, 65), range(0)])
def test_training_of_one_label_is_one_line(index, rows):
    with pytest.raises(UsageError, match="training needs real and generated images: there are"):
        Draws(index, np.array(rows, np.int64), 1)


BATCH, MICRO = 32, 4
GROUP = 6


@pytest.fixture(scope="module")
def shards():
    """Some hundred images of generators of different sizes, in row groups of `GROUP`, and some files beside them."""
    sizes = {"a": 90, "b": 90, "c": 60, "d": 5}
    rows = [generated(name, number) for name, size in sizes.items() for number in range(size)]
    rows += [real(number) for number in range(247)]
    grouped = [{**row, "group": number // GROUP} for number, row in enumerate(rows)]
    files = [*(generated("e", number) for number in range(9)), *(real(1000 + number) for number in range(9))]
    return Index.of([MemorySource(grouped, "shards"), MemorySource(files, "files")])


def grouped(index, **options):
    return Draws(index, np.arange(len(index)), 5, batch=BATCH, micro_batch=MICRO, **options)


def reads(draws, places, rank=0, processes=1):
    """What a process reads for these batches: keys of what is read together, and the rows of each."""
    found = {}
    for first in places:
        for micro in range(rank, BATCH // MICRO, processes):
            for together in draws.together(first + micro * MICRO, MICRO):
                if together is not None and together.key not in found:
                    found[together.key] = together.rows().tolist()
    return found


@pytest.mark.parametrize("balance", ["generator", "images"])
def test_row_groups_change_the_order_of_a_window_and_not_its_images(shards, balance):
    files = shards.table.drop(["group"]).append_column("group", pa.nulls(len(shards), pa.int32()))
    plain = Index(files, shards.sources)
    window = 2 * 8 * 32  # 254 generated images in 8 lanes
    ours, theirs = (grouped(index, balance=balance).batch(0, window) for index in (shards, plain))
    assert ours[0].tolist() != theirs[0].tolist()
    names = shards.table.column("generator").to_pylist()
    if balance == "generator":
        count, other = (Counter(names[row] for row in rows[labels == 1]) for rows, _, labels in (ours, theirs))
        assert count == other
        assert max(count.values()) - min(count.values()) <= 1
    for label in (0, 1):
        seen = Counter(zip(*(column[ours[2] == label].tolist() for column in ours[:2]), strict=True))
        assert set(seen.values()) == {1}


@pytest.mark.parametrize(("step", "count"), [(0, 1), (9, 3), (15, 2), (31, 1)])
def test_of_row_groups_too_a_batch_is_its_micro_batches(shards, step, count):
    draws = grouped(shards)
    rows, passes, _ = draws.batch(step * BATCH, count * BATCH)
    micros = [draws.batch(step * BATCH + place, MICRO) for place in range(0, count * BATCH, MICRO)]
    half = MICRO // 2
    for column, number in ((rows, 0), (passes, 1)):
        parts = [micro[number][:half] for micro in micros] + [micro[number][half:] for micro in micros]
        assert column.tolist() == np.concatenate(parts).tolist()


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_processes_together_read_what_one_reads_and_nothing_twice(shards, processes):
    places = range(0, 40 * BATCH, BATCH)
    one = reads(grouped(shards), places)
    several = [reads(grouped(shards), places, rank, processes) for rank in range(processes)]
    assert sum(map(len, several)) == len(one)
    assert {key: rows for each in several for key, rows in each.items()} == one


def test_a_row_group_is_read_once_in_a_window(shards):
    draws = grouped(shards, balance="images")
    lanes, groups = 8, shards.numbers("group")
    window = [place * BATCH for place in range(16)]  # 16 batches of 16 images of each label
    count = Counter((key[0], groups[rows[0]]) for key, rows in reads(draws, window).items())
    for label, rows in (("real", shards.labels == 0), ("images", shards.labels == 1)):
        wanted = set(groups[rows & (groups >= 0)].tolist())
        found = {group: times for (name, group), times in count.items() if name == label}
        assert set(found) == wanted
        # Where a lane ends within a group, the next one reads it too; 254 images are not a multiple of lanes.
        assert sum(found.values()) <= len(wanted) + lanes + 2


def test_a_generator_with_few_images_does_not_have_them_all_at_once(shards, monkeypatch):
    """`d` has 5 images, which are drawn as often as the 90 of `a`."""
    monkeypatch.setattr(draws_module, "SPREAD", 16)
    rows, _, labels = Draws(shards, np.arange(len(shards)), 5).batch(0, 2 * 254)
    names = shards.table.column("generator").to_pylist()
    places = np.flatnonzero([names[row] == "d" for row in rows[labels == 1]])
    assert len(places) >= 10 * 5
    assert places.max() - places.min() > 2 * len(places)


def test_what_is_read_with_an_image_is_drawn_later_and_lies_with_it(shards):
    draws, groups = grouped(shards), shards.numbers("group")
    places = range(0, 30 * BATCH, BATCH)
    for key, rows in reads(draws, places).items():
        assert len({groups[row] for row in rows}) == 1, key
    later = reads(draws, places[7:])
    for key, rows in reads(draws, places).items():
        if key in later:
            assert rows[len(rows) - len(later[key]) :] == later[key]


def test_other_row_groups_are_another_order(shards):
    groups = pa.array(np.where(shards.numbers("group") < 0, -1, shards.numbers("group") // 2), pa.int32())
    place = shards.table.column_names.index("group")
    other = Index(shards.table.set_column(place, "group", groups), shards.sources)
    assert grouped(other).order != grouped(shards).order
    assert other.sha256 == shards.sha256
