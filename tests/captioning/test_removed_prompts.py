"""Captioning leaves out what was removed from the workspace, whenever a part is made."""

import json
import shutil
from pathlib import Path

from captioning.prompt import read_prompts
from captioning.prompt_table import PromptTable
from captioning.removed_prompts import separated
from tests.captioning.runs import caption_here
from tests.captioning.test_stage import SMALL, files
from tests.records import prompt
from upkeep.options import RemoveOptions
from upkeep.removal import remove
from workspace.layout import Workspace
from workspace.removed import Removals, Removed, real_key


def test_a_part_that_is_made_again_and_a_later_round_leave_out_what_was_removed(tmp_path: Path, digits: Path) -> None:
    options = {**SMALL, "max_per_source": 5, "copy": True}
    caption_here(tmp_path, {"digits": digits}, **options)
    workspace = Workspace(tmp_path)
    first = read_prompts(workspace)
    gone = first[1]
    remove(workspace, [], RemoveOptions(reason="privacy", real=(str(gone.real_sha256),)))
    after = files(tmp_path)
    assert len(after) == 3  # two parts, and the places of what was removed
    shutil.rmtree(workspace.prompts)
    caption_here(tmp_path, {"digits": digits}, **options)
    assert files(tmp_path) == after
    assert not (tmp_path / str(gone.real_path)).exists()
    log = [json.loads(line) for path in workspace.logs.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert any("were removed from this workspace" in event.get("text", "") for event in log)

    caption_here(tmp_path, {"digits": digits}, **options | {"max_per_source": 8, "update": True})
    assert len(PromptTable.read(workspace)) == 8
    assert gone.prompt_id not in {prompt.prompt_id for prompt in read_prompts(workspace)}
    assert after.items() <= files(tmp_path).items()


def test_what_is_in_both_files_after_an_interruption_is_not_removed_yet() -> None:
    photographs = [prompt(number=number, text=f"thing {number}", real_sha256=str(number) * 64) for number in range(4)]
    removals = Removals(
        Removed(what="real-image", key=real_key(str(number) * 64), reason="other", day="2026-11-30")
        for number in (1, 2)
    )
    kept, removed = separated(photographs, removals)
    assert separated(photographs, removals, removed) == (kept, removed)
    assert separated(kept, removals, removed) == (kept, removed)
    assert [place.row for place in removed] == [1, 2]
