"""captioning/stage.py: the same files whatever the shards, and an honest summary of them."""

from pathlib import Path

import pytest

from captioning.captioner import CaptionerReference
from captioning.prompt import read_prompts
from captioning.selection import select, select_all
from captioning.stage import Settings, caption
from demo.zoo.captioner import REPOSITORY
from demo.zoo.captioner.captions import PHOTOGRAPHS
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.shard import Shard


def settings(batch_size: int = 2) -> Settings:
    return Settings(CaptionerReference.parse(str(REPOSITORY)), batch_size, part_size=3, limit=None, device="cpu")


def files(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace.prompts)): path.read_bytes() for path in workspace.prompts.rglob("*.parquet")
    }


def test_generated_captions_are_the_same_files_whatever_the_shards(tmp_path: Path, photos: Path) -> None:
    one, three = Workspace.open(tmp_path / "one"), Workspace.open(tmp_path / "three")
    selections = [select(f"photos={photos}", None)]
    caption(one, selections, settings(), Shard(1, 1))
    for index in (3, 1, 2):
        (summary,) = caption(three, selections, settings(), Shard(index, 3))
    assert files(three) == files(one)
    assert len(files(one)) == 6
    assert {prompt.real_id: prompt.prompt for prompt in read_prompts(three)} == PHOTOGRAPHS
    assert (summary.parts_done, summary.parts, summary.own, summary.generated) == (6, 6, 0, 16)


def test_the_summary_counts_what_all_shards_have_done(tmp_path: Path, digits: Path) -> None:
    workspace = Workspace.open(tmp_path)
    selections = select_all([f"b={digits}", f"a={digits}"], None, 10)
    first = caption(workspace, selections, settings(), Shard(1, 2))
    assert [(summary.name, summary.images, summary.parts_done, summary.parts) for summary in first] == [
        ("a", 10, 2, 4),
        ("b", 10, 2, 4),
    ]
    second = caption(workspace, selections, settings(), Shard(2, 2))
    assert [(summary.parts_done, summary.own, summary.generated) for summary in second] == [(4, 10, 0), (4, 10, 0)]


def test_everything_that_changes_a_row_is_in_the_recipe(tmp_path: Path, digits: Path) -> None:
    workspace = Workspace.open(tmp_path)
    selections = [select(f"digits={digits}", 5)]
    caption(workspace, selections, settings(), Shard(1, 1))
    pinned = recipe.read(workspace)["caption"]
    assert str(pinned.pop("captioner")).startswith("repository@sha256-")
    assert pinned == {
        "backend": "transformers",
        "prompt": "a picture of",
        "num_beams": 3,
        "max_length": 30,
        "min_length": 10,
        "repetition_penalty": 1.0,
        "length_penalty": 1.0,
        "jpeg_detail": 1.5,
        "batch_size": 2,
        "part_size": 3,
        "sources": {"digits": f"sha256:{selections[0].digest}"},
    }
    with pytest.raises(UsageError, match="batch_size was 2, now 3"):
        caption(workspace, selections, settings(batch_size=3), Shard(1, 1))
