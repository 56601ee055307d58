import contextlib
import dataclasses
import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from crawler.catalog import Hyperparameters
from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.outcomes import Outcome, read_outcome, write_outcome
from samplers.running.supervisor import Report, sample
from samplers.running.worker import SamplingError
from samplers.sample import read_samples
from tests.samplers.conftest import BASE, CHECKER, CLASSES, ENDLESS, FINETUNE, NAN, PIXELS
from tests.samplers.inotify import Watch
from tests.samplers.inputs import PROMPTS, build, entry_of, files_of
from tests.samplers.processes import under_fork_server
from workspace.errors import UsageError
from workspace.identity import seed_of, sha256_of_file
from workspace.layout import Workspace

MakeWorkspace = Callable[..., Workspace]
ENDLESSLY = Hyperparameters(num_inference_steps=1_000_000)


@pytest.fixture(scope="module")
def sampled(store: Store, hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Report]:
    """One run over one generator of each task, with another that yields NaN."""
    from tests.samplers.inputs import write_catalog, write_prompts

    workspace = Workspace.open(tmp_path_factory.mktemp("workspace"))
    names = (BASE, PIXELS, CLASSES, NAN)
    write_catalog(workspace, [entry_of(store, name, rank) for rank, name in enumerate(names, start=1)])
    write_prompts(workspace, PROMPTS)
    weights = tmp_path_factory.mktemp("weights")
    options = SampleOptions(
        images=5, batch_size=2, endpoint=hub.endpoint, weights_dir=weights, device="cpu", timeout=100
    )
    return workspace, sample(workspace, options)


def test_every_generator_gives_the_requested_number_of_images(sampled: tuple[Workspace, Report]) -> None:
    workspace, report = sampled
    ends = {outcome.model_name: (outcome.status, outcome.kept) for outcome in report.outcomes}
    assert ends == {BASE: ("done", 5), PIXELS: ("done", 5), CLASSES: ("done", 5), NAN: ("exhausted", 0)}
    assert all({"audit", "memory", "limits"} <= set(outcome.walls) for outcome in report.outcomes)
    for name in (BASE, PIXELS, CLASSES):
        rows = read_samples(workspace, name)
        assert [row.index for row in rows] == [0, 1, 2, 3, 4]
        assert len(list(workspace.images_of(name).iterdir())) == 5


def test_a_row_describes_the_file_and_the_inputs_of_the_pipeline(sampled: tuple[Workspace, Report]) -> None:
    workspace, _ = sampled
    rows = read_samples(workspace, BASE)
    known = {f"{source}/{number}": text for source, texts in PROMPTS.items() for number, text in enumerate(texts)}
    for row in rows:
        assert row.image.path is not None
        path = workspace.root / row.image.path
        assert (row.status, row.format, row.mode, row.image_name) == ("ok", "PNG", "RGB", path.name)
        assert row.sha256 == sha256_of_file(path)
        with Image.open(path) as image:
            assert image.size == (row.width, row.height)
        assert row.prompt == known[str(row.prompt_id)]
        assert row.real_source == str(row.prompt_id).split("/")[0]
        assert row.seed == seed_of(BASE, row.revision, 0, row.index)
        assert (row.num_inference_steps, row.guidance_scale, row.scheduler) == (2, 7.5, "PNDMScheduler")
        assert (row.device, row.dtype) == ("cpu", "float32")
        assert (row.batch_size, row.call_size) == (2, 2)
        assert row.nsfw_flag is False
        assert row.nsfw_score is not None
        assert row.nsfw_score <= 0
        assert "diffusers=" in row.libraries
    assert {row.real_source for row in rows} == {"photos", "digits"}


def test_generators_without_prompts_get_none(sampled: tuple[Workspace, Report]) -> None:
    workspace, _ = sampled
    assert {(row.prompt, row.prompt_id, row.class_label) for row in read_samples(workspace, PIXELS)} == {
        (None, None, None)
    }
    assert [row.class_label for row in read_samples(workspace, CLASSES)] == [0, 1, 2, 3, 4]


