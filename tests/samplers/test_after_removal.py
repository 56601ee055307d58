"""Sampling after a removal: what was removed is not made again, all else as if nothing had happened; and two shards
that were sampled in two workspaces are one."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from captioning.prompt import Prompt, read_prompts
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import read_samples
from tests.samplers.conftest import FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from upkeep.merging import merge
from upkeep.options import MergeOptions, RemoveOptions
from upkeep.removal import remove
from workspace import records
from workspace.layout import Workspace, part_name, parts_in


@pytest.fixture
def sampling(store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]) -> Workspace:
    """Two generators and six captions, each of a photograph of its own."""
    workspace = make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate((PIXELS, FINETUNE), start=1)))
    shutil.rmtree(workspace.prompts)
    photographs = [
        Prompt(
            prompt_id=f"photos/{number}.jpg",
            prompt=f"a photograph of {thing}",
            real_source="photos",
            real_title="photos",
            real_id=f"{number}.jpg",
            real_sha256=hashlib.sha256(thing.encode()).hexdigest(),
            caption_origin="dataset",
        )
        for number, thing in enumerate(("a cat", "a dog", "a horse", "a tree", "a boat", "the sea"))
    ]
    records.write(workspace.prompts_of("photos") / part_name(0), Prompt, photographs)
    return workspace


def _copy(workspace: Workspace, name: str) -> Workspace:
    return Workspace(Path(shutil.copytree(workspace.root, workspace.root.with_name(name))))


def _choose(options: SampleOptions) -> SampleOptions:
    return dataclasses.replace(options, images=4, batch_size=2, steps=1)


@pytest.mark.timeout(300)
def test_two_shards_sampled_in_two_workspaces_merge_to_what_one_has_and_a_removed_generator_is_not_made_again(
    sampling: Workspace, options: SampleOptions
) -> None:
    options = _choose(options)
    shards = [_copy(sampling, f"shard-{number}") for number in (1, 2)]
    sample(sampling, options)
    for number, workspace in enumerate(shards, start=1):
        report = sample(workspace, dataclasses.replace(options, shard=f"{number}/2", help_others=False))
        assert [outcome.status for outcome in report.outcomes] == ["done"]
    merged = sampling.root.with_name("merged")
    merge([workspace.root for workspace in shards], MergeOptions(into=merged))
    assert files_of(Workspace(merged)) == files_of(sampling)
    for path in ("catalog.parquet", "recipe.toml", "prompts/photos/part-00000.parquet"):
        assert (merged / path).read_bytes() == (sampling.root / path).read_bytes()
    assert sample(Workspace(merged), options).outcomes == []

    before = {path: content for path, content in files_of(sampling).items() if "ddim" not in str(path)}
    remove(sampling, [PIXELS], RemoveOptions(reason="licence"))
    report = sample(sampling, options)
    assert (report.outcomes, report.pending.finished) == ([], 1)
    assert files_of(sampling) == before


@pytest.mark.timeout(300)
def test_after_a_photograph_was_removed_all_others_are_sampled_as_before(
    sampling: Workspace, options: SampleOptions
) -> None:
    options = dataclasses.replace(_choose(options), only=(FINETUNE,))
    removing = _copy(sampling, "removing")
    sample(removing, dataclasses.replace(options, shard="1/1"))
    sample(sampling, options)
    undisturbed = read_samples(sampling, FINETUNE)
    gone = next(prompt for prompt in read_prompts(sampling) if prompt.prompt_id == undisturbed[1].prompt_id)
    remove(removing, [], RemoveOptions(reason="privacy", real=(str(gone.real_sha256),)))
    # The second part is lost, and sampled again after the removal.
    for part in parts_in(removing.samples_of(FINETUNE)):
        part.unlink()
    shutil.rmtree(removing.images_of(FINETUNE))
    removing.outcome_of(FINETUNE).unlink()
    sample(removing, options)
    again = read_samples(removing, FINETUNE)
    for one, other in zip(undisturbed, again, strict=True):
        if one.prompt_id != gone.prompt_id:
            assert other == one
        else:
            assert other.prompt != one.prompt
            assert other.prompt_id in {prompt.prompt_id for prompt in read_prompts(removing)}
            assert other.seed == one.seed
