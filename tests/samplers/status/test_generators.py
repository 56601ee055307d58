"""Generators as cf-status counts and names them, from outcomes that the tests write."""

import dataclasses
import io
import os
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from crawler.catalog import CatalogEntry
from crawler.reasons import Reason
from samplers.outcomes import SUCCEEDED, Outcome, Status, write_outcome
from samplers.planning.recipe import Recipe
from samplers.running.stderr_log import keep_stderr
from samplers.status.display import as_tables, shards_text
from samplers.status.failure import REMEDIES
from samplers.status.run import RunStatus, Watcher
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from workspace.layout import Workspace
from workspace.recipe import pin

NOW = 1_800_000_000.0


def entries(count: int) -> list[CatalogEntry]:
    return [catalog_entry(f"org/model-{number}", rank=number + 1) for number in range(count)]


def outcome(entry: CatalogEntry, status: Status, **changes: object) -> Outcome:
    return Outcome(model_name=entry.model_name, revision=entry.revision, status=status, **changes)  # type: ignore[arg-type]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def said(status: RunStatus, named: int | None = None) -> str:
    screen = io.StringIO()
    Console(file=screen, width=400).print(as_tables(status, named))
    return screen.getvalue()


def test_every_failed_generator_is_named_with_reason_remedy_and_log(workspace: Workspace, tmp_path: Path) -> None:
    done, exhausted, video, crashed, left = catalogue = entries(5)
    write_catalog(workspace, catalogue)
    (tmp_path / "printed").write_text("Traceback: a tensor is missing\n")
    log = keep_stderr(workspace, crashed.generator, tmp_path / "printed")
    write_outcome(workspace, outcome(done, "done", kept=20))
    write_outcome(workspace, outcome(exhausted, "exhausted", kept=7))
    write_outcome(workspace, outcome(video, "incompatible", reason=Reason.VIDEO, detail="it makes videos"))
    write_outcome(workspace, outcome(crashed, "crashed", detail="ended by signal 9", log=log, attempts=2, kept=3))
    status = Watcher(workspace).look(NOW)
    assert (status.generators, status.done, status.exhausted, status.failed, status.left) == (5, 1, 1, 2, 1)
    assert status.images == 30
    first, second = status.failures
    assert (first.generator, first.end, first.log, first.tried_again) == (
        crashed.generator,
        "crashed",
        "logs/stderr/org--model-3.txt",
        True,
    )
    assert (second.generator, second.end, second.log) == (video.generator, "incompatible: video", None)
    text = said(status)
    for words in (
        "5 generators: 1 done, 1 exhausted, 2 failed, 1 left",
        f"  {crashed.generator}: ended by signal 9 (log: logs/stderr/org--model-3.txt)",
        f"  {video.generator}: it makes videos",
        f"failed, crashed (1): {REMEDIES['crashed']}",
    ):
        assert words in text
    assert left.generator not in text
    assert "... and 1 more" in said(status, named=1)


def test_every_failure_has_a_remedy() -> None:
    assert REMEDIES.keys() == set(get_args(Status)) - SUCCEEDED


