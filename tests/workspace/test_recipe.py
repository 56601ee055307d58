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
        "Run with the previous settings; or add --update: what these settings add is then round 2 of this workspace, "
        "and what was made before stays; or name a new --workspace"
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


def _tables(workspace: Workspace) -> list[dict[str, dict[str, recipe.Setting]]]:
    return [one.tables for one in recipe.rounds(workspace)]


def test_other_settings_with_update_are_those_of_the_next_round(workspace: Workspace) -> None:
    assert recipe.pin(workspace, "sample", {"images": 20}) == 1
    assert recipe.pin(workspace, "sample", {"images": 30}, update=True) == 2
    assert _tables(workspace) == [{"sample": {"images": 20}}, {"sample": {"images": 30}}]
    assert recipe.latest(workspace, "sample") == {"images": 30}


def test_the_same_command_again_opens_no_further_round(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 20})
    for _ in range(2):
        assert recipe.pin(workspace, "sample", {"images": 30}, update=True) == 2
    assert recipe.pin(workspace, "sample", {"images": 30}) == 2
    assert len(recipe.rounds(workspace)) == 2


def test_the_settings_of_an_earlier_round_continue_that_one(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 20})
    recipe.pin(workspace, "sample", {"images": 30}, update=True)
    assert recipe.pin(workspace, "sample", {"images": 20}) == 1


def test_what_is_added_after_sampling_is_sampled_in_the_same_round(workspace: Workspace) -> None:
    recipe.pin(workspace, "crawl", {"limit": 5})
    recipe.pin(workspace, "sample", {"images": 20})
    assert recipe.pin(workspace, "crawl", {"limit": 10}, update=True) == 2
    assert recipe.pin(workspace, "caption", {"part_size": 10}, update=True) == 2
    assert recipe.pin(workspace, "sample", {"images": 20}) == 2
    assert _tables(workspace)[1] == {
        "crawl": {"limit": 10},
        "caption": {"part_size": 10},
        "sample": {"images": 20},
    }
    assert recipe.pin(workspace, "crawl", {"limit": 20}, update=True) == 3


def test_a_stage_that_adds_twice_before_sampling_has_two_rounds(workspace: Workspace) -> None:
    recipe.pin(workspace, "caption", {"limit": 5})
    assert recipe.pin(workspace, "caption", {"limit": 10}, update=True) == 2
    assert recipe.pin(workspace, "caption", {"limit": 20}, update=True) == 3
    assert recipe.pin(workspace, "sample", {"images": 20}) == 3
    assert ["sample" in tables for tables in _tables(workspace)] == [False, False, True]


def test_captions_that_come_after_sampling_need_a_round(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 20})
    with pytest.raises(UsageError, match=r"was not there when it was sampled. .* add --update: .* then round 2 of"):
        recipe.pin(workspace, "caption", {"limit": 5})


def test_what_follows_from_the_round_may_differ_between_rounds_and_not_within_one(workspace: Workspace) -> None:
    recipe.pin(workspace, "sample", {"images": 20, "prompts": "one"}, by_round=["prompts"])
    recipe.pin(workspace, "caption", {"limit": 5}, update=True)
    assert recipe.pin(workspace, "sample", {"images": 20, "prompts": "two"}, by_round=["prompts"]) == 2
    with pytest.raises(UsageError, match=r"\[sample\] of round 2 prompts was 'two', now 'three'. Restore"):
        recipe.pin(workspace, "sample", {"images": 20, "prompts": "three"}, by_round=["prompts"])


@pytest.mark.parametrize(
    "text", ["round = 4", "[round]\n3 = 1", "[round.3.sample]\nimages = 4", "[round.2]\nsample = 3"]
)
def test_rounds_that_are_not_numbered_tables_are_refused(workspace: Workspace, text: str) -> None:
    workspace.recipe.write_text(text)
    with pytest.raises(UsageError, match=r"are not those of rounds 2, 3"):
        recipe.rounds(workspace)
