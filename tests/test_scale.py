"""Weekly tests: `make test` leaves out what it shows at less cost, and no other test."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
from tests.scale import weekly

def test_small():
    pass

@weekly("test_all.py::{daily}")
def test_large():
    pass
"""


def run(folder: Path, *options: str, daily: str = "test_small", name: str = "") -> tuple[int, str]:
    (folder / "tests").mkdir()
    file = folder / "tests" / "test_all.py"
    file.write_text(TESTS.format(daily=daily))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = weekly\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.scale", "-p", "no:cacheprovider"]
    command += ["-c", str(folder / "pytest.ini"), "--rootdir", str(folder), *options, f"{file}{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout + done.stderr


def test_a_weekly_test_is_left_out_and_counted(tmp_path: Path) -> None:
    code, said = run(tmp_path)
    assert (code, "1 passed, 1 deselected" in said) == (0, True), said


@pytest.mark.parametrize(("options", "name"), [(["-m", "weekly"], ""), ([], "::test_large")])
def test_it_runs_where_it_is_asked_for(tmp_path: Path, options: list[str], name: str) -> None:
    code, said = run(tmp_path, *options, name=name)
    assert (code, "1 passed" in said) == (0, True), said


def test_all_tests_run_with_the_large_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CF_SOAK", "1")
    code, said = run(tmp_path)
    assert (code, "2 passed" in said) == (0, True), said


@pytest.mark.parametrize("daily", ["test_gone", "test_large"])
def test_a_weekly_test_names_one_that_runs_every_day(tmp_path: Path, daily: str) -> None:
    code, said = run(tmp_path, daily=daily)
    assert (code, f"test_all.py::{daily} is no test that runs every day" in said) == (4, True), said
