"""Repository ids are valid by the rule of huggingface_hub."""

import pytest

from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id, is_repo_id, split_revision


@pytest.mark.parametrize("name", ["gpt2", "stabilityai/sd-turbo", "a/b.c", "A_1/x-y"])
def test_ids_of_the_hub_are_accepted(name: str) -> None:
    assert checked_repo_id(name) == name
    assert is_repo_id(name)


@pytest.mark.parametrize("name", ["", "a/b/c", "a--b/c", "a/..", "a/b.git", ".a/b", "ü/b", "a/b\n", "a b/c", "x" * 97])
def test_anything_else_is_refused(name: str) -> None:
    assert not is_repo_id(name)
    with pytest.raises(UsageError, match="is not a repository id"):
        checked_repo_id(name)


def test_a_name_without_an_organization_is_refused_where_one_is_needed() -> None:
    with pytest.raises(UsageError):
        checked_repo_id("gpt2", namespace=True)


def test_the_revision_is_the_text_after_the_at_sign() -> None:
    assert split_revision("a/b@main") == ("a/b", "main")
    assert split_revision("a/b") == ("a/b", None)
    with pytest.raises(UsageError, match="no revision"):
        split_revision("a/b@")
