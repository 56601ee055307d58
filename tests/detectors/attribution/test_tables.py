import numpy as np
import pytest

from detectors.attribution.nearest import Features, normalised
from detectors.attribution.tables import confusion, generators_found


def clusters(centres: list[int], each: int, seed: int, spread: float = 0.2) -> Features:
    """`each` features around each of these axes."""
    random = np.random.default_rng(seed)
    return normalised(
        np.concatenate([np.eye(8)[centre] + spread * random.normal(size=(each, 8)) for centre in centres])
    )


def test_known_architectures_are_found_and_unknown_ones_go_to_what_is_like_them():
    bank, classes = clusters([0, 1, 2], 20, 0), ["real"] * 20 + ["GAN"] * 20 + ["LatDiff"] * 20
    # A commercial generator that is like latent diffusion.
    queries, truth = (
        clusters([0, 1, 2, 2], 10, 1),
        ["real"] * 10 + ["GAN"] * 10 + ["LatDiff"] * 10 + ["Commercial"] * 10,
    )
    rows = confusion(queries, truth, bank, classes)
    assert len(rows) == 4 * 3
    assert [row.known for row in rows] == [True] * 9 + [False] * 3
    share = {(row.truth, row.predicted): row.share for row in rows}
    assert share["GAN", "GAN"] == share["real", "real"] == share["Commercial", "LatDiff"] == 1
    for truth_name in ("real", "GAN", "LatDiff", "Commercial"):
        assert sum(row.share for row in rows if row.truth == truth_name) == pytest.approx(1)
        assert sum(row.images for row in rows if row.truth == truth_name) == 10


def test_generators_are_found_among_all_and_among_their_kin():
    bank, queries = (clusters([0, 1, 2, 3], 12, seed) for seed in (0, 1))
    codes = np.repeat([0, 1, 2, 3], 12)
    rows = generators_found(queries, codes, bank, codes, list("abcd"), list("xxyz"), ["GAN", "GAN", None, "GAN"])
    by = {(row.generator, row.scope): row for row in rows}
    assert set(by) == {("a", "all"), ("b", "all"), ("c", "all"), ("d", "all"), ("a", "kin"), ("b", "kin")}
    assert all(row.top_1 > 0.9 and row.top_5 == 1 and row.images == 12 for row in rows)
    assert (by["a", "all"].candidates, by["a", "all"].chance_1, by["a", "all"].chance_5) == (4, 0.25, 1.0)
    assert (by["a", "kin"].candidates, by["a", "kin"].chance_1) == (2, 0.5)


def test_features_without_a_trace_of_the_generator_are_at_chance():
    random = np.random.default_rng(0)
    bank, queries = (normalised(random.normal(size=(400, 8))) for _ in range(2))
    codes = np.arange(400) % 10
    names = [str(code) for code in range(10)]
    rows = generators_found(queries, codes, bank, codes, names, names, [None] * 10)
    assert np.mean([row.top_1 for row in rows]) == pytest.approx(0.1, abs=0.04)
    assert np.mean([row.top_5 for row in rows]) == pytest.approx(0.5, abs=0.07)


def test_a_generator_without_images_to_compare_with_is_left_out():
    features = clusters([0, 1, 2], 4, 0)
    rows = generators_found(
        features, np.repeat([0, 1, 2], 4), features[:8], np.repeat([0, 1], 4), list("abc"), list("abc"), [None] * 3
    )
    assert {row.generator for row in rows} == {"a", "b"}
