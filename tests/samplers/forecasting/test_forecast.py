"""The output of --dry-run, for a catalogue of thousands of generators and a narrow terminal."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from samplers.assignment.pending import find_pending
from samplers.assignment.shard_assignment import sampling_order
from samplers.forecasting.forecast import forecast
from samplers.forecasting.forecast_text import show
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, write_outcome
from tests.samplers.campaign import catalogue, entry, stable_diffusion
from tests.samplers.inputs import write_catalog
from tests.scale import scaled
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.number_text import duration_text, hours_text
from workspace.size import text_of

MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def _said(workspace: Workspace, capsys: pytest.CaptureFixture[str], shard: str = "1/1") -> list[str]:
    show(forecast(workspace, SampleOptions(shard=shard)), as_json=False)
    return capsys.readouterr().out.splitlines()


def test_what_is_said_of_thousands_of_generators_fits_on_a_screen(
    make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = catalogue(scaled(2000, 5000))
    workspace = make_workspace(*entries)
    for failed in entries[::10]:
        write_outcome(workspace, Outcome(model_name=failed.model_name, revision=failed.revision, status="load-failed"))
    lines = _said(workspace, capsys, "3/16")
    assert len(lines) <= 40
    assert max(len(line) for line in lines if not line.startswith(("skipped org", "images are stored"))) <= 80
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
    assert any("nothing is measured" in line for line in before)
    cost = find_pending(workspace, SampleOptions()).costs["org/4"]
    done = Outcome(model_name="org/4", revision=entries[3].revision, status="done", timed=400)
    seconds = {"load": 3 * cost.load, "sample": 3 * 400 * cost.image, "fetch": 10_000.0}
    write_outcome(workspace, replace(done, seconds=seconds))
    after = _said(workspace, capsys, "1/2")
    assert any("time: measured: 1 finished generator of this workspace" in line for line in after)
    (shard,) = (line for line in after if line.startswith("shard 1/2"))
    assert f"{3 * 2 * cost.seconds(400) / 3600:.1f} h" in shard
    # Of another revision, they say nothing of this one.
    write_outcome(workspace, replace(done, seconds=seconds, revision="b" * 40))
    assert any("nothing is measured" in line for line in _said(workspace, capsys, "1/2"))


def test_before_captioning_all_is_estimated_and_a_line_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, [entry("org/one")])
    options = SampleOptions(source_weights={"coco": 2.0}, safety_checker="org/checker", endpoint="http://127.0.0.1:9")
    estimate = forecast(workspace, options)
    assert (estimate.total_images, estimate.notes) == (
        400,
        (f"{workspace.prompts} holds no prompts: run `cf-caption` before `cf-sample`",),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog.parquet"]
    with pytest.raises(UsageError, match="holds no prompts"):
        find_pending(workspace, replace(options, safety_checker=f"org/checker@{'b' * 40}", source_weights={}))


def test_shards_together_have_what_the_whole_has(make_workspace: MakeWorkspace) -> None:
    entries = catalogue(60)
    workspace = make_workspace(*entries)
    for number, status in enumerate(("load-failed", "quarantined", "crashed")):
        ended = Outcome(model_name=entries[number].model_name, revision=entries[number].revision, status="done")
        write_outcome(workspace, replace(ended, status=status))
    whole = forecast(workspace, SampleOptions())
    for index in (1, 3):
        shared = forecast(workspace, SampleOptions(shard=f"{index}/3"))
        assert sum(one.generators for one in shared.shards) == shared.total_generators == 58
        assert sum(one.images for one in shared.shards) == shared.total_images
        assert sum(one.seconds.middle for one in shared.shards) == pytest.approx(shared.seconds.middle)
        assert shared.shards[index - 1].generators == len(shared.generators)
        assert shared.seconds.middle == pytest.approx(whole.seconds.middle, rel=0.02)


def test_json_has_every_field_on_one_line(make_workspace: MakeWorkspace, capsys: pytest.CaptureFixture[str]) -> None:
    estimate = forecast(make_workspace(*catalogue(30)), SampleOptions(shard="2/3"), "h100")
    show(estimate, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads(json.dumps(asdict(estimate)))
    assert json.loads(line)["seconds"]["low"] < json.loads(line)["seconds"]["high"]


def test_a_named_device_counts_instead_of_what_was_measured(make_workspace: MakeWorkspace) -> None:
    entries = [entry(f"org/{number}", rank=number) for number in range(1, 4)]
    workspace = make_workspace(*entries)
    nominal = forecast(workspace, SampleOptions())
    made = Outcome(model_name="org/1", revision=entries[0].revision, status="crashed", seconds={"sample": 9e9}, timed=5)
    write_outcome(workspace, made)
    faster = forecast(workspace, SampleOptions(), "2")
    cost = find_pending(workspace, SampleOptions()).costs["org/1"]
    assert faster.seconds.middle == pytest.approx(3 * (cost.load + 400 * cost.image / 2))
    assert nominal.seconds.middle == pytest.approx(3 * cost.seconds(400))
    assert any("a device 2 times as fast" in line for line in faster.rests_on)
    with pytest.raises(UsageError, match="--calibrate measures this device, and --device-speed names another one"):
        forecast(workspace, SampleOptions(), "2", calibrate=True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "-"), (8.4, "8 s"), (700, "12 min"), (13_200, "3 h 40 min"), (190_800, "2 d 5 h")],
)
def test_durations_are_shown_in_suitable_units(seconds: float | None, words: str) -> None:
    assert duration_text(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30, "30 s"), (7_000, "117 min"), (7_200, "2.0 h"), (356_400, "99.0 h"), (7_200_000, "2,000 h")],
)
def test_times_that_are_paid_for_are_hours(seconds: float, words: str) -> None:
    assert hours_text(seconds) == words
