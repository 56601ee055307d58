import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from manifests.audit.trees import FOLDS, folds_of, judged

GROUPS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30)), min_size=1, max_size=80)


@given(GROUPS)
def test_a_generator_and_a_real_image_are_in_one_fold_and_folds_differ_by_one_group(
    drawn: list[tuple[int, int]],
) -> None:
    labels = np.array([label for label, _ in drawn])
    groups = [f"{label} {group}" for label, group in drawn]
    folds = folds_of(groups, labels)
    for label in (0, 1):
        fold_of = {group: fold for group, fold, kind in zip(groups, folds, labels, strict=True) if kind == label}
        assert all(fold_of[g] == f for g, f, kind in zip(groups, folds, labels, strict=True) if kind == label)
        sizes = np.bincount(list(fold_of.values()), minlength=FOLDS)
        assert sizes.max() - sizes.min() <= 1


def test_images_are_judged_by_trees_that_saw_neither_them_nor_their_generator() -> None:
    # A number that names the generator and nothing else: trees that saw the generator know its label.
    chance = np.random.default_rng(0)
    group = np.arange(60).repeat(5)
    labels = chance.permutation([0, 1] * 30)[group]
    names = chance.normal(size=60)[group][:, None]
    folds = folds_of([str(number) for number in group], labels)
    right = (judged(names, [False], labels, folds) > 0.5) == labels
    assert 0.25 < right.mean() < 0.75


def test_prevalence_does_not_matter() -> None:
    labels = np.array([1] * 900 + [0] * 100)
    groups = [str(number) for number in range(1000)]
    folds = folds_of(groups, labels)
    brightness = np.random.default_rng(0).normal(size=(1000, 1)) + labels[:, None]
    right = (judged(brightness, [False], labels, folds) > 0.5) == labels
    # As many of the rare class as of the frequent one; without weights it would be a few of a hundred.
    assert abs(right[labels == 0].mean() - right[labels == 1].mean()) < 0.3


def test_numbers_of_many_values_are_told_apart_and_unknown_ones_are_not_a_number() -> None:
    labels = np.array([0, 1] * 500)
    values = np.arange(1000.0)[:, None] + np.where(labels, 0.0, 3000.0)[:, None]
    values[:10] = np.nan
    folds = folds_of([str(number) for number in range(1000)], labels)
    judgements = judged(values, [False], labels, folds)
    assert ((judgements > 0.5) == (labels == 1))[10:].all()
