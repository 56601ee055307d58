"""Training a detector: it learns, is found again, and ends with the same weights wherever it was killed."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from detectors.models.detector import load
from detectors.options import TrainOptions
from detectors.run import Run
from detectors.training.checkpoints import Checkpoints
from detectors.training.log import TrainingStep
from detectors.training.stage import prepare, trained
from tests.detectors.training import runs
from tests.detectors.training.worlds import pixels, world
from tests.forking import Server
from tests.scale import SOAK, scaled
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The run, trained in one piece in this process."""
    return runs.run(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def server():
    return Server("tests.detectors.training.runs", "detectors.training.loop", "sklearn.linear_model")


def weights(run):
    return hashlib.sha256(run.weights.read_bytes()).hexdigest()


def test_a_finished_run_has_weights_thresholds_and_a_row_a_step(finished):
    described = finished.described()
    assert described["steps"] == runs.STEPS
    assert {"threshold", "threshold_fpr5", "temperature", "validation_auroc", "input"} <= set(described)
    steps = records.read(finished.training, TrainingStep)
    assert [step.step for step in steps] == list(range(1, runs.STEPS + 1))
    assert [step.step for step in steps if step.validation_auroc is not None] == [4, 8, 10]
    assert not finished.state.exists()


def test_it_learns(tmp_path):
    run = runs.run(tmp_path, steps=40)
    assert run.described()["validation_auroc"] > 0.9
    detector = load(run, "cpu")
    logits = detector.logits([pixels(0, 5000), pixels(None, 5000), pixels(1, 5001), pixels(None, 5001)])
    assert logits[0] > logits[1]
    assert logits[2] > logits[3]
    assert detector.features([pixels(0, 1)]).shape == (1, 48)


def test_the_same_command_finds_the_finished_run(finished, monkeypatch):
    monkeypatch.setattr("detectors.training.stage._train_network", None)
    before = weights(finished)
    again = runs.run(finished.folder.parents[1])
    assert again == Run.read(finished.folder)
    assert weights(again) == before


def test_other_settings_are_another_run(finished):
    index, fold = world(each=6)
    workspace = Workspace(finished.folder.parents[1])
    for options in (runs.options(lr=1e-4), replace(runs.options(), seed=2), runs.options(steps=11)):
        assert prepare(workspace, index, fold, "tiny", options).run.name != finished.name
    other = replace(fold, train=fold.train[1:])
    assert prepare(workspace, index, other, "tiny", runs.options()).run.name != finished.name


def test_any_number_of_workers_gives_the_same_weights(finished, tmp_path):
    index, fold = world(each=6)
    run = trained(Workspace.open(tmp_path), index, fold, "tiny", replace(runs.options(), workers=3))
    assert weights(run) == weights(finished)


def test_killed_at_random_places_it_ends_with_the_same_weights(finished, tmp_path, server):
    """kill -9 at some image of each attempt, which is somewhere in a step, a validation or a saved state."""
    chance = random.Random(7)
    for _ in range(scaled(1, 20)):
        process = server.start(runs.run_killed_at, tmp_path, chance.randint(2, 70))
        process.join(400)
        assert process.exitcode in (-signal.SIGKILL, 0)
    run = runs.run(tmp_path)
    assert run.name == finished.name
    assert weights(run) == weights(finished)
    assert [step.step for step in records.read(run.training, TrainingStep)] == list(range(1, runs.STEPS + 1))


def test_interrupted_it_saves_its_state_and_continues_from_there(finished, tmp_path, server):
    process = server.start(runs.run_as_command, tmp_path)
    folder = tmp_path / "detect" / finished.name
    deadline = time.monotonic() + 60
    while not (folder / "recipe.toml").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGTERM)
    process.join(100)
    if process.exitcode == 75:  # it was not finished already
        saved = sorted(path.name for path in (folder / "state").glob("*"))
        assert len(saved) <= 1
    run = runs.run(tmp_path)
    assert weights(run) == weights(finished)


def as_if_unfinished(checkpoints, restore=Checkpoints.restore):
    progress, log = restore(checkpoints)
    return {**progress, "step": 9}, log


