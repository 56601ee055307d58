"""The published dataset, the exported trees, and the environment in which the public code runs on them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import pytest_sessionfinish, pytest_unconfigure

__all__ = ["pytest_sessionfinish", "pytest_unconfigure"]

ROOT = Path(__file__).parent.parent
#: As of automake's tests: what was to be tested is not there.
NOTHING_TESTED = 77
#: What `make reference-env` makes, and where the code is cloned to.
REFERENCE = ROOT / ".reference"
CODE = {
    "study": "https://github.com/JeongsooP/Community-Forensics",
    "universal-fake-detect": "https://github.com/WisconsinAIVision/UniversalFakeDetect",
}
DATASET = "forensics-demo/reference"
#: Generators of several kinds; the others train.
HELD_OUT = ("architecture=PixDiff", "name=tongs/Qwen-Image-Little", "name=pixart-petite/PixArt-Sigma-256")


def _missing(name: str) -> str | None:
    if not (REFERENCE / "venv").is_dir():
        return "its environment is not there: make reference-env"
    if not (REFERENCE / name).is_dir():
        return f"its public code is not there: git clone {CODE[name]} .reference/{name}"
    return None


def pytest_sessionstart() -> None:
    why = {name: _missing(name) for name in CODE}
    if all(why.values()):
        lines = "".join(f"\n  {name}: {reason}" for name, reason in why.items())
        pytest.exit(f"nothing was tested, and nothing counts as passed:{lines}", NOTHING_TESTED)


@dataclass(frozen=True)
class Programs:
    """Runs our commands, and drivers of public code, with the environment of a user of one Hub."""

    environment: dict[str, str]

    def ours(self, name: str, *arguments: object) -> str:
        """One of our commands, to its end; what it printed."""
        return self._run([str(Path(sys.executable).with_name(name)), *map(str, arguments)], ROOT)

    def theirs(self, driver: str, code: str, folder: Path, *arguments: object) -> Any:
        """A driver with the public code of this name, in a folder of its own; what it wrote as its outcome."""
        if why := _missing(code):
            pytest.skip(f"{code}: {why}")
        folder.mkdir(parents=True, exist_ok=True)
        python, outcome = REFERENCE / "venv" / "bin" / "python", folder / "outcome.json"
        command = [python, ROOT / "tests_reference" / "drivers" / driver, REFERENCE / code, outcome, *arguments]
        self._run([str(word) for word in command], folder)
        return json.loads(outcome.read_text())

    def _run(self, command: list[str], folder: Path) -> str:
        ended = subprocess.run(
            command, cwd=folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout[-8000:]}"
        return ended.stdout


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's workspace, with some of its generators held out for the evaluation.

    The demo is made once, in demo-run/, and copied.
    """
    from demo.__main__ import zoo_version

    Programs({**os.environ}).ours("python", "-m", "demo", "--no-detect")
    copy = tmp_path_factory.mktemp("reference") / "workspace"
    shutil.copytree(ROOT / "demo-run" / zoo_version() / "workspace", copy, ignore=shutil.ignore_patterns("detect"))
    held_out = [word for choice in HELD_OUT for word in ("--holdout", choice)]
    options = ("--kin", "ignore", "--public-evaluation")
    Programs({**os.environ}).ours("cf-build-manifest", "--workspace", copy, *held_out, *options)
    return copy


@pytest.fixture(scope="session")
def programs(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """The programs of a user of a Hub on which the workspace is published."""
    from localhub.process import HubProcess

    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        home = {"HF_HOME": str(tmp_path_factory.mktemp("home")), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        found = Programs({**os.environ, **hub.environment(), **home})
        found.ours("cf-publish", DATASET, "--workspace", workspace, "--layout", "community-forensics")
        yield found


#: Average precision and accuracy of each generator by name, and of None the mean.
Judge = Callable[..., dict[str, dict[str | None, float]]]


@pytest.fixture
def judged(programs: Programs, tmp_path: Path) -> Judge:
    """Our evaluation of a detector on the test of some data: `judged(model, data, *options of cf-detect train)`."""
    from detectors.results.table import read_results
    from workspace.layout import Workspace

    def judge(model: str, data: object, *options: object) -> dict[str, dict[str | None, float]]:
        own = ("--workspace", tmp_path / "workspace", "--data", data, "--device", "cpu")
        programs.ours("cf-detect", "train", model, *own, *options)
        programs.ours("cf-detect", "evaluate", model, *own)
        rows = read_results(Workspace.open(tmp_path / "workspace")).to_pylist()
        return {
            kind: {
                row["name"]: row["value"]
                for row in rows
                if (row["metric"], row["threshold"], row["part"], row["subset"]) == (*measure, "test", "all")
                and row["scope"] in ("generator", "mean over generators")
            }
            for kind, measure in {"AP": ("AP", None), "Acc": ("balanced accuracy", "0.5")}.items()
        }

    return judge
