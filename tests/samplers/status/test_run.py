"""cf-status over real runs: one that is over, one in the middle, one that was killed."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from crawler.catalog import Hyperparameters
from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.outcomes import PHASES, Outcome, read_outcome, write_outcome
from samplers.running.supervisor import sample
from samplers.status.cli import main
from samplers.status.display import as_json, as_tables
from samplers.status.json_form import schema_text
from samplers.status.run import RunStatus, Watcher
from samplers.status.shard_status import WALL, ShardStatus, Time
from tests.manifests.commands import run
from tests.samplers.campaign import catalogue
from tests.samplers.conftest import BASE, CLASSES, ENDLESS, PIXELS
from tests.samplers.inputs import PROMPTS, entry_of, write_catalog, write_prompts
from tests.samplers.processes import start
from tests.samplers.running.test_resume import SETTINGS
from tests.scale import scaled
from workspace.errors import UsageError
from workspace.layout import Workspace

COMMAND = [sys.executable, "-c", "from samplers.status.cli import main; main()", "--workspace"]
MakeWorkspace = Callable[..., Workspace]


@pytest.fixture(scope="module")
def sampled(store: Store, hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three shards have run, each over one generator: a whole one, a broken one, and one that is of another kind."""
    workspace = Workspace.open(tmp_path_factory.mktemp("workspace"))
    broken = dataclasses.replace(entry_of(store, CLASSES, 2), revision="0" * 40)
    # It takes no prompt, whatever the catalogue says.
    misread = entry_of(store, PIXELS, 3, task="text-to-image")
    write_catalog(workspace, [entry_of(store, BASE, 1), broken, misread, entry_of(store, ENDLESS, 4)])
    write_prompts(workspace, PROMPTS)
    weights = tmp_path_factory.mktemp("weights")
    for index in (1, 2, 3):
        options = SampleOptions(
            **SETTINGS,
            endpoint=hub.endpoint,
            weights_dir=weights,
            device="cpu",
            timeout=100,
            shard=f"{index}/3",
            help_others=False,
            only=(BASE, CLASSES, PIXELS),
        )
        sample(workspace, options)
    return workspace


def _look(workspace: Workspace) -> RunStatus:
    return Watcher(workspace).look(time.time())


def test_a_finished_run_is_read_from_its_outcomes_and_logs(sampled: Workspace) -> None:
    status = _look(sampled)
    assert (status.generators, status.done, status.failed, status.left) == (4, 1, 2, 1)
    assert status.ends == {"done": 1, "fetch-failed": 1, "incompatible: needs-other-input": 1}
    assert status.images == SETTINGS["images"]
    assert [shard.shard for shard in status.shards] == ["1/3", "2/3", "3/3"]
    assert [(shard.done + shard.failed, shard.left, shard.state) for shard in status.shards] == 3 * [(1, 0, "finished")]
    assert [shard.estimate_left for shard in status.shards] == [0, 0, 0]
    (whole,) = (shard for shard in status.shards if shard.done)
    assert whole.images == SETTINGS["images"]
    assert whole.time.duty is not None
    assert 0 < whole.time.duty < 1
    assert (status.images_a_second, status.recently, status.seconds_left) == (None, None, None)


def test_a_failed_generator_is_named_with_the_log_of_its_process(sampled: Workspace) -> None:
    unfetched, misread = _look(sampled).failures
    assert (unfetched.generator, unfetched.end, unfetched.log) == (CLASSES, "fetch-failed", None)
    assert (misread.generator, misread.end) == (PIXELS, "incompatible: needs-other-input")
    assert misread.log is not None
    printed = (sampled.root / misread.log).read_text()
    assert "Traceback" in printed
    outcome = read_outcome(sampled, PIXELS)
    assert outcome is not None
    assert outcome.log == misread.log
    assert printed.rstrip().endswith(outcome.stderr[-1])
    # Only of generators that failed, whichever shard sampled them.
    assert sorted(path.name for path in sampled.logs.iterdir()) == [
        *(f"sample-{index}-of-3.jsonl" for index in (1, 2, 3)),
        "stderr",
    ]
    assert len(list((sampled.logs / "stderr").iterdir())) == 1


def test_the_phases_make_up_the_wall_time(sampled: Workspace) -> None:
    outcome = read_outcome(sampled, BASE)
    assert outcome is not None
    assert outcome.seconds.keys() <= set(PHASES)
    assert outcome.seconds["idle"] >= 0
    assert outcome.timed == outcome.tries
    for shard in _look(sampled).shards:
        within = sum(seconds for phase, seconds in shard.time.phases.items() if phase in WALL)
        assert within == pytest.approx(shard.time.wall, abs=0.05)


