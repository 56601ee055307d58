"""What a dry run prints, on a catalogue of a campaign's size and in a narrow window."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from samplers.durations import in_time
from samplers.forecast import show_forecast
from samplers.outcomes import Outcome, write_outcome
from samplers.pending import Run, Wish, survey
from samplers.shard_assignment import in_order
from tests.samplers.campaign import catalogue, entry, stable_diffusion
from workspace.layout import Workspace
from workspace.shard import Shard
from workspace.size import text_of

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def _said(workspace: Workspace, capsys: pytest.CaptureFixture[str], shard: str = "1/1") -> list[str]:
    asked = Shard.parse(shard)
    show_forecast(workspace, asked, survey(workspace, Wish(), Run(shard=asked)))
    return capsys.readouterr().out.splitlines()


def test_five_thousand_generators_are_a_screenful(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = catalogue(5000)
    workspace = make_workspace(*entries)
    for failed in entries[::10]:
        write_outcome(workspace, Outcome(model_name=failed.model_name, revision=failed.revision, status="load-failed"))
    lines = _said(workspace, capsys, "3/16")
    assert len(lines) < 40
    assert max(len(line) for line in lines if "left alone: org" not in line) <= 80
    said = "\n".join(lines)
    assert "of 16 from the longest" in said
    assert "left alone: " in said
    assert "generators: load-failed before (--retry-failed)" in said


def test_every_shards_plan_together_is_everything_once(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(300)
    workspace = make_workspace(*entries)
    surveys = [survey(workspace, Wish(), Run(shard=Shard(index, 7))) for index in range(1, 8)]
    names = [owed.entry.model_name for one in surveys for owed in one.owed]
    assert sorted(names) == sorted(each.model_name for each in entries)
    for index, one in enumerate(surveys):
        taken = [owed.entry for owed in one.owed]
        assert sorted(each.model_name for each in taken) == sorted(one.division.names[index])
        assert taken == in_order(taken)


def test_a_division_does_not_move_when_work_gets_done(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(60)
    workspace = make_workspace(*entries)
    before = survey(workspace, Wish(), Run(shard=Shard(2, 3)))
    for done in entries[::2]:
        write_outcome(workspace, Outcome(model_name=done.model_name, revision=done.revision, status="crashed"))
    after = survey(workspace, Wish(), Run(shard=Shard(2, 3)))
    assert after.division == before.division
    assert {one.entry.model_name for one in after.owed} | after.left.keys() == {
        one.entry.model_name for one in before.owed
    }


def test_only_and_limit_divide_what_they_leave(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(40)
    workspace = make_workspace(*entries)
    limited = [survey(workspace, Wish(), Run(shard=Shard(index, 2), limit=9)) for index in (1, 2)]
    assert sorted(one.entry.rank for each in limited for one in each.owed) == list(range(1, 10))
    only = tuple(each.model_name for each in entries[20:25])
    chosen = [survey(workspace, Wish(), Run(shard=Shard(index, 2), only=only)) for index in (1, 2)]
    assert sorted(one.entry.model_name for each in chosen for one in each.owed) == sorted(only)


def test_a_content_that_generators_share_is_counted_once(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry(f"org/{number}", rank=number, files=stable_diffusion(f"{number}")) for number in range(1, 11)]
    said = "\n".join(_said(make_workspace(*entries), capsys))
    assert text_of(246_000_000 + 167_000_000 + 10 * 1_720_000_000) in said
    assert "10 generators to sample, 4000 images; 0 finished, 0 left alone" in said


def test_the_time_that_is_shown_follows_what_was_measured_and_the_division_does_not(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry(f"org/{number}", rank=number) for number in range(1, 5)]
    workspace = make_workspace(*entries)
    before = _said(workspace, capsys, "1/2")
    assert any("estimated on a GPU" in line for line in before)
    cost = survey(workspace, Wish(), Run()).costs["org/4"].seconds(400)
    done = Outcome(model_name="org/4", revision=entries[3].revision, status="done", timed=400)
    write_outcome(workspace, replace(done, seconds={"sample": 3 * cost, "fetch": 10 * cost}))
    after = _said(workspace, capsys, "1/2")
    assert any("at the pace of 1 generators done here" in line for line in after)
    (shard,) = (line for line in after if "all of shard 1/2" in line)
    assert f"{3 * 2 * cost / 3600:.1f} h" in shard


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (8.4, "8 s"), (700, "12 min"), (13_200, "3 h 40 min"), (190_800, "2 d 5 h")],
)
def test_times_are_told_in_units_of_their_size(seconds: float | None, words: str) -> None:
    assert in_time(seconds) == words
