"""A workspace that grows in rounds: what was made stays, and what is made depends on the rounds alone."""

import dataclasses
import os
import shutil
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters
from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.planning.plan import Plan, plans_of
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from samplers.planning.segments import images_owed, segments_of
from samplers.running.supervisor import Report, sample
from samplers.sample import read_samples
from tests.hubs import DATE
from tests.records import catalog_entry, prompt
from tests.samplers.conftest import BASE, CHECKER, CLASSES, PIXELS
from tests.samplers.inputs import PROMPTS, entry_of, write_catalog, write_prompts
from tests.samplers.planning.test_prompting import _prompts
from tests.samplers.processes import start
from tests.zoo import copy_zoo
from workspace import recipe as recipes
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, part_name

POOL = PromptPool(_prompts(a=[f"a {number}" for number in range(12)], b=[f"b {number}" for number in range(3)]))


def _recipe(number: int, images: int, **changes: Any) -> Recipe:
    values: dict[str, Any] = {"batch_size": 3, "max_tries": 2 * images, "seed": 0, "steps": None, "prompts": None}
    return Recipe(round=number, images=images, safety_checker="org/checker@" + "b" * 40, **values | changes)


def _plans(entry: CatalogEntry, *rounds: Recipe) -> list[Plan]:
    return plans_of(entry, segments_of(entry, rounds), {one.round: POOL for one in rounds})


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([None, 3, 4]), st.integers(1, 4)), min_size=1, max_size=5))
def test_the_plan_of_a_round_does_not_depend_on_later_ones(asked: list[tuple[int, int | None, int]]) -> None:
    rounds = [
        _recipe(number, images, steps=steps, batch_size=size)
        for number, (images, steps, size) in enumerate(asked, start=1)
    ]
    whole = _plans(catalog_entry(), *rounds)
    for count in range(1, len(rounds)):
        plans = _plans(catalog_entry(), *rounds[:count])
        assert plans == whole[: len(plans)]
    assert all(before.stop == after.first for before, after in pairwise(whole))
    assert len({each.seed for plan in whole for each in plan.samples}) == sum(len(plan.samples) for plan in whole)


def test_a_round_asks_for_what_its_number_has_beyond_the_one_before() -> None:
    first, second = segments_of(catalog_entry(), (_recipe(1, 20), _recipe(2, 20), _recipe(3, 30)))
    assert (first.first, first.stop, first.images) == (0, 40, 20)
    assert (second.recipe.round, second.first, second.stop, second.images) == (3, 40, 60, 30)
    assert images_owed((first, second)) == 30


def test_other_settings_ask_for_the_whole_number_again() -> None:
    segments = segments_of(catalog_entry(), (_recipe(1, 20), _recipe(2, 20, steps=4), _recipe(3, 25)))
    assert [(one.recipe.round, one.first, one.stop) for one in segments] == [(1, 0, 40), (2, 40, 80), (3, 80, 90)]
    assert images_owed(segments) == 20 + 25


def test_a_generator_has_images_from_its_own_round_on_and_up_to_its_last() -> None:
    rounds = (_recipe(1, 5), _recipe(2, 6), _recipe(3, 7))
    added, replaced = catalog_entry(round=2), catalog_entry(last_round=2)
    assert [(one.recipe.round, one.images) for one in segments_of(added, rounds)] == [(2, 6), (3, 7)]
    assert [(one.recipe.round, one.images) for one in segments_of(replaced, rounds)] == [(1, 5), (2, 6)]