@pytest.mark.usefixtures("sampled")
def test_waiting_for_a_generators_files_is_counted_as_idle(
    store: Store, hub: HubProcess, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    # Longer than the child takes to start from the fork server that `sampled` has started: until then nobody waits.
    hub.fail("stall", method="GET", path=r"/resolve/.*unet/.*safetensors", times=1, seconds=15)
    try:
        (outcome,) = sample(workspace, dataclasses.replace(options, **SETTINGS)).outcomes
    finally:
        hub.clear_faults()
    assert outcome.status == "done"
    assert outcome.seconds["idle"] > 1
    time_ = _look(workspace).shards[0].time
    assert time_.phases["idle"] == outcome.seconds["idle"]


def test_the_reason_of_an_incompatible_generator_is_the_catalogues(sampled: Workspace) -> None:
    outcome = read_outcome(sampled, PIXELS)
    assert outcome is not None
    assert (outcome.status, outcome.reason) == ("incompatible", "needs-other-input")


def test_rows_are_counted_where_an_outcome_is_missing(sampled: Workspace) -> None:
    path = sampled.outcome_of(BASE)
    kept = path.read_bytes()
    path.unlink()
    try:
        status = _look(sampled)
        assert (status.done, status.images, status.ends["done"]) == (1, SETTINGS["images"], 1)
    finally:
        path.write_bytes(kept)


def test_looking_changes_nothing(sampled: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in sampled.root.rglob("*")}
    _look(sampled)
    assert {path: path.stat().st_mtime_ns for path in sampled.root.rglob("*")} == before


def test_tables_and_json_agree(sampled: Workspace) -> None:
    said, plain = (run(main, "--workspace", str(sampled.root), *options).stdout for options in ((), ("--json",)))
    assert max(len(line) for line in said.splitlines()) <= 80
    values = json.loads(plain)
    jsonschema.validate(values, json.loads(schema_text()), jsonschema.Draft202012Validator)
    assert values["ends"] == _look(sampled).ends
    assert "incompatible: needs-other-input" in said
    for shard in values["shards"]:
        assert f"{shard['time']['duty']:.0%}" in said
    assert "4 generators: 1 done, 0 exhausted, 2 failed, 1 left" in said


def test_a_large_runs_shards_fit_into_80_columns() -> None:
    shard = ShardStatus(
        shard="16/16",
        state="silent",
        detail=None,
        heard=13_200,
        device="NVIDIA A100",
        done=1234,
        left=1234,
        failed=123,
        generator="org/name",
        images=493_600,
        images_a_second=12.34,
        recently=0.0,
        estimate_left=100_000,
        pace=1.3,
        time=Time.of(1000, {"sample": 930}),
        walls="without landlock of the sandbox (docs/sandbox.md)",
    )
    status = RunStatus(
        generators=5000,
        done=1234,
        exhausted=0,
        failed=123,
        left=1234,
        ends={"quarantined": 3},
        images=493_600,
        images_a_second=12.34,
        recently=0.0,
        seconds_left=130_000,
        time=shard.time,
        shards=(shard,),
        seconds_left_of={"16/16": 130_000},
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(as_tables(status))
    said = console.export_text()
    assert "shard 16/16 samples without landlock of the sandbox (docs/sandbox.md)" in said
    for words in ("silent 3 h 40 min", "1,234", "493,600", "12.34", "36 h 7 min", "93%"):
        assert words in said


def test_watching_ends_with_ctrl_c_and_exit_code_0(sampled: Workspace) -> None:
    command = [*COMMAND, str(sampled.root), "--watch", "--every", "0.1", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    looks = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert [look["done"] for look in looks] == [1, 1, 1]


def test_in_the_middle_of_a_run_and_after_it_was_killed(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = Hyperparameters(num_inference_steps=1_000_000)
    workspace = make_workspace(entry_of(store, PIXELS, 1), entry_of(store, ENDLESS, 2, hyperparameters=endless))
    process = start(workspace, dataclasses.replace(options, **SETTINGS))
    watcher = Watcher(workspace)
    status = watcher.look(time.time())
    while process.is_alive() and not (status.shards and status.shards[0].generator == ENDLESS):
        time.sleep(0.05)
        status = watcher.look(time.time())
    # Outcomes are read before the log: the first one may have been written in between.
    status = watcher.look(time.time())
    (shard,) = status.shards
    assert (shard.state, shard.done, shard.left, shard.images) == ("running", 1, 1, SETTINGS["images"])
    assert (status.done, status.left, status.images) == (1, 1, SETTINGS["images"])
    assert shard.pace is not None
    assert status.seconds_left == pytest.approx(shard.estimate_left * shard.pace)
    assert status.seconds_left > 0
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    # Whoever looks sees it at once where the process was, and in the end from anywhere.
    assert watcher.look(time.time()).shards[0].state == "killed"
    monkeypatch.setattr("workspace.process_folder._machine", lambda: "0" * 16)
    states = [watcher.look(time.time() + seconds).shards[0] for seconds in (0, 300, 400)]
    assert [shard.state for shard in states] == ["running", "silent", "killed"]
    assert states[1].heard >= 300


def test_a_workspace_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    ended = run(main, "--workspace", str(tmp_path / "typo"))
    assert (ended.returncode, "does not exist" in ended.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="run `cf-crawl` first"):
        _look(Workspace(tmp_path))


def test_thousands_of_generators_are_counted_without_opening_rows(make_workspace: MakeWorkspace) -> None:
    count = scaled(1000, 5000)
    entries = catalogue(count)
    workspace = make_workspace(*entries)
    workspace.outcomes.mkdir()
    for number, entry in enumerate(entries[: count * 4 // 5]):
        status = "crashed" if number % 50 == 0 else "done"
        outcome = Outcome(model_name=entry.model_name, revision=entry.revision, status=status, kept=400)
        if number < 20:
            write_outcome(workspace, outcome)
            # A part that cannot be read: whoever opens it fails.
            workspace.samples_of(entry.model_name).mkdir(parents=True)
            (workspace.samples_of(entry.model_name) / "part-00000.parquet").write_bytes(b"no Parquet")
        else:
            workspace.outcome_of(entry.model_name).write_text(json.dumps(dataclasses.asdict(outcome)))
    status = _look(workspace)
    failed = count * 4 // 5 // 50
    assert (status.generators, status.failed, status.left) == (count, failed, count // 5)
    assert (status.done, status.images) == (count * 4 // 5 - failed, 400 * (count * 4 // 5))
    assert json.loads(as_json(status))["shards"] == []
    assert as_tables(status).renderables
