"""The study's loader, training step and evaluation, unmodified, on what cf-publish and cf-export make."""

import math
import socket
from pathlib import Path
from typing import Any

import pytest

from tests_reference.conftest import DATASET, Judge, Programs

STEPS = 10
#: The sizes of this machine, and the model that takes the smaller images.
SIZES = ("--gpus", "1", "--cpus-per-gpu", "1", "--batch_size", "8", "--input_size", "224")


class Study:
    """The study's two programs, in the environment that torchrun makes for one process."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        one = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        # Compiling takes longer than the steps.
        self._programs = Programs(programs.environment | one | {"TORCH_COMPILE_DISABLE": "1"})
        self._folder = folder

    def run(self, script: str, *arguments: object) -> dict[str, list[Any]]:
        """What it logs."""
        saved = ("--cache_dir", self._folder / "cache", "--save_path", self._folder / "model" / "detector.pt")
        words = (script, *SIZES, *saved, *arguments)
        logged: dict[str, list[Any]] = self._programs.theirs("study.py", "study", self._folder / script, *words)
        return logged

    @property
    def checkpoint(self) -> Path:
        """What train.py has written after its first epoch."""
        return self._folder / "model" / "checkpoints" / "checkpoint_0.pt"

    def evaluated(self, *data: object) -> dict[str, dict[str | None, float]]:
        """AP and Acc of each generator by name, and of None the mean, as eval.py computes them of the checkpoint."""
        logged = self.run("eval.py", "--ckpt_path", self.checkpoint, *data)
        tables = {kind: dict(logged[f"{kind}/separate_test"][0]) for kind in ("AP", "Acc")}
        return {
            kind: {
                None if name == f"Mean{kind}/test" else name.removeprefix(f"{kind}/"): value
                for name, value in table.items()
            }
            for kind, table in tables.items()
        }


@pytest.fixture(scope="module")
def training(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, list[Any]]]:
    """The study's training on the published dataset, and what it logged."""
    study = Study(programs, tmp_path_factory.mktemp("study"))
    data = ("--huggingface_train_repo", DATASET, "--hf_split_train", "Systematic+Manual+Real", "--val_frac", "0.1")
    steps = ("--train_itrs", STEPS, "--warmup_frac", "0.2", "--lr", "1e-4", "--use_amp")
    return study, study.run("train.py", *data, *steps)


@pytest.mark.timeout(1800)
def test_the_training_step_runs_on_the_published_dataset(training: tuple[Study, dict[str, list[Any]]]) -> None:
    study, logged = training
    assert len(logged["Loss (per itr)"]) == STEPS
    assert all(math.isfinite(loss) for loss in logged["Loss (per itr)"])
    # Random pieces of the published rows have both labels.
    assert 0 < logged["AP/Val"][0] <= 1
    assert study.checkpoint.is_file()


def _compare(theirs: dict[str, dict[str | None, float]], ours: dict[str, dict[str | None, float]]) -> None:
    for kind in ("AP", "Acc"):
        assert ours[kind] == pytest.approx(theirs[kind], abs=1e-6), kind
    values = theirs["AP"].values()
    assert all(0 <= value <= 1 for value in values)
    # Where all are right, or none is, every way to compute it gives the same.
    assert len({round(value, 4) for value in values}) > 3


@pytest.mark.timeout(1800)
def test_the_evaluation_gives_the_numbers_of_ours_on_the_published_dataset(
    training: tuple[Study, dict[str, list[Any]]], judged: Judge
) -> None:
    study, _ = training
    theirs = study.evaluated("--huggingface_test_repo", DATASET)
    assert len(theirs["AP"]) == 8 + 1
    _compare(theirs, judged("cf-vit-s-224", DATASET, "--set", f"weights={study.checkpoint}"))


@pytest.mark.timeout(1800)
def test_the_evaluation_gives_the_numbers_of_ours_on_an_exported_tree(
    training: tuple[Study, dict[str, list[Any]]],
    programs: Programs,
    workspace: Path,
    judged: Judge,
    tmp_path: Path,
) -> None:
    study, _ = training
    # The name of the split is what our evaluation knows the test by; the study's code is given the folder itself.
    tree = tmp_path / "tree" / "test"
    programs.ours("cf-export", tree, "--layout", "real-fake", "--split", "test", "--workspace", workspace)
    theirs = study.evaluated("--huggingface_test_repo", "", "--additional_test_data", tree)
    assert len(theirs["AP"]) == 8 + 1
    _compare(theirs, judged("cf-vit-s-224", tree.parent, "--set", f"weights={study.checkpoint}"))