def test_a_damaged_state_is_named_and_the_one_before_is_used_for_the_same_row_groups(
    finished, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patched:
        patched.setattr("detectors.training.stage._finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runs.run(tmp_path, save_minutes=1e-9)
    run = Run.read(tmp_path / "detect" / finished.name)
    states = sorted(run.state.glob("step-*"))
    assert [state.name for state in states] == ["step-00000009", "step-00000010"]
    index, fold = world(each=6, groups=7)
    with monkeypatch.context() as patched:
        patched.setattr("detectors.training.loop.Checkpoints.restore", as_if_unfinished)
        with pytest.raises(CommunityForensicsError, match="the images lie in other row groups than when the state in"):
            trained(Workspace.open(tmp_path), index, fold, "tiny", runs.options())
    (states[-1] / "model.safetensors").write_bytes(b"damaged")
    again = runs.run(tmp_path)
    assert f"{states[-1]} cannot be used" in capsys.readouterr().err
    assert weights(again) == weights(finished)


def test_a_loss_that_is_no_number_ends_the_run_with_a_reason(tmp_path):
    with pytest.raises(CommunityForensicsError, match=r"the loss is (nan|inf) at step \d+, .*set a lower lr"):
        runs.run(tmp_path, lr=1e30, clip=0.0, warmup=0.0)


def test_images_that_do_not_decode_are_counted_and_skipped(tmp_path):
    index, fold = world(each=6, damaged=(0, 30))
    run = trained(Workspace.open(tmp_path), index, fold, "tiny", runs.options(steps=4))
    assert run.described()["skipped"] > 0
    assert set(index.unread) <= {0, 30}
    first = min(index.unread)
    count, named = index.unread_lines(1)
    assert count.startswith(f"images that could not be read and are left out: {len(index.unread)}")
    assert named.startswith(f"  {index.table.column('locator')[first].as_py()}: ")


def test_training_without_validation_images_says_that_nothing_is_known(tmp_path):
    index, fold = world(each=6)
    fold = replace(fold, validation=np.empty(0, np.int64))
    described = trained(Workspace.open(tmp_path), index, fold, "tiny", runs.options(steps=2)).described()
    assert described["validation_auroc"] is None
    assert described["threshold"] is None


def test_a_run_that_another_process_trains_is_left_to_it(tmp_path):
    from detectors.training.stage import train
    from engines.claims import claims_of

    index, fold = world(each=6)
    workspace = Workspace.open(tmp_path)
    prepared = prepare(workspace, index, fold, "tiny", runs.options())
    with (
        claims_of(workspace, "detect") as claims,
        claims.claim(prepared.run.name),
        pytest.raises(CommunityForensicsError, match="another process trains tiny-"),
    ):
        train(prepared, workspace, index, fold, runs.options())


def test_apn_trains_too(tmp_path):
    """Its estimator has an optimiser of its own."""
    whole = runs.run(tmp_path, model="apn", steps=2, size="toy", **{"apn.proposals": 3}, augmentation="crop")
    assert whole.described()["steps"] == 2


def test_published_weights_are_a_run_without_training(finished, tmp_path):
    """Neither what training would start from nor training images are asked for: the data may be all test."""
    index, fold = world(each=6)
    fold = replace(fold, train=fold.train[:0], validation=fold.train[:0])
    options = TrainOptions(
        device="cpu", workers=1, settings={"weights": str(finished.weights), "start": "org/unreachable"}
    )
    run = trained(Workspace.open(tmp_path), index, fold, "tiny", options)
    assert run.recipe.steps == 0
    assert run.recipe.settings["start"] == "none"
    assert weights(run) == weights(finished)
    images = [pixels(0, 1), pixels(None, 1)]
    assert np.array_equal(load(run, "cpu").logits(images), load(finished, "cpu").logits(images))


def test_a_frozen_backbone_is_not_written_again_and_is_needed_to_load(finished, tmp_path):
    index, fold = world(each=6)
    start = tmp_path / "start.safetensors"
    start.write_bytes(finished.weights.read_bytes())
    options = runs.options(steps=2, freeze=True, start=str(start))
    run = trained(Workspace.open(tmp_path / "workspace"), index, fold, "tiny", options)
    with safe_open(run.weights, "np") as file:
        assert sorted(file.keys()) == ["head.bias", "head.weight"]
    image = [pixels(0, 1)]
    np.testing.assert_array_equal(load(run, "cpu").features(image), load(finished, "cpu").features(image))
    broken = runs.options(steps=2, freeze=True, start=str(tmp_path / "broken.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(UsageError, match="cannot be read as weights"):
        trained(Workspace.open(tmp_path / "workspace"), index, fold, "tiny", broken)
    assert len(list((tmp_path / "workspace" / "detect").glob("tiny-*"))) == 1
    start.write_bytes(b"other")
    with pytest.raises(UsageError, match="put the former files there"):
        load(run, "cpu")


def test_a_missing_file_of_weights_is_one_line(tmp_path):
    index, fold = world(each=6)
    with pytest.raises(UsageError, match=r"weights=\./no\.pth: there is no such file or folder"):
        prepare(Workspace.open(tmp_path), index, fold, "tiny", runs.options(weights="./no.pth"))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_give_the_scores_of_one(finished, tmp_path, server):
    """Not only close: a batch is the same micro-batches, whose gradients are added in the same order."""
    port = free_port()
    processes = [server.start(runs.run_as_one_of, tmp_path, rank, 2, port) for rank in range(2)]
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0, 0]
    run = Run.read(tmp_path / "detect" / finished.name)
    images = [pixels(generator, 7000 + number) for number in range(4) for generator in (None, 0, 3)]
    one, two = (load(each, "cpu").logits(images) for each in (finished, run))
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
    assert weights(run) == weights(finished)
    assert run.described()["validation_auroc"] == finished.described()["validation_auroc"]


@pytest.mark.skipif(not SOAK, reason="make soak: each of three interpreters imports torch")
def test_accelerate_launch_gives_the_scores_of_one(finished, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"from tests.detectors.training import runs\nruns.run({str(tmp_path)!r})\n")
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    options = ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]
    environment = os.environ | {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{Path.cwd()}"}
    ended = subprocess.run([*command, *options, str(script)], env=environment, capture_output=True, timeout=500)
    assert ended.returncode == 0, ended.stderr.decode()
    assert weights(Run.read(tmp_path / "detect" / finished.name)) == weights(finished)
