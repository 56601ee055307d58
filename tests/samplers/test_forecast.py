"""The output of --dry-run, for a catalogue of thousands of generators and a narrow terminal."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from samplers.forecast import show_forecast
from samplers.number_text import duration_text
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, write_outcome
from samplers.pending import find_pending
from samplers.shard_assignment import sampling_order
from tests.samplers.campaign import catalogue, entry, stable_diffusion
from workspace.layout import Workspace
from workspace.size import text_of

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def _said(workspace: Workspace, capsys: pytest.CaptureFixture[str], shard: str = "1/1") -> list[str]:
    show_forecast(workspace, shard, find_pending(workspace, SampleOptions(shard=shard)))
    return capsys.readouterr().out.splitlines()


def test_five_thousand_generators_fit_on_a_screen(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = catalogue(5000)
    workspace = make_workspace(*entries)
    for failed in entries[::10]:
        write_outcome(workspace, Outcome(model_name=failed.model_name, revision=failed.revision, status="load-failed"))
    lines = _said(workspace, capsys, "3/16")
    assert len(lines) < 40
    assert max(len(line) for line in lines if "skipped org" not in line) <= 80
    said = "\n".join(lines)
    assert "of the 16 shards take longer" in said
    assert "skipped org" in said
    assert "generators: load-failed before (--retry-failed samples it again)" in said


def test_all_shards_together_have_every_generator_once(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(300)
    workspace = make_workspace(*entries)
    shards = [find_pending(workspace, SampleOptions(shard=f"{index}/7")) for index in range(1, 8)]
    names = [one.entry.model_name for pending in shards for one in pending.generators]
    assert sorted(names) == sorted(each.model_name for each in entries)
    for index, pending in enumerate(shards):
        share = [one.entry for one in pending.generators]
        assert sorted(each.model_name for each in share) == sorted(pending.assignment.names[index])
        assert share == sampling_order(share)


def test_finished_work_does_not_change_the_assignment(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(60)
    workspace = make_workspace(*entries)
    before = find_pending(workspace, SampleOptions(shard="2/3"))
    for done in entries[::2]:
        write_outcome(workspace, Outcome(model_name=done.model_name, revision=done.revision, status="crashed"))
    after = find_pending(workspace, SampleOptions(shard="2/3"))
    assert after.assignment == before.assignment
    assert {one.entry.model_name for one in after.generators} | after.skipped.keys() == {
        one.entry.model_name for one in before.generators
    }


def test_only_and_limit_assign_the_chosen_generators(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(40)
    workspace = make_workspace(*entries)
    limited = [find_pending(workspace, SampleOptions(shard=f"{index}/2", limit=9)) for index in (1, 2)]
    assert sorted(one.entry.rank for each in limited for one in each.generators) == list(range(1, 10))
    only = tuple(each.model_name for each in entries[20:25])
    chosen = [find_pending(workspace, SampleOptions(shard=f"{index}/2", only=only)) for index in (1, 2)]
    assert sorted(one.entry.model_name for each in chosen for one in each.generators) == sorted(only)


def test_a_file_that_generators_share_is_counted_once(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry(f"org/{number}", rank=number, files=stable_diffusion(f"{number}")) for number in range(1, 11)]
    said = "\n".join(_said(make_workspace(*entries), capsys))
    assert text_of(246_000_000 + 167_000_000 + 10 * 1_720_000_000) in said
    assert "10 generators to sample, 4,000 images; 0 finished, 0 skipped" in said


def test_measurements_change_the_times_shown_and_not_the_assignment(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry(f"org/{number}", rank=number) for number in range(1, 5)]
    workspace = make_workspace(*entries)
    before = _said(workspace, capsys, "1/2")
    assert any("estimated for a GPU" in line for line in before)
    cost = find_pending(workspace, SampleOptions()).costs["org/4"].seconds(400)
    done = Outcome(model_name="org/4", revision=entries[3].revision, status="done", timed=400)
    write_outcome(workspace, replace(done, seconds={"sample": 3 * cost, "fetch": 10 * cost}))
    after = _said(workspace, capsys, "1/2")
    assert any("from 1 generator of this workspace" in line for line in after)
    (shard,) = (line for line in after if line.startswith("shard 1/2"))
    assert f"{3 * 2 * cost / 3600:.1f} h" in shard


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (8.4, "8 s"), (700, "12 min"), (13_200, "3 h 40 min"), (190_800, "2 d 5 h")],
)
def test_durations_are_shown_in_suitable_units(seconds: float | None, words: str) -> None:
    assert duration_text(seconds) == words
