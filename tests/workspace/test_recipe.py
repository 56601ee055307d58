"""The settings in the recipe cannot change."""

import multiprocessing
from pathlib import Path

import pytest

from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def test_the_same_settings_pass_again_and_do_not_change_the_file(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 400, "steps": None})
    written = workspace.recipe.read_bytes()
    recipe.pin(workspace, "sample", {"steps": None, "images": 400})
    assert workspace.recipe.read_bytes() == written
    assert recipe.read(workspace) == {"sample": {"images": 400}}


def test_other_settings_stop_with_the_difference(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 400, "seed": 0})
    with pytest.raises(UsageError, match="images was 400, now 16; steps was unset, now 4") as refusal:
        recipe.pin(workspace, "sample", {"images": 16, "seed": 0, "steps": 4})
    assert "\n" not in str(refusal.value)
    assert recipe.read(workspace)["sample"]["images"] == 400


def test_of_a_content_the_name_is_given_not_the_hash(workspace: Workspace) -> None:
    one, other = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    recipe.pin(workspace, "caption", {"sources": {"coco": one, "faces": one, "laion": one}, "prompts": "a" * 64})
    with pytest.raises(UsageError) as refusal:
        recipe.pin(workspace, "caption", {"sources": {"coco": one, "faces": other, "photos": one}, "prompts": "b" * 64})
    assert str(refusal.value) == (
        f"settings differ from this workspace's ({workspace.recipe}): [caption] prompts changed; "
        "sources.faces changed; sources.laion was removed; sources.photos was added. "
        "Run with the previous settings, or name a new --workspace"
    )


def test_of_a_table_the_values_that_differ_are_named(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"source_weights": {"coco": 1.0, "faces": 3.0}})
    with pytest.raises(
        UsageError, match=r"\[sample\] source_weights.faces was 3.0, now 2.0; source_weights.laion was unset"
    ):
        recipe.pin(workspace, "sample", {"source_weights": {"coco": 1.0, "faces": 2.0, "laion": 1.0}})


def test_true_is_not_one(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"watermark": True})
    with pytest.raises(UsageError):
        recipe.pin(workspace, "sample", {"watermark": 1})


def test_a_recipe_that_is_not_toml_is_a_usage_error(workspace: Workspace) -> None:
    workspace.recipe.write_text("images = = 4")
    with pytest.raises(UsageError, match="is not TOML"):
        recipe.pin(workspace, "sample", {})


def _pin(root: Path, stage: str) -> None:
    recipe.pin(Workspace(root), stage, {"images": 4})


def test_stages_that_start_at_once_all_find_their_table(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_pin, args=(tmp_path, f"stage{number}")) for number in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(recipe.read(Workspace(tmp_path))) == sorted(f"stage{number}" for number in range(12))
