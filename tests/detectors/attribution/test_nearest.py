import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from detectors.attribution import nearest
from detectors.attribution.nearest import nearness, normalised, ranks, voted


@pytest.fixture(autouse=True)
def _in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that several blocks of queries are used."""
    monkeypatch.setattr(nearest, "_COSINES", 200)


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_votes_are_those_of_scikit_learn(size, queries, k, seed):
    random = np.random.default_rng(seed)
    bank, asked = (normalised(random.normal(size=(number, 6))) for number in (size, queries))
    classes = random.integers(0, 4, size)
    # Few of its votes tie; where they do it takes the smaller number, and we the nearer class.
    theirs = KNeighborsClassifier(min(k, size), metric="cosine", algorithm="brute").fit(bank, classes)
    votes = theirs.predict_proba(asked)
    tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    found = voted(asked, bank, classes, k)
    assert np.array_equal(found[~tied], theirs.predict(asked)[~tied])
    places = [np.flatnonzero(theirs.classes_ == one)[0] for one in found]
    assert np.array_equal(votes[np.arange(queries), places], votes.max(axis=1))


def test_a_tie_goes_to_the_nearer_class():
    bank = normalised(np.array([[1, 0.3], [1, 0.2], [1, 0.1], [1, 0.25]]))
    query = normalised(np.array([[1.0, 0.0]]))
    assert voted(query, bank, np.array([0, 1, 1, 0]), 4).tolist() == [1]


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_nearness_is_the_mean_of_the_nearest_images_of_a_class(size, queries, k, seed):
    random = np.random.default_rng(seed)
    bank, asked = (normalised(random.normal(size=(number, 5))) for number in (size, queries))
    classes = random.integers(0, 5, size)
    near = nearness(asked, bank, classes, k)
    for query in range(queries):
        for code in range(near.shape[1]):
            own = np.sort(asked[query] @ bank[classes == code].T)[::-1][:k]
            assert near[query, code] == pytest.approx(own.mean() if len(own) else -2, abs=1e-5)


def test_ranks_count_equally_near_candidates_first_and_leave_others_out():
    near = np.array([[0.9, 0.5, 0.5, 0.1]], np.float32)
    assert ranks(near, np.array([1]), range(4)).tolist() == [3]
    assert ranks(near, np.array([1]), [1, 3]).tolist() == [1]


def test_features_without_a_length_stay():
    assert np.array_equal(normalised(np.array([[0.0, 0.0], [3.0, 4.0]])), np.array([[0, 0], [0.6, 0.8]], np.float32))
