"""No name from outside gives a path outside of the workspace, and different names have different folders."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.errors import UsageError
from workspace.layout import (
    Workspace,
    checked_source,
    generator_folder,
    generator_name,
    generator_of,
    part_name,
    parts_below,
    parts_in,
)


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "/etc", "a/b/c", "a--b/c", "", "a/", "/b", "a\x00b", "a\\b", "a b/c", "ä/b", "a" * 97, "a/.."],
)
def test_an_invalid_repository_id_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        generator_folder(name)


@given(st.text(alphabet="abAB01._-/", max_size=12), st.text(alphabet="abAB01._-/", max_size=12))
def test_different_ids_have_different_folders(one: str, other: str) -> None:
    try:
        folders = generator_folder(one), generator_folder(other)
    except UsageError:
        return
    assert (folders[0] == folders[1]) == (one == other)


@given(st.text(max_size=80))
def test_every_accepted_name_stays_below_its_folder(name: str) -> None:
    workspace = Workspace(Path("/nowhere"))
    try:
        folder = workspace.prompts_of(name)
    except UsageError:
        return
    assert folder.parent == workspace.prompts
    assert folder.name == name == checked_source(name)


def test_a_workspace_that_cannot_be_a_folder_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--workspace"):
        Workspace.open(tmp_path / "file" / "below")
    with pytest.raises(UsageError, match="--workspace"):
        Workspace.open(tmp_path / "file")


def test_parts_are_in_the_order_of_their_numbers_however_many_there_are(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    numbers = [0, 2, 9_999, 99_999, 100_000, 1_000_000]
    for name in ("org/b", "org/a"):
        for number in reversed(numbers):
            path = workspace.samples_of(name) / part_name(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert [path.name for path in parts_in(workspace.samples_of("org/a"))] == [part_name(number) for number in numbers]
    assert [path.parent.name for path in parts_below(workspace.samples)] == 6 * ["org--a"] + 6 * ["org--b"]
    assert [path.name for path in parts_below(workspace.samples)] == 2 * [part_name(number) for number in numbers]


def test_a_further_revision_has_folders_of_its_own() -> None:
    workspace = Workspace(Path("/nowhere"))
    name = generator_name("org/model", "0123456789abcdef" * 2, further_revision=True)
    assert name == "org/model@0123456789ab"
    assert workspace.samples_of(name).name == "org--model@0123456789ab"
    assert generator_of(workspace.images_of(name).name) == name
    assert generator_name("org/model", "0123456789abcdef" * 2, further_revision=False) == "org/model"


@pytest.mark.parametrize("name", ["org/model@", "org/model@0123", "org/model@../../../etc", "org/model@0123456789AB"])
def test_only_the_first_digits_of_a_commit_name_a_further_revision(name: str) -> None:
    with pytest.raises(UsageError):
        generator_folder(name)
