"""Seeds depend on nothing but their parts."""

from huggingface_hub.utils.sha import git_hash

from workspace.identity import seed_of


def test_a_seed_is_the_same_in_every_release() -> None:
    # Images are reproducible only if this number never changes.
    assert seed_of("org/name", "0" * 40, 0, 7) == 8713019141962933641


def test_parts_of_a_seed_are_separate() -> None:
    assert len({seed_of("a", "bc"), seed_of("ab", "c"), seed_of("abc"), seed_of("a", "b", "c")}) == 4


def test_a_seed_fits_a_signed_column() -> None:
    assert all(0 <= seed_of(number) < 2**63 for number in range(1000))


def test_the_git_hash_of_a_file_is_that_of_git() -> None:
    # printf 'hello\\n' | git hash-object --stdin
    assert git_hash(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
