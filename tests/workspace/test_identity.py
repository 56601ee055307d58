"""Seeds depend on nothing but their parts."""

import json

from huggingface_hub.utils.sha import git_hash
from hypothesis import given
from hypothesis import strategies as st

from workspace.identity import number_of, seed_of


def test_a_seed_is_the_same_in_every_release() -> None:
    # Images are reproducible only if this number never changes.
    assert seed_of("org/name", "0" * 40, 0, 7) == 8508807755823177
    assert number_of("org/name", "0" * 40, 0, 7) == 8713019141962933641


def test_parts_of_a_seed_are_separate() -> None:
    assert len({seed_of("a", "bc"), seed_of("ab", "c"), seed_of("abc"), seed_of("a", "b", "c")}) == 4


@given(st.lists(st.text() | st.integers(), min_size=1))
def test_a_seed_is_the_same_number_to_readers_that_hold_numbers_as_doubles(parts: list[str | int]) -> None:
    seed = seed_of(*parts)
    assert 0 <= seed < 2**53
    assert int(float(seed)) == seed
    assert json.loads(json.dumps(float(seed))) == seed


def test_seeds_use_their_whole_range() -> None:
    seeds = [seed_of(number) for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert min(seeds) < 2**53 / 100 < 2**53 * 99 / 100 < max(seeds)
    assert all(0 <= number_of(number) < 2**63 for number in range(1000))


def test_the_git_hash_of_a_file_is_that_of_git() -> None:
    # printf 'hello\\n' | git hash-object --stdin
    assert git_hash(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
