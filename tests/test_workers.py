"""The processes that `make test` runs the tests in: what happens in them is reported as pytest itself reports it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, sys, time, warnings
import pytest

@pytest.fixture(scope="session")
def shared():
    print("made once")
    yield os.getpid()
    open(os.environ["ENDED"], "a").write(f"{os.getpid()}\\n")

def test_passes(shared, tmp_path):
    assert tmp_path.parent.name.startswith("worker-")
    warnings.warn("a warning of a test")

def test_fails(shared):
    os.system("echo printed by a child")
    assert os.getpid() != shared

def test_kills_its_process():
    os.kill(os.getpid(), 9)

def test_after_it():
    pass

@pytest.mark.skip(reason="there is a reason")
def test_is_skipped():
    pass

@pytest.mark.timeout(1)
def test_hangs():
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_all.py").write_text(TESTS)
    for number in range(5):
        text = f"import time\ndef test_{number}():\n    time.sleep(0.01)\n"
        (tmp_path / f"test_other_{number}.py").write_text(text)
    return tmp_path


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setenv("ENDED", str(folder / "ended"))
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "tests.workers", "--workers", "3", *options]
    command += ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout + done.stderr


def test_every_result_is_reported_once_and_a_process_that_dies_costs_one_test(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = run(folder, monkeypatch)
    assert code == 1
    assert re.search(r"3 failed, 7 passed, 1 skipped, 1 warning in ", output), output
    assert re.search(r"_ test_kills_its_process _+\nits process ended with exit code -9\n", output), output
    assert output.count("UserWarning: a warning of a test") == 1
    assert "printed by a child" in output
    assert "there is a reason" in output
    assert "Timeout (>1.0s) from pytest-timeout" in output
    assert "[100%]" in output


def test_fixtures_are_made_once_for_a_group_and_are_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run(folder, monkeypatch, "-k", "passes or skipped or other")
    assert code == 0, output
    assert len((folder / "ended").read_text().split()) == 1


def test_the_first_failure_ends_the_run_where_that_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run(folder, monkeypatch, "-x", "-k", "test_all")
    assert code == 1
    assert "stopping after 1 failures" in output
    assert "test_after_it" not in output
