"""cf-detect evaluate, audit and report, as a user types them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors import cli
from detectors.options import AuditOptions, EvaluateOptions, ReportOptions
from tests.manifests.commands import run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three generators of PNG, and photographs in JPEG."""
    folder, chance = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    lines = ["path,label,generator"]
    for number in range(36):
        name = f"{number}.{('jpg', 'png')[number % 2]}"
        Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name)
        lines.append(f"{name},{number % 2},{f'g{number % 3}' if number % 2 else ''}")
    (folder / "world.csv").write_text("\n".join(lines))
    return folder / "world.csv"


def test_the_shortest_way_to_a_page(data: Path, tmp_path: Path) -> None:
    where = ("--workspace", str(tmp_path), "--data", str(data))
    evaluated = run(cli.main, "evaluate", "shortcut", *where, "--protocol", "generator:3")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "1/3, test, world: AP 1.000 (mean over 1 generators" in evaluated.stdout
    assert "all folds, test, world: AP 1.000 (mean over 3 generators" in evaluated.stdout
    audited = run(cli.main, "audit", *where, "--matched")
    assert audited.returncode == 0, audited.stderr
    assert "world: warning" in audited.stdout
    reported = run(cli.main, "report", *where)
    assert reported.stdout == f"report: {tmp_path / 'report' / 'detect.html'}\n", reported.stderr
    assert (tmp_path / "report" / "detect.html").is_file()


def test_a_dry_run_says_what_would_be_scored_and_writes_no_run(data: Path, tmp_path: Path) -> None:
    where = ("--workspace", str(tmp_path), "--data", str(data))
    done = run(cli.main, "evaluate", "shortcut", *where, "--protocol", "generator:3", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1/3, training:" in done.stdout
    assert not list(tmp_path.glob("detect/shortcut*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "cf-vit-s-384-0123abcd"), "there is no run cf-vit-s-384-0123abcd"),
        (("evaluate", "shortcut", "--protocol", "folds"), "--protocol folds is not one of split, generator:K"),
        (("evaluate", "shortcut", "--transform", "sharpen=3"), "unknown transform 'sharpen'"),
        (("evaluate", "shortcut", "--shard", "3"), "--shard '3' is not of the form"),
        (("evaluate", "shortcut"), "--protocol split: the data has no split"),
        (("report",), "has no scores yet"),
    ],
)
def test_a_mistake_is_said_in_one_line_with_exit_code_2(
    arguments: tuple[str, ...], said: str, data: Path, tmp_path: Path
) -> None:
    done = run(cli.main, *arguments, "--workspace", str(tmp_path), "--data", str(data))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_workspace_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    done = run(cli.main, "audit", "--workspace", str(tmp_path / "typo"))
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize(
    ("command", "options"), [("evaluate", EvaluateOptions), ("audit", AuditOptions), ("report", ReportOptions)]
)
def test_the_help_shows_the_defaults_of_the_options(command: str, options: type) -> None:
    shown = run(cli.main, command, "--help").stdout
    assert "Examples" in shown
    for name in ("protocol", "device", "real", "batch"):
        if command == "evaluate":
            assert f"[default: {getattr(options, name)}]" in " ".join(shown.split())


def test_a_process_ends_without_a_word_of_a_library() -> None:
    """What keeps DuckDB's module to the end of a process that has torch makes it print a page about leaked objects."""
    imports = "import detectors.stage, detectors.studies.stage, detectors.training.stage, torch"
    ended = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
