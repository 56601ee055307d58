"""Upkeep goes beside no stage, whichever of them began first, and where it was interrupted none begins."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from workspace import exclusive
from workspace.errors import CommunityForensicsError, UsageError
from workspace.exclusive import alone, at_work, begin_unfinished, end_unfinished, read_unfinished, upkeep
from workspace.layout import Workspace

_HOLD = """
import sys
from workspace.exclusive import alone, upkeep
from workspace.layout import Workspace
workspace = Workspace.open(sys.argv[1])
with upkeep(workspace) if sys.argv[2] == "upkeep" else alone(workspace, sys.argv[2]):
    print("at work", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(exclusive, "WAIT", 0.3)
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def elsewhere(workspace: Workspace) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts a process that does some work until its input ends."""

    started: list[subprocess.Popen[str]] = []

    def start(work: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(workspace.root), work],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        return process

    yield start
    for process in started:
        with suppress(ValueError):  # its input is closed
            process.communicate("")


def test_upkeep_is_refused_while_a_stage_is_at_work_and_not_after_it_was_killed(
    workspace: Workspace, elsewhere: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    stage = elsewhere("crawling")
    with (
        pytest.raises(CommunityForensicsError, match=rf"at work \(crawling: process {stage.pid}") as refused,
        upkeep(workspace),
    ):
        pass
    assert "\n" not in str(refused.value)
    stage.kill()
    stage.wait()
    with upkeep(workspace):
        pass


def test_a_stage_is_refused_while_upkeep_is_at_work(
    workspace: Workspace, elsewhere: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    process = elsewhere("upkeep")
    with (
        pytest.raises(CommunityForensicsError, match=rf"at work \(upkeep: process {process.pid}"),
        at_work(workspace, "sample"),
    ):
        pass
    process.communicate("")
    with at_work(workspace, "sample"):
        pass


def test_upkeep_that_waits_for_a_stage_does_not_stop_it(
    workspace: Workspace, elsewhere: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    with alone(workspace, "crawling"):
        waiting = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(workspace.root), "upkeep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while not list(workspace.locks.glob("upkeep/process-*")):
            assert waiting.poll() is None
        with alone(workspace, "recipe"):  # as the crawl writes the recipe
            pass
    waiting.communicate(b"")
    assert waiting.returncode == 0


def test_no_stage_begins_where_upkeep_was_interrupted(workspace: Workspace) -> None:
    with upkeep(workspace):
        begin_unfinished(workspace, "cf-remove", names=["org/a"])
    with (
        pytest.raises(CommunityForensicsError, match=r"cf-remove was interrupted in .*: run it again"),
        at_work(workspace, "sample"),
    ):
        pass
    with upkeep(workspace):
        noted = read_unfinished(workspace)
        assert noted is not None
        assert noted["names"] == ["org/a"]
        end_unfinished(workspace)
    with at_work(workspace, "sample"):
        pass


def test_a_damaged_note_of_what_is_unfinished_is_named(workspace: Workspace) -> None:
    workspace.unfinished.write_text("{")
    with pytest.raises(UsageError, match=r"\.unfinished\.json is damaged"), at_work(workspace, "sample"):
        pass
