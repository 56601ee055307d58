"""No name from outside gives a path outside of the workspace, and different names have different folders."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.errors import UsageError
from workspace.layout import Workspace, checked_source, generator_folder


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
