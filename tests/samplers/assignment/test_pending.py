"""What is refused before anything of a run is written."""

import dataclasses

import pyarrow.parquet as pq
import pytest

from captioning.prompt import Prompt, numbers_of_parts
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.records import catalog_entry, prompt
from tests.samplers.inputs import write_catalog
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name
from workspace.recipe import pin

OPTIONS = SampleOptions(safety_checker=f"org/checker@{'0' * 40}", device="cpu")


@pytest.mark.parametrize("task", ["text-to-image", "class-conditional"])
def test_nothing_is_sampled_or_pinned_before_captioning_has_ended(tmp_path: object, task: str) -> None:
    workspace = Workspace.open(str(tmp_path))
    write_catalog(workspace, [catalog_entry(task=task)])

    def write_part(source: str, number: int) -> None:
        path = workspace.prompts_of(source) / part_name(number)
        rows = [prompt(source, number)]
        records.write(path, Prompt, rows, metadata=numbers_of_parts({"digits": 2, "photos": 1}))

    write_part("digits", 0)
    for options in (OPTIONS, dataclasses.replace(OPTIONS, shard="2/2")):
        with pytest.raises(UsageError, match=r"\(digits has 1 of 2 parts, photos has 0 of 1 parts\): wait until"):
            sample(workspace, options)
    write_part("photos", 0)
    with pytest.raises(UsageError, match=r"\(digits has 1 of 2 parts\)"):
        sample(workspace, OPTIONS)
    assert not workspace.recipe.exists()
    write_part("digits", 1)
    assert len(find_pending(workspace, OPTIONS).generators) == 1


def test_prompts_of_a_former_version_are_sampled_and_said(tmp_path: object) -> None:
    workspace = Workspace.open(str(tmp_path))
    write_catalog(workspace, [catalog_entry(task="text-to-image")])
    path = workspace.prompts_of("digits") / part_name(0)
    records.write(path, Prompt, [prompt("digits", 0)], metadata=numbers_of_parts({"digits": 1}))
    assert find_pending(workspace, OPTIONS).notes == []
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["weight"]), path)
    pending = find_pending(workspace, OPTIONS)
    assert [len(pending.generators), *pending.notes] == [1, pending.prompts[1].table.former_version]


@pytest.mark.parametrize("former", [{}, {"seed_bits": 63}])
def test_a_workspace_with_the_seeds_of_another_version_is_refused_in_words(
    tmp_path: object, former: dict[str, int]
) -> None:
    workspace = Workspace.open(str(tmp_path))
    write_catalog(workspace, [catalog_entry(task="unconditional")])
    pin(workspace, "sample", {"images": 400, "seed": 0, **former})
    before = workspace.recipe.read_bytes()
    for run in (find_pending, sample):
        with pytest.raises(UsageError, match=r"by another version of community-forensics, with seeds of 63 bits"):
            run(workspace, OPTIONS)
    assert workspace.recipe.read_bytes() == before