def test_what_changed_between_two_looks_is_seen_and_what_did_not_is_not_read(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = entries(4)
    write_catalog(workspace, catalogue)
    for entry in catalogue[:2]:
        write_outcome(workspace, outcome(entry, "done", kept=20))
    watcher = Watcher(workspace)
    assert (watcher.look(NOW).done, watcher.look(NOW).left) == (2, 2)
    read: list[str] = []
    opened = Path.read_text

    def counted(path: Path, *arguments: object, **options: object) -> str:
        if path.suffix == ".json":
            read.append(path.name)
        return opened(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "read_text", counted)
    write_outcome(workspace, outcome(catalogue[2], "load-failed"))
    status = watcher.look(NOW)
    assert (status.done, status.failed, status.left, read) == (2, 1, 1, ["org--model-2.json"])
    workspace.outcome_of(catalogue[0].generator).unlink()
    assert (watcher.look(NOW).done, read) == (1, ["org--model-2.json"])
    write_catalog(workspace, [dataclasses.replace(catalogue[1], revision="f" * 40), *catalogue[2:]])
    assert (watcher.look(NOW).generators, watcher.look(NOW).done) == (3, 0)


def test_a_pickle_that_was_sampled_counts_though_the_catalogue_calls_it_incompatible(workspace: Workspace) -> None:
    pickled = catalog_entry("org/pickled", status="incompatible", reason=Reason.PICKLE_ONLY)
    other = catalog_entry("org/other", status="incompatible", reason=Reason.PICKLE_ONLY)
    write_catalog(workspace, [pickled, other])
    assert Watcher(workspace).look(NOW).generators == 0
    write_outcome(workspace, outcome(pickled, "load-failed"))
    status = Watcher(workspace).look(NOW)
    assert (status.generators, status.failed, status.left) == (1, 1, 0)


def log(workspace: Workspace, shard: str, changed: float) -> None:
    """The log of a shard that has stopped, changed at that time."""
    index, count = shard.split("/")
    path = workspace.logs / f"sample-{index}-of-{count}.jsonl"
    path.parent.mkdir(exist_ok=True)
    start = '"event": "run_started", "pending": 1, "finished": 0, "skipped": 0, "estimate": 1.0'
    time = '{"time": "2026-01-01T12:00:00+00:00", '
    path.write_text(
        f'{time}{start}, "shard": "{shard}"}}\n{time}"event": "run_stopped", "why": "interrupted", "detail": null}}\n'
    )
    os.utime(path, (changed, changed))


def test_shards_that_never_started_are_named(workspace: Workspace) -> None:
    write_catalog(workspace, entries(1))
    for shard in ("1/4", "2/4", "4/16", "5/16"):
        log(workspace, shard, NOW - (500 if shard.endswith("/4") else 100))
    status = Watcher(workspace).look(NOW)
    # Of the division that was used last.
    assert status.not_started == tuple(f"{index}/16" for index in range(1, 17) if index not in (4, 5))
    assert "never started: shards 1-3, 6-16 of 16" in said(status)
    write_outcome(workspace, outcome(entries(1)[0], "done"))
    assert Watcher(workspace).look(NOW).not_started == ()


def test_shards_are_told_in_ranges() -> None:
    assert shards_text(["3/16"]) == "shard 3 of 16"
    assert shards_text(["1/4", "3/4", "4/4", "2/16"]) == "shards 1, 3-4 of 4; shard 2 of 16"


def test_a_clock_that_is_behind_is_said(workspace: Workspace) -> None:
    write_catalog(workspace, entries(1))
    log(workspace, "1/1", NOW + 3600)
    status = Watcher(workspace).look(NOW)
    assert status.clock_behind == 3600
    assert "the clock of this machine is 60 min or more behind" in said(status)


def test_a_generator_that_a_later_round_asks_for_more_images_of_is_left_until_it_has_them(workspace: Workspace) -> None:
    catalogue = [dataclasses.replace(entry, task="unconditional") for entry in entries(2)]
    write_catalog(workspace, catalogue)
    first, second = catalogue
    pin(workspace, "sample", recipe(images=4).table())
    write_outcome(workspace, outcome(first, "done", kept=4))
    write_outcome(workspace, outcome(second, "load-failed"))
    watcher = Watcher(workspace)
    assert (watcher.look(NOW).done, watcher.look(NOW).failed, watcher.look(NOW).left) == (1, 1, 0)
    pin(workspace, "sample", recipe(images=6).table(), update=True)
    status = watcher.look(NOW)
    assert (status.done, status.failed, status.left, status.images) == (0, 1, 1, 0)
    # What round 1 made is there, and is not read again.
    workspace.samples_of(first.generator).mkdir(parents=True)
    (workspace.samples_of(first.generator) / "part-00000.parquet").write_bytes(b"no Parquet")
    write_outcome(workspace, outcome(first, "done", kept=4))
    os.utime(workspace.samples_of(first.generator), (NOW, NOW))
    os.utime(workspace.outcome_of(first.generator), (NOW, NOW))
    status = watcher.look(NOW)
    assert (status.images, status.damaged) == (4, {})
    write_outcome(workspace, outcome(first, "done", kept=6, round=2))
    assert (watcher.look(NOW).done, watcher.look(NOW).images) == (1, 6)


def recipe(images: int) -> Recipe:
    return Recipe(
        images=images, batch_size=2, max_tries=2 * images, seed=0, steps=None, safety_checker="", prompts=None
    )