def test_an_image_of_nan_is_a_row_without_pixels(sampled: tuple[Workspace, Report]) -> None:
    workspace, _ = sampled
    rows = read_samples(workspace, NAN)
    assert [row.status for row in rows] == ["nan"] * 10
    assert {(row.image.path, row.sha256, row.nsfw_flag) for row in rows} == {(None, None, None)}
    assert list(workspace.images_of(NAN).glob("*")) == []


def test_a_finished_workspace_is_not_changed_and_needs_no_child(
    sampled: tuple[Workspace, Report], options: SampleOptions, hub: HubProcess
) -> None:
    workspace, _ = sampled
    before = files_of(workspace)
    hub.clear_requests()
    report = sample(workspace, dataclasses.replace(options, images=5, batch_size=2))
    assert (report.pending.finished, report.outcomes) == (4, [])
    assert files_of(workspace) == before
    assert hub.requests() == []


def test_an_outcome_that_an_interruption_prevented_is_written_by_the_next_run(
    sampled: tuple[Workspace, Report], options: SampleOptions
) -> None:
    workspace, _ = sampled
    before = {name: read_outcome(workspace, name) for name in (BASE, NAN)}
    for name in before:
        workspace.outcome_of(name).unlink()
    assert sample(workspace, dataclasses.replace(options, images=5, batch_size=2)).outcomes == []
    for name, former in before.items():
        now = read_outcome(workspace, name)
        assert now is not None
        assert former is not None
        assert now == dataclasses.replace(former, seconds={}, timed=0, walls=())


def test_another_recipe_is_refused(sampled: tuple[Workspace, Report], options: SampleOptions) -> None:
    with pytest.raises(UsageError, match="images was 5, now 6"):
        sample(sampled[0], dataclasses.replace(options, images=6, batch_size=2))


def test_a_flagged_image_never_reaches_the_disk(
    sampled: tuple[Workspace, Report],
    store: Store,
    options: SampleOptions,
    make_workspace: MakeWorkspace,
    tmp_path: Path,
) -> None:
    # A checker whose threshold lies between the scores that the usual one gave: which images it flags is known.
    scores = {row.index: row.nsfw_score or 0.0 for row in read_samples(sampled[0], PIXELS)}
    between = float(np.mean(sorted(scores.values())[2:4]))
    flagged = {index for index, score in scores.items() if score > between}
    assert 0 < len(flagged) < len(scores)
    stricter = f"tests/stricter-checker@{_checker_with(store, tmp_path, lowered_by=between)}"
    workspace = make_workspace(entry_of(store, PIXELS))
    images = workspace.images_of(PIXELS)
    images.mkdir(parents=True)
    with Watch(images) as watch:
        sample(workspace, dataclasses.replace(options, images=5, batch_size=2, safety_checker=stricter))
    rows = read_samples(workspace, PIXELS)
    assert {row.index for row in rows[:5] if row.status == "nsfw"} == flagged
    assert sum(row.status == "ok" for row in rows) == 5
    for row in rows:
        assert (row.status == "nsfw") == (row.nsfw_flag is True) == ((row.nsfw_score or 0) > 0)
        seen = [name for name in watch.names if f"{row.index:08d}" in name]
        assert bool(seen) == (row.status == "ok")
        if row.status == "nsfw":
            assert (row.image.path, row.sha256, row.image_name) == (None, None, None)