def test_a_later_round_uses_the_prompts_first_that_the_generator_did_not_get() -> None:
    first, second = _plans(catalog_entry(), _recipe(1, 5, max_tries=6), _recipe(2, 9, max_tries=15))
    before, after = ([each.prompt_id for each in plan.samples] for plan in (first, second))
    assert not set(before) & set(after)
    assert len({*before, *after}) == POOL.size


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A Hub of its own: a generator gets another commit."""
    store = Store(tmp_path_factory.mktemp("hub"))
    copy_zoo(store.root, (BASE, PIXELS, CLASSES, CHECKER))
    with HubProcess(store.root) as running:
        yield running


@pytest.fixture
def options(hub: HubProcess, tmp_path: Path) -> SampleOptions:
    return SampleOptions(
        images=3, batch_size=2, endpoint=hub.endpoint, weights_dir=tmp_path / "weights", device="cpu", timeout=100
    )


def _state(workspace: Workspace) -> dict[str, tuple[bytes, int]]:
    """Every image and part, with the time of its last change."""
    return {
        path.relative_to(workspace.root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for folder in (workspace.images, workspace.samples)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_five_rounds_are_the_same_one_after_the_other_and_in_one_go_on_other_shards_with_a_kill(
    hub: HubProcess, options: SampleOptions, tmp_path: Path
) -> None:
    store, workspace = Store(hub.directory), Workspace.open(tmp_path / "grown")
    pixels, base = entry_of(store, PIXELS), entry_of(store, BASE, 2)
    catalog = [pixels, base]
    states: list[dict[str, tuple[bytes, int]]] = [{}]

    def run(**changes: Any) -> Report:
        nonlocal options
        options = dataclasses.replace(options, **changes)
        write_catalog(workspace, catalog)
        report = sample(workspace, options)
        states.append(_state(workspace))
        before, after = states[-2:]
        assert {path: after[path] for path in before} == before
        assert len(after) > len(before)
        return report

    write_prompts(workspace, PROMPTS)
    run()
    # More images of each generator.
    run(images=5, update=True)
    # A generator that a later crawl found.
    catalog.append(entry_of(store, CLASSES, 3, round=3))
    recipes.add(workspace, "crawl", {"limit": 3}, 3)
    run(update=False)
    # More photographs, and more images made from them.
    more = [prompt("more", number, f"a photograph of {number} boats", round=4) for number in range(4)]
    records.write(workspace.prompts_of("more") / part_name(0), Prompt, more)
    recipes.add(workspace, "caption", {"limit": 4}, 4)
    run(images=6, update=True)
    # Other settings, and a new revision that takes the place of the one before.
    store.commit("model", PIXELS, add={"more.txt": b"more"}, message="more", date=DATE)
    catalog[0] = dataclasses.replace(pixels, last_round=4)
    newer = entry_of(store, PIXELS, round=5, further_revision=True)
    catalog.append(newer)
    run(steps=3)

    rounds = {name: [row.round for row in read_samples(workspace, name)] for name in (PIXELS, BASE, CLASSES)}
    assert rounds[PIXELS] == [1] * 3 + [2] * 2 + [4]
    assert rounds[BASE] == [1] * 3 + [2] * 2 + [4] + [5] * 6
    assert rounds[CLASSES] == [3] * 5 + [4] + [5] * 6
    assert [row.round for row in read_samples(workspace, newer.generator)] == [5] * 6
    assert len(list(workspace.images_of(newer.generator).iterdir())) == 6
    assert any(row.real_source == "more" for row in read_samples(workspace, BASE) if row.round == 4)
    outcome = read_outcome(workspace, BASE)
    assert outcome is not None
    assert (outcome.status, outcome.round, outcome.kept) == ("done", 5, 12)

    again = Workspace.open(tmp_path / "in-one-go")
    for source, target in ((workspace.recipe, again.recipe), (workspace.catalog, again.catalog)):
        shutil.copyfile(source, target)
    shutil.copytree(workspace.prompts, again.prompts)
    process = start(again, dataclasses.replace(options, shard="2/2", update=False))
    while process.is_alive() and sum(1 for _ in again.images.rglob("*.png")) < 8:
        process.join(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    for shard in ("2/2", "1/2"):
        sample(again, dataclasses.replace(options, shard=shard, update=False))
    contents = [{path: content for path, (content, _) in _state(one).items()} for one in (workspace, again)]
    assert contents[0] == contents[1]


def test_a_run_with_the_settings_of_an_earlier_round_finishes_that_one_only(
    hub: HubProcess, options: SampleOptions, tmp_path: Path
) -> None:
    store, workspace = Store(hub.directory), Workspace.open(tmp_path / "grown")
    write_catalog(workspace, [entry_of(store, PIXELS)])
    sample(workspace, options)
    sample(workspace, dataclasses.replace(options, images=4, update=True))
    assert sample(workspace, options).pending.finished == 1
    name = sorted(workspace.images_of(PIXELS).iterdir())[0]
    content = name.read_bytes()
    name.unlink()
    assert sample(workspace, options).outcomes[0].status == "done"
    assert name.read_bytes() == content


def test_a_round_without_prompts_is_finished_when_a_later_one_has_some(
    hub: HubProcess, options: SampleOptions, tmp_path: Path
) -> None:
    store, workspace = Store(hub.directory), Workspace.open(tmp_path / "grown")
    write_catalog(workspace, [entry_of(store, PIXELS)])
    sample(workspace, options)
    records.write(workspace.prompts_of("more") / part_name(0), Prompt, [prompt("more", 0, "a boat", round=2)])
    recipes.add(workspace, "caption", {"limit": 1}, 2)
    assert sample(workspace, dataclasses.replace(options, images=4, update=True)).outcomes[0].kept == 4
    assert sample(workspace, options).pending.finished == 1


def test_a_round_with_another_store_is_refused(hub: HubProcess, options: SampleOptions, tmp_path: Path) -> None:
    store, workspace = Store(hub.directory), Workspace.open(tmp_path / "grown")
    write_catalog(workspace, [entry_of(store, PIXELS, hyperparameters=Hyperparameters(num_inference_steps=2))])
    sample(workspace, options)
    with pytest.raises(UsageError, match=r"--store is parquet and was files in round 1: it is the same in all rounds"):
        sample(workspace, dataclasses.replace(options, store="parquet", update=True))
    assert len(recipes.rounds(workspace)) == 1
