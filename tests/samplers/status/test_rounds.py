"""cf-status --rounds: what each round added."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from captioning.prompt import Prompt
from samplers.outcomes import Outcome, write_outcome
from samplers.status.display import as_tables
from samplers.status.rounds import RoundStatus, rounds_of
from samplers.status.run import Watcher
from tests.records import catalog_entry, prompt
from tests.samplers.inputs import write_catalog
from tests.samplers.storage.making import GROWN, NAME, RECIPE, store_all
from workspace import records
from workspace.layout import Workspace, part_name
from workspace.recipe import pin


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A generator with images of two rounds, one that the second round added, and a third round that is not sampled."""
    workspace = Workspace.open(tmp_path_factory.mktemp("workspace"))
    first = catalog_entry(NAME, task="unconditional")
    second = catalog_entry("org/second", task="unconditional", round=2)
    gone = catalog_entry("org/gone", round=2, status="incompatible", reason="gone")
    write_catalog(workspace, [first, second, gone])
    prompts = [prompt(number=number, round=1 if number < 3 else 3) for number in range(5)]
    records.write(workspace.prompts_of("photos") / part_name(0), Prompt, prompts)
    pin(workspace, "crawl", {"limit": 1})
    pin(workspace, "sample", RECIPE.table())
    pin(workspace, "crawl", {"limit": 2}, update=True)
    pin(workspace, "sample", GROWN.table(), update=True)
    pin(workspace, "caption", {"limit": 5}, update=True)
    store_all(workspace, tmp_path_factory.mktemp("scratch"), (RECIPE, GROWN))
    return workspace


def test_each_round_has_what_it_added_and_made(workspace: Workspace) -> None:
    assert rounds_of(workspace) == (
        RoundStatus(round=1, stages=("crawl", "sample"), generators=1, prompts=3, images_owed=16, images=16),
        # Eight more of the first generator, and all of the second one.
        RoundStatus(round=2, stages=("crawl", "sample"), generators=1, prompts=0, images_owed=8 + 24, images=8),
        RoundStatus(round=3, stages=("caption",), generators=0, prompts=2, images_owed=None, images=0),
    )


def test_the_outcome_tells_the_images_of_one_round(workspace: Workspace) -> None:
    outcome = Outcome(model_name="org/second", revision="a" * 40, round=2, status="exhausted", kept=5)
    write_outcome(workspace, outcome)
    try:
        assert [one.images for one in rounds_of(workspace)] == [16, 8 + 5, 0]
    finally:
        workspace.outcome_of("org/second").unlink()


def test_they_are_a_table_of_80_columns(workspace: Workspace) -> None:
    status = replace(Watcher(workspace).look(0), rounds=rounds_of(workspace))
    screen = io.StringIO()
    Console(file=screen, width=80).print(as_tables(status))
    lines = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert "2 1 0 32 8 crawl, sample" in lines
    assert "3 0 2 not sampled yet 0 caption" in lines
