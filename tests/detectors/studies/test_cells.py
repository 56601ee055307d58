"""Which images train in each run of a study."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.data.index import Index
from detectors.data.sampling import evenly
from detectors.options import StudyOptions
from detectors.protocols.folds import Fold
from detectors.studies import subsets
from detectors.studies.cells import Cell, cells
from detectors.studies.designs import DESIGNS
from tests.detectors.fingerprints import World, WorldSource
from workspace.errors import UsageError

SOURCES = np.array(["coffee", "cat", "rocket"])


@pytest.fixture(scope="module")
def index() -> Index:
    """20 generators of 6 to 9 images, 60 real images of three sources; the pixels do not matter."""
    per = [6 + number % 4 for number in range(20)]
    count = 60 + sum(per)
    generator = np.repeat(["real", *(f"g{number:02d}" for number in range(20))], [60, *per])
    family = np.where(generator == "real", "real", np.where(generator < "g14", "LatDiff", "GAN"))
    pixels = np.zeros((count, 4, 4, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    return Index.of(
        [
            WorldSource(
                World(pixels, (generator != "real").astype(np.int8), generator, family, np.resize(SOURCES, count))
            )
        ]
    )


@pytest.fixture(scope="module")
def fold(index: Index) -> Fold:
    """The last four generators and every fifth real image are for the test."""
    codes, names = index.codes("generator")
    tested = np.array([name >= "g16" for name in names])
    is_test = np.where(codes >= 0, tested[codes], np.arange(len(index)) % 5 == 0)
    rows = np.arange(len(index))
    return Fold("f", rows[~is_test], rows[:0], rows[is_test])


def generators_of(index: Index, rows: np.ndarray) -> set[str]:
    codes, names = index.codes("generator")
    return {names[code] for code in codes[rows] if code >= 0}


def study(index: Index, fold: Fold, name: str, **asked: object) -> list[Cell]:
    return list(cells(index, [fold], StudyOptions(study=name, **asked)))


@given(st.lists(st.integers(-1, 4), max_size=60), st.integers(0, 70), st.integers(0, 3), st.integers(0, 3))
def test_items_are_taken_evenly_and_the_few_are_among_the_many(groups, number, seed, repeat):
    codes = np.array(groups, np.int32)
    places = evenly(codes, number, seed, repeat)
    assert len(places) == min(number, len(codes)) == len(set(places.tolist()))
    taken, there = np.bincount(codes[places] + 1, minlength=6), np.bincount(codes + 1, minlength=6)
    # Who has fewer than another one has given all that it had, but for the last turn.
    assert all(taken[group] >= min(there[group], taken.max() - 1) for group in range(6))
    assert set(evenly(codes, number // 2, seed, repeat)) <= set(places)


@given(st.integers(1, 16), st.integers(0, 5), st.integers(0, 5))
def test_generators_of_a_smaller_point_are_among_those_of_a_larger_one_and_repeats_differ(number, seed, repeat):
    names = [f"g{n}" for n in range(16)]
    chosen = subsets.drawn(names, number, seed, repeat)
    assert len(set(chosen)) == number
    assert set(chosen) <= set(subsets.drawn(names, 16, seed, repeat))
    assert {tuple(subsets.drawn(names, 8, seed, other)) for other in range(6)} != {
        tuple(subsets.drawn(names, 8, seed, 0))
    }


def test_every_generator_is_drawn_about_as_often():
    names = [f"g{n}" for n in range(16)]
    counts = defaultdict(int)
    for repeat in range(400):
        for name in subsets.drawn(names, 4, 0, repeat):
            counts[name] += 1
    assert min(counts.values()) > 60
    assert max(counts.values()) < 140


def test_generators_study_has_nested_subsets_the_same_test_and_a_run_of_its_own_for_each_cell(index, fold):
    found = study(index, fold, "generators", points=(1, 4, 16), repeats=3, models=("tiny",), steps=7)
    assert [(cell.point, cell.repeat) for cell in found] == [(p, r) for p in (1, 4, 16) for r in range(3)]
    assert {cell.fold.protocol for cell in found} == {"study of split"}
    for cell in found:
        names = generators_of(index, cell.fold.train)
        assert len(names) == cell.generators == cell.point
        assert names.isdisjoint(generators_of(index, fold.test))
        assert np.array_equal(cell.fold.test, fold.test)
        assert set(subsets.real_of(index, cell.fold.train)) == set(subsets.real_of(index, fold.train))
        assert cell.settings["steps"] == 7
        assert cell.seed == cell.repeat
    for repeat in range(3):
        small, middle, large = (set(cell.fold.train) for cell in found if cell.repeat == repeat)
        assert small < middle < large
    again = study(index, fold, "generators", points=(1, 4, 16), repeats=3, models=("tiny",), steps=7)
    assert all(np.array_equal(one.fold.train, other.fold.train) for one, other in zip(again, found, strict=True))


def test_with_fixed_images_every_point_has_as_many_as_the_smallest(index, fold):
    found = study(index, fold, "generators", points=(2, 4, 16), repeats=2, models=("tiny",), fix="images")
    for repeat in range(2):
        assert len({cell.images for cell in found if cell.repeat == repeat}) == 1
    assert found[0].images == len(
        subsets.of_generators(index, fold.train, list(generators_of(index, found[0].fold.train)))
    )
    assert [cell.generators for cell in found if cell.repeat == 0] == [2, 4, min(16, found[0].images)]


def test_training_can_be_of_one_architecture_only(index, fold):
    found = study(index, fold, "generators", points=(14,), repeats=1, models=("tiny",), architecture="LatDiff")
    assert all(name < "g14" for name in generators_of(index, found[0].fold.train))


def test_points_beyond_the_training_generators_are_left_out_unless_they_were_asked_for(index, fold):
    assert {cell.point for cell in study(index, fold, "generators", repeats=1)} == {3, 10}
    with pytest.raises(UsageError, match="16 training generators"):
        study(index, fold, "generators", points=(3, 100))


def test_repeats_take_turns_with_the_folds(index, fold):
    other = Fold("other", fold.test, fold.validation, fold.train)
    found = list(
        cells(index, [fold, other], StudyOptions(study="generators", points=(2,), repeats=4, models=("tiny",)))
    )
    assert [cell.fold.name for cell in found] == ["f", "other", "f", "other"]


def test_images_study_compares_popular_with_random_generators_at_equal_numbers(index, fold):
    found = study(
        index, fold, "images", points=(10, 20), repeats=2, models=("tiny",), popular=("g03", "g17", "g05"), random=8
    )
    assert {cell.series for cell in found} == {"8 random", "2 popular"}
    for cell in found:
        assert cell.images <= cell.point
        if cell.series == "2 popular":
            assert generators_of(index, cell.fold.train) == {"g03", "g05"}
        else:
            assert cell.generators == 8
            assert cell.images == cell.point
    with pytest.raises(UsageError, match="--popular"):
        study(index, fold, "images", points=(10,))


def test_architectures_study_trains_on_the_most_frequent_one_on_the_others_and_on_all(index, fold):
    found = {cell.series: cell for cell in study(index, fold, "architectures", models=("tiny",))}
    assert set(found) == {"only LatDiff", "all but LatDiff", "all"}
    assert all(name < "g14" for name in generators_of(index, found["only LatDiff"].fold.train))
    assert all(name >= "g14" for name in generators_of(index, found["all but LatDiff"].fold.train))
    assert found["all"].generators == found["only LatDiff"].generators + found["all but LatDiff"].generators


def test_pairing_study_has_four_combinations_of_equal_numbers(index, fold):
    found = study(index, fold, "pairing", models=("tiny",), source="cat")
    assert [cell.series for cell in found] == [
        f"real: {real}, captions: {captions}" for real in ("cat", "others") for captions in ("cat", "others")
    ]
    codes, names = index.codes("real_source")
    for cell in found:
        for rows, key in (
            (subsets.real_of(index, cell.fold.train), "real: cat"),
            (subsets.generated_of(index, cell.fold.train), "captions: cat"),
        ):
            assert all((names[code] == "cat") == (key in cell.series) for code in codes[rows])
    assert len({(cell.images, len(cell.fold.train)) for cell in found}) == 1
    with pytest.raises(UsageError, match="no such real source"):
        study(index, fold, "pairing", source="dog")


def test_freezing_and_iterations_change_one_setting_each(index, fold):
    frozen = study(index, fold, "freezing", models=("tiny",))
    assert [cell.settings["freeze"] for cell in frozen] == [False, True]
    assert np.array_equal(frozen[0].fold.train, frozen[1].fold.train)
    steps = study(index, fold, "iterations", models=("tiny",), points=(5, 50))
    assert [(cell.point, cell.settings["steps"]) for cell in steps] == [(5, 5), (50, 50)]
    with pytest.raises(UsageError, match="not trained by steps"):
        study(index, fold, "iterations", models=("probe:x/y",))
    with pytest.raises(UsageError, match="no backbone that is trained"):
        study(index, fold, "freezing", models=("probe:x/y",))


def test_backbone_study_trains_each_model_on_each_dataset(index, fold):
    found = study(index, fold, "backbone", models=("tiny", "cnnspot"))
    assert [cell.series for cell in found] == ["tiny: fingerprints", "cnnspot: fingerprints"]


def test_what_is_asked_wrongly_is_refused_in_one_line(index, fold):
    for name, asked in (("generator", {}), ("pairing", {"points": (3,)})):
        with pytest.raises(UsageError) as caught:
            study(index, fold, name, **asked)
        assert "\n" not in str(caught.value)


def test_every_study_of_the_specification_is_there():
    assert set(DESIGNS) == {"generators", "images", "architectures", "backbone", "freezing", "pairing", "iterations"}