def test_without_a_complete_checker_nothing_is_sampled(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace, tmp_path: Path
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    broken = _checker_with(store, tmp_path, without="concept_embeds_weights", name="tests/broken-checker")
    with pytest.raises(SamplingError, match="lacks 1 tensor, such as concept_embeds_weights"):
        sample(workspace, dataclasses.replace(options, safety_checker=f"tests/broken-checker@{broken}"))
    assert files_of(workspace) == {}


def test_a_repository_that_is_no_checker_is_refused(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    with pytest.raises(Exception, match="not a safety checker, it has no"):
        sample(workspace, dataclasses.replace(options, safety_checker=PIXELS))
    assert files_of(workspace) == {}


def test_a_generator_that_hangs_or_crashes_does_not_affect_others(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    store.create("model", "tests/crashing", exist_ok=True)
    endless = store.commit_of(store.repo("model", ENDLESS))
    files = {path: store.blobs.path(file.sha256) for path, file in endless.files.items()}
    store.commit("model", "tests/crashing", add=files, message="copy", date="2024-01-01T00:00:00.000Z")
    workspace = make_workspace(
        entry_of(store, ENDLESS, 1, hyperparameters=ENDLESSLY),
        entry_of(store, "tests/crashing", 2, hyperparameters=ENDLESSLY),
        dataclasses.replace(entry_of(store, FINETUNE, 3), revision="0" * 40),
        entry_of(store, PIXELS, 4),
    )
    # A stopped process is as silent as one that computes forever, and leaves the processor to others.
    signals = [
        threading.Thread(target=_signal_child_of, args=(ENDLESS, workspace, signal.SIGSTOP)),
        threading.Thread(target=_signal_child_of, args=("tests/crashing", workspace, signal.SIGSEGV)),
    ]
    for thread in signals:
        thread.start()
    report = sample(workspace, dataclasses.replace(options, timeout=20))
    for thread in signals:
        thread.join()
    ends = {outcome.model_name: outcome for outcome in report.outcomes}
    assert {name: outcome.status for name, outcome in ends.items()} == {
        ENDLESS: "hung",
        "tests/crashing": "crashed",
        FINETUNE: "fetch-failed",
        PIXELS: "done",
    }
    assert ends[ENDLESS].detail == "nothing happened for 20 s (--timeout)"
    assert "signal 11" in str(ends["tests/crashing"].detail)
    assert len(read_samples(workspace, PIXELS)) == 2
    assert options.weights_dir is not None
    assert list(options.weights_dir.iterdir()) == []


def _signal_child_of(model_name: str, workspace: Workspace, number: signal.Signals) -> None:
    """Stop or end the child while it samples a generator, as a fault of a native library would."""
    log = workspace.logs / "sample-1-of-1.jsonl"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        lines = log.read_text().splitlines() if log.exists() else []
        if any("generator_started" in line and model_name in line for line in lines):
            break
        time.sleep(0.05)
    # By the clock of the processor, whatever else the machine does: starting a child and loading take less.
    while time.monotonic() < deadline:
        for pid in under_fork_server():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if sum(process.cpu_times()[:2]) > 0.8:
                    process.send_signal(number)
                    return
        time.sleep(0.05)


def test_a_failed_generator_needs_retry_failed_and_is_quarantined_after_three_failures(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    entry = dataclasses.replace(entry_of(store, PIXELS), revision="0" * 40)
    workspace = make_workspace(entry)
    assert sample(workspace, options).outcomes[0].status == "fetch-failed"
    skipping = sample(workspace, options)
    assert skipping.outcomes == []
    assert "--retry-failed" in skipping.pending.skipped[PIXELS]
    again = dataclasses.replace(options, retry_failed=True)
    # The second failure, then the third.
    assert sample(workspace, again).outcomes[0].status == "fetch-failed"
    third = sample(workspace, again).outcomes[0]
    assert (third.status, third.attempts, third.failures) == ("quarantined", 3, 3)
    assert sample(workspace, options).pending.skipped[PIXELS].startswith("quarantined")


def test_a_failure_that_may_be_transient_is_tried_again_by_the_next_run(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    entry = entry_of(store, PIXELS)
    workspace = make_workspace(entry)
    crashed = Outcome(model_name=PIXELS, revision=entry.revision, status="crashed", failures=2, attempts=2)
    write_outcome(workspace, crashed)
    (outcome,) = sample(workspace, options).outcomes
    assert (outcome.status, outcome.attempts, outcome.failures) == ("done", 3, 0)


def test_weights_of_a_killed_run_are_removed_even_when_nothing_is_pending(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    sample(workspace, options)
    assert options.weights_dir is not None
    holding = (
        "import sys, os, signal, pathlib; from samplers.weights.process_folder import ProcessFolder; "
        "ProcessFolder(pathlib.Path(sys.argv[1]))"
    )
    kill = "; os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", holding + kill, str(options.weights_dir)], check=False)
    assert len(list(options.weights_dir.iterdir())) > 0
    assert sample(workspace, options).outcomes == []
    assert list(options.weights_dir.iterdir()) == []


def test_rows_of_another_revision_are_not_changed(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    sample(workspace, options)
    before = files_of(workspace)
    moved_on = make_workspace(dataclasses.replace(entry_of(store, PIXELS), revision="0" * 40))
    moved_on.catalog.replace(workspace.catalog)
    report = sample(workspace, options)
    assert "another revision than the catalogue's" in report.pending.skipped[PIXELS]
    assert files_of(workspace) == before


def test_a_failure_of_another_revision_does_not_count(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    write_outcome(workspace, Outcome(model_name=PIXELS, revision="0" * 40, status="crashed", failures=2))
    assert sample(workspace, options).outcomes[0].status == "done"
    recorded = read_outcome(workspace, PIXELS)
    assert recorded is not None
    assert (recorded.status, recorded.failures, recorded.attempts) == ("done", 0, 1)


def test_a_file_that_the_hub_does_not_give_now_is_not_a_failure_of_the_generator(
    store: Store,
    hub: HubProcess,
    options: SampleOptions,
    make_workspace: MakeWorkspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workspace.hub_file.ATTEMPTS", 1)
    # As where all attempts take longer: it must not be offered again and again, or the run would not end.
    monkeypatch.setattr("samplers.assignment.helping._AGAIN_SECONDS", 0.0)
    names = (PIXELS, CLASSES, BASE, FINETUNE)
    workspace = make_workspace(*(entry_of(store, name, rank) for rank, name in enumerate(names, start=1)))
    hub.fail("status", status=500, method="GET", path="^/(hobbyists|tiny-labs)/.*/resolve/")
    try:
        outcomes = sample(workspace, options).outcomes
    finally:
        hub.clear_faults()
    assert sorted((one.model_name, one.status) for one in outcomes) == [
        (name, "fetch-failed") for name in sorted(names)
    ]
    assert list(workspace.outcomes.glob("*")) == []
    assert {outcome.status for outcome in sample(workspace, options).outcomes} == {"done"}


def test_a_workspace_that_cannot_be_written_ends_the_run(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    workspace.images.write_bytes(b"a file where a folder should be")
    with pytest.raises(SamplingError, match="the workspace cannot be written"):
        sample(workspace, options)
    assert read_outcome(workspace, PIXELS) is None


def test_only_must_name_generators_that_can_be_sampled(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    refused = entry_of(store, BASE, 2, status="incompatible", reason="video", reason_detail="it makes films")
    workspace = make_workspace(entry_of(store, PIXELS), refused)
    with pytest.raises(UsageError, match="the catalogue has no such generator"):
        sample(workspace, dataclasses.replace(options, only=("nobody/nothing",)))
    with pytest.raises(UsageError, match="it makes films"):
        sample(workspace, dataclasses.replace(options, only=(BASE,)))


def test_text_generators_without_prompts_are_refused(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, BASE))
    for part in workspace.prompts.rglob("*.parquet"):
        part.unlink()
    with pytest.raises(UsageError, match="run `cf-caption` first"):
        sample(workspace, options)


def _checker_with(
    store: Store,
    folder: Path,
    lowered_by: float = 0.0,
    without: str | None = None,
    name: str = "tests/stricter-checker",
) -> str:
    """A checker like the Hub's with the first threshold moved, or a tensor left out; returns its commit."""
    import torch

    files = store.commit_of(store.repo("model", CHECKER)).files
    weights = torch.load(io.BytesIO(store.blobs.read(files["pytorch_model.bin"].sha256)), weights_only=True)
    weights["concept_embeds_weights"][0] += lowered_by
    if without is not None:
        del weights[without]
    target = folder / name.rsplit("/", maxsplit=1)[-1]
    target.mkdir()
    torch.save(weights, target / "pytorch_model.bin")
    for config in ("config.json", "preprocessor_config.json"):
        (target / config).write_bytes(store.blobs.read(files[config].sha256))
    build(store, name, target)
    return store.commit_of(store.repo("model", name)).id
