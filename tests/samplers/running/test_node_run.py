"""Several supervisors on one machine: the files of one, whatever happens to some of them."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from captioning.prompt_table import PromptTable
from engines.local import LocalEngine
from localhub.store import Store
from samplers.assignment.pending import PendingGenerator
from samplers.options import SampleOptions
from samplers.running import node_run, supervisor
from samplers.running.supervisor import sample as sample_on_one
from samplers.stage import sample
from samplers.status.run import Watcher
from tests.engines.calls import killed
from tests.samplers.conftest import BASE, CLASSES, FINETUNE, PIXELS
from tests.samplers.inputs import entry_of, files_of
from tests.scale import SOAK
from workspace import progress
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

NAMES = (PIXELS, CLASSES, BASE, FINETUNE)


@pytest.fixture
def on_two(options: SampleOptions) -> SampleOptions:
    return dataclasses.replace(options, device="auto", devices="cpu:2", images=6, batch_size=2)


def made(store: Store, make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(NAMES, start=1)))


@pytest.mark.skipif(not SOAK, reason="starts two supervisors as new programs, which import torch: a minute")
@pytest.mark.timeout(1500)
def test_two_processes_survive_a_kill_and_stop_together_and_what_they_made_is_what_one_makes(
    store: Store, on_two: SampleOptions, make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    on_one = dataclasses.replace(on_two, device="cpu", devices=None, images=24)
    undisturbed, workspace = (made(store, make_workspace) for _ in range(2))
    sample_on_one(undisturbed, on_one)
    said = tmp_path / "said.txt"
    with said.open("wb") as file:
        process = subprocess.Popen(command(workspace, on_two, images=24), stderr=file, stdout=file)
    try:
        wait_for(lambda: working(workspace, process.pid))
        os.kill(working(workspace, process.pid)[0], signal.SIGKILL)
        wait_for(lambda: "ended by signal 9: it is started again" in said.read_text())
        supervisors = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGUSR1)
        assert process.wait(60) == 75, said.read_text()
    finally:
        process.kill()
    assert said.read_text().count("interrupted: finished work is kept") == 1
    _, running = psutil.wait_procs(supervisors, timeout=10)  # a moment: what watches a process ends after it
    assert running == []
    sample_on_one(workspace, on_one)
    assert files_of(workspace) == files_of(undisturbed)


def command(workspace: Workspace, options: SampleOptions, images: int) -> list[str]:
    """The command line of these options."""
    given = [
        f"--{name.replace('_', '-')}={getattr(options, name)}" for name in ("devices", "batch_size", "weights_dir")
    ]
    program = f"import os; os.environ['HF_ENDPOINT'] = {options.endpoint!r}; from samplers.cli import main; main()"
    return [sys.executable, "-c", program, f"--workspace={workspace.root}", f"--images={images}", *given]


def working(workspace: Workspace, parent: int) -> list[int]:
    """The supervisors that `parent` has started and that have begun a generator."""
    begun = set()
    for log in workspace.logs.glob("sample-1-of-1-part-*-of-2.jsonl"):
        events = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        begun |= {event["process"].split("-")[2] for event in events if event["event"] == "generator_started"}
    return [each.pid for each in psutil.Process(parent).children() if str(each.pid) in begun]


def wait_for(look: Callable[[], object], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_each_process_gets_its_part_of_the_shard_and_of_the_memory(on_two: SampleOptions, tmp_path: Path) -> None:
    options = dataclasses.replace(on_two, devices="cpu:4", shard="2/3", max_memory=10)
    parts = node_run._parts(Workspace(tmp_path), options, ("cpu",) * 4, None)
    assert [part.options.shard for part in parts] == ["2/3:1/4", "2/3:2/4", "2/3:3/4", "2/3:4/4"]
    assert [part.options.memory_bytes for part in parts] == [2_500_000_000] * 4
    assert len({part.on.label for part in parts}) == 4
    unlimited = dataclasses.replace(options, max_memory=0)
    assert {
        part.options.memory_bytes for part in node_run._parts(Workspace(tmp_path), unlimited, ("cpu",) * 4, None)
    } == {0}
    default = dataclasses.replace(options, max_memory=None)
    (share,) = {part.options.memory_bytes for part in node_run._parts(Workspace(tmp_path), default, ("cpu",) * 4, None)}
    limit = node_run.default_memory()
    assert limit is not None
    assert share is not None
    assert abs(4 * share - limit) < 16


class InThisProcess(LocalEngine):
    """An engine that needs no other process."""

    def run(self, function: Callable[..., object], items: Sequence[object], *, gpus: int = 0) -> Iterator[Any]:
        for item in items:
            yield item, function(item)


def test_the_parts_of_a_shard_together_make_the_files_of_one_process(
    store: Store,
    on_two: SampleOptions,
    make_workspace: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    undisturbed, workspace = (made(store, make_workspace) for _ in range(2))
    options = dataclasses.replace(on_two, images=2, help_others=False)
    alone = sample_on_one(undisturbed, dataclasses.replace(options, device="cpu", devices=None))
    monkeypatch.setattr(node_run, "LocalEngine", InThisProcess)
    monkeypatch.setattr(node_run, "_take_signals", lambda: None)
    monkeypatch.setattr(node_run, "_end_without", lambda _: None)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    report = sample(workspace, options)
    assert files_of(workspace) == files_of(undisturbed)
    assert {one.generator: one.status for one in report.outcomes} == {
        one.generator: one.status for one in alone.outcomes
    }
    assert len(list(workspace.logs.glob("sample-1-of-1-part-?-of-2.jsonl"))) == 2
    lines = capsys.readouterr().err.splitlines()
    assert {line.partition(":")[0] for line in lines if line.startswith("cpu")} == {"cpu, process 1", "cpu, process 2"}
    assert [shard.shard for shard in Watcher(workspace).look(time.time()).shards] == ["1/1:1/2", "1/1:2/2"]


def looked_at_once(seconds: float) -> int:
    """How often this process is interrupted while signals come from everywhere."""
    node_run._take_signals()
    interrupted = 0
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        try:
            os.kill(os.getpid(), number)
            time.sleep(seconds)
        except KeyboardInterrupt:
            interrupted += 1
    return interrupted


def test_a_supervisor_is_interrupted_once_whichever_signals_come() -> None:
    ((_, interrupted),) = LocalEngine(1).run(looked_at_once, [0.01])
    assert interrupted == 1


def test_a_process_that_is_lost_is_told_of_and_the_others_go_on() -> None:
    told: list[tuple[str, int | None, bool]] = []
    engine = LocalEngine(2, lost=lambda *what: told.append(what))
    assert list(engine.run(killed, ["dies", "stays"])) == [("stays", "stays")]
    assert told == [("dies", -9, True), ("dies", -9, True), ("dies", -9, False)]


class Lost(LocalEngine):
    """An engine whose processes all die, each time."""

    def run(self, function: Callable[..., object], items: Sequence[object], *, gpus: int = 0) -> Iterator[Any]:
        for item in items:
            assert self._lost is not None
            self._lost(item, -9, True)
            self._lost(item, -9, False)
        return iter(())


def test_what_lost_processes_leave_is_an_error_that_says_which(
    store: Store,
    on_two: SampleOptions,
    make_workspace: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(node_run, "LocalEngine", Lost)
    workspace = made(store, make_workspace)
    message = (
        r"4 generators are left, because processes were lost \(cpu, process 1 was ended by signal 9; cpu, process 2"
    )
    with pytest.raises(CommunityForensicsError, match=message):
        sample(workspace, on_two)
    assert "cpu, process 1: its process was ended by signal 9: it is not started again; the others go on" in " ".join(
        capsys.readouterr().err.split()
    )


def test_all_processes_map_one_file_of_prompts(
    store: Store, on_two: SampleOptions, make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    workspace = made(store, make_workspace)
    pending = node_run.prepare(workspace, on_two)
    path = node_run._saved_prompts(pending, tmp_path / "prompts.arrow")
    assert path is not None
    mapped = node_run.prepare(workspace, on_two, path)
    assert mapped.prompts[1].digest == pending.prompts[1].digest
    assert list(PromptTable.mapped(path).rows()) == list(PromptTable.read(workspace).rows())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": "all", "device": "auto"}, "this machine has no GPU"),
        ({"devices": "cpu"}, "is not of a known form"),
        ({"devices": "cpu:2", "device": "cpu"}, "--devices cpu:2 and --device cpu: give one of them"),
    ],
)
def test_devices_that_are_not_there_or_named_twice_are_refused(
    options: SampleOptions, changes: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageError, match=message):
        sample(Workspace.open(tmp_path), dataclasses.replace(options, **changes))  # type: ignore[arg-type]


def test_several_processes_of_a_launcher_do_not_each_take_all_devices(
    on_two: SampleOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="--ntasks-per-node=1"):
        sample(Workspace.open(tmp_path), dataclasses.replace(on_two, shard="auto"))


def test_a_generator_that_is_fetched_to_help_with_is_not_fetched_again_while_it_is_sampled(
    store: Store, on_two: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    """Fetching it again would replace the files that the child reads."""
    pending = supervisor.prepare(made(store, make_workspace), on_two)

    class Helping:
        """Names the first generator that is not left out, however often it was named."""

        def next(self, without: Collection[str]) -> PendingGenerator | None:
            return next((one for one in pending.generators if one.entry.generator not in without), None)

    run = object.__new__(supervisor._ShardRun)
    run._helping, run._ahead, run._known, run._pending = Helping(), set(), {}, pending  # type: ignore[assignment]
    run._store = SimpleNamespace(lacking=lambda _: set())  # type: ignore[assignment]
    chosen = [run.to_help_with() for _ in range(len(NAMES) + 1)]
    assert len({one.entry.generator for one in chosen if one is not None}) == len(NAMES)
    assert chosen[-1] is None
