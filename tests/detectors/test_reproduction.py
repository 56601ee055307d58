"""Every command of docs/reproduction.md runs with --dry-run, on small data in the places that the page names."""

import csv
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from detectors import commands
from detectors.data.index import Index
from detectors.models.registry import resolve
from detectors.options import TrainOptions
from detectors.protocols.folds import folds
from detectors.run import Run
from detectors.training.stage import recipe_of
from tests.docs.pages import DOCS
from tests.scale import scaled
from workspace import command_line
from workspace.layout import Workspace

PAGE = (DOCS / "reproduction.md").read_text()
#: Whole lines, and commands inside tables and sentences.
COMMANDS = list(dict.fromkeys(re.findall(r"(?:^|`)(cf-detect (?:train|evaluate|study|attribute) [^`\n]*)", PAGE, re.M)))
TESTED = {words[2] for words in map(str.split, COMMANDS) if words[1] in ("evaluate", "attribute")}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every dataset that the page names, and a crawl of one's own as a table of images."""
    root = tmp_path_factory.mktemp("reproduction")
    names = {name for command in COMMANDS for name in re.findall(r"--data (\S+)", command)}
    seed = 0
    for name in sorted(names):
        for split in ("train", "test"):
            for generator in range(4):
                for label in ("0_real", "1_fake"):
                    seed += 1
                    picture(root / name.lstrip("/") / split / f"{split}{generator}" / label / "0.png", seed)
    with (root / "own.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "generator", "architecture", "real_source", "split"])
        for number in range(48):
            picture(root / f"{number}.png", 1000 + number)
            split, kind = ("test" if number // 2 % 4 == 0 else "train"), ("GAN" if number % 12 == 3 else "LatDiff")
            about = [f"g{number % 12}-{split}", kind] if number % 2 else ["", ""]
            rows.writerow([f"{number}.png", number % 2, *about, "LAION" if number % 3 else "COCO", split])
    return root


@pytest.fixture(scope="module")
def workspace(place: Path) -> Workspace:
    """With a run of every detector that the page evaluates."""
    space = Workspace.open(place / "workspace")
    index = Index.open([str(place / "own.csv")], space)
    for name in TESTED:
        # The same kind of network, of a few thousand weights.
        spec = resolve("ufd-nn:9") if name == "ufd-nn" else resolve(name, {"size": "toy"})
        Run.open(space, recipe_of(index, folds(index, "split", 0)[0], spec, TrainOptions()))
    return space


def test_the_page_has_commands_of_all_kinds() -> None:
    assert len(COMMANDS) > 20
    assert {command.split()[1] for command in COMMANDS} == {"train", "evaluate", "study", "attribute"}
    studies = {command.split()[2] for command in COMMANDS if command.split()[1] == "study"}
    assert studies == {"generators", "images", "architectures", "backbone", "freezing", "pairing", "iterations"}


def kind(command: str) -> tuple[str, ...]:
    """Its name, and of a study which one: detectors differ in their names here, as all are the same kind of network."""
    _, name, what, *_ = command.split()
    return (name, what) if name == "study" else (name,)


#: One command of each kind, and with `make soak` all of them.
KINDS = list({kind(command): command for command in COMMANDS}.values())


@pytest.mark.parametrize("command", scaled(KINDS, COMMANDS))
def test_every_command_runs_dry(
    command: str, place: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = command_line.command_group("test")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"detectors.commands.{module.name}").register(app)
    monkeypatch.chdir(place)
    words = [word.replace("/data/", f"{place}/data/") for word in shlex.split(command)[1:]]
    words += ["--dry-run", "--workspace", str(workspace.root)]
    if "--data" not in words:
        words += ["--data", str(place / "own.csv")]
    if words[1] == "images":  # of a workspace it is known from the downloads
        words += ["--popular", "g3-train,g5-train,g7-train"]
    if words[0] in ("train", "study") and words[1] != "ufd-nn:9":  # the same kind of network, of a few thousand weights
        words += ["--set", "size=toy"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, f"{ended.output} {ended.exception}"
    assert ended.output
