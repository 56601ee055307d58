"""A recipe is the same text for the same settings, and every difference is named."""

from pathlib import Path

import pytest

from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def test_the_text_of_a_recipe(workspace: Workspace) -> None:
    recipe.pin(workspace, "caption", {"captioner": "org/blip"})
    recipe.pin(workspace, "sample", {"steps": 4, "images": 2, "prompts": None, "store": "files", "weights": {"a": 0.5}})
    assert workspace.recipe.read_text() == (
        '[caption]\ncaptioner = "org/blip"\n\n'
        '[sample]\nimages = 2\nsteps = 4\nstore = "files"\n\n[sample.weights]\na = 0.5\n'
    )
    assert recipe.read(workspace) == {
        "sample": {"steps": 4, "images": 2, "store": "files", "weights": {"a": 0.5}},
        "caption": {"captioner": "org/blip"},
    }


def test_a_stage_meets_its_own_table_only(workspace: Workspace) -> None:
    recipe.pin(workspace, "caption", {"images": 3})
    recipe.pin(workspace, "sample", {"images": 2})
    recipe.pin(workspace, "caption", {"images": 3})
    with pytest.raises(UsageError, match=r"\[caption\]"):
        recipe.pin(workspace, "caption", {"images": 2})


@pytest.mark.parametrize(
    ("former", "now", "said"),
    [
        ({"images": 2}, {"images": 2.0}, "images was 2, now 2.0"),
        ({"seed": 0}, {"seed": False}, "seed was 0, now False"),
        ({"images": 2, "steps": 4}, {"images": 2}, "steps was 4, now unset"),
        ({"images": 2}, {"images": 2, "steps": 4}, "steps was unset, now 4"),
        ({"d": 1, "b": 1, "a": 1, "c": 1}, {"d": 2, "b": 2, "a": 2, "c": 2}, "a was .*b was .*c was .*d was "),
    ],
)
def test_every_difference_is_named(
    workspace: Workspace, former: dict[str, recipe.Setting], now: dict[str, recipe.Setting], said: str
) -> None:
    recipe.pin(workspace, "sample", former)
    written = workspace.recipe.read_bytes()
    with pytest.raises(UsageError, match=said):
        recipe.pin(workspace, "sample", now)
    assert workspace.recipe.read_bytes() == written


def test_text_that_is_not_utf_8_is_refused(workspace: Workspace) -> None:
    workspace.recipe.write_bytes(b'[sample]\nname = "\xff"\n')
    with pytest.raises(UsageError, match=r"recipe\.toml is not TOML"):
        recipe.read(workspace)


def test_a_recipe_is_utf_8(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"name": "fjörd"})
    assert "fjörd".encode() in workspace.recipe.read_bytes()
    recipe.pin(workspace, "sample", {"name": "fjörd"})
