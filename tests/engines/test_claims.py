"""Claims of processes: one has a generator, and those that ended or did not run for long have none."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from engines import claims as claims_module
from engines.claims import TakenOverError, claims_of
from workspace import process_folder
from workspace.layout import Workspace

NAME = "org/name"
#: Seconds between two signs of life, where they are waited for.
TOUCH = 0.05


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def _hold(root: Path, ready: object) -> None:
    with claims_of(Workspace(root), "sample") as claims, claims.claim(NAME) as claimed:
        assert claimed
        ready.set()  # type: ignore[attr-defined]
        signal.pause()


def _holder(workspace: Workspace) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(workspace.root, ready))
    process.start()
    assert ready.wait(20)
    return process


def test_a_generator_is_claimed_by_one_process(workspace: Workspace) -> None:
    with claims_of(workspace, "sample") as one, claims_of(workspace, "sample") as other:
        with one.claim(NAME) as first, other.claim(NAME) as second, other.claim("org/another") as third:
            assert (first, second, third) == (True, False, True)
            assert not other.is_free(NAME)
            assert f"process {os.getpid()} on" in other.holder(NAME)
        assert other.is_free(NAME)
        with other.claim(NAME) as claimed:
            assert claimed
    assert not workspace.locks.exists()


def test_the_claim_of_a_killed_process_is_free_at_once(workspace: Workspace) -> None:
    process = _holder(workspace)
    with claims_of(workspace, "sample") as claims:
        assert not claims.is_free(NAME)
        process.kill()
        process.join()
        assert claims.is_free(NAME)
        with claims.claim(NAME) as claimed:
            assert claimed
    assert not workspace.locks.exists()


def test_nothing_of_a_killed_process_is_left_when_another_one_ends(workspace: Workspace) -> None:
    with claims_of(workspace, "sample"):
        process = _holder(workspace)
        process.kill()
        process.join()
    assert not workspace.locks.exists()


def test_the_claim_of_a_stopped_process_is_free_after_a_while_and_it_notices(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claims_of(workspace, "sample") as stopped, stopped.claim(NAME) as claimed:
        assert claimed
        stopped.check(NAME)
        with claims_of(workspace, "sample") as other:
            long_ago = stopped.process.path.stat().st_mtime - process_folder.SILENT_SECONDS - 1
            os.utime(stopped.process.path, (long_ago, long_ago))
            with other.claim(NAME) as taken:
                assert taken
                monkeypatch.setattr(stopped.process, "_touched", stopped.process._touched - 1000)
                with pytest.raises(TakenOverError, match="another one continues"):
                    stopped.check(NAME)
                # It still has its folder, for it may be in the middle of writing to it.
                assert stopped.process.path.exists()


def _check_when_told(root: Path, ready: Any, told: Any, noticed: Any) -> None:
    with claims_of(Workspace(root), "sample") as claims, claims.claim(NAME):
        ready.set()
        told.wait()
        # Its own sign of life comes first: it has waited for longer.
        time.sleep(5 * TOUCH)
        try:
            claims.check(NAME)
        except TakenOverError:
            noticed.set()


def test_a_process_that_gave_a_sign_of_life_after_a_stop_notices_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "TOUCH_SECONDS", TOUCH)
    for module in (claims_module, process_folder):
        monkeypatch.setattr(module, "SILENT_SECONDS", 1.0)
    context = multiprocessing.get_context("fork")
    ready, told, noticed = context.Event(), context.Event(), context.Event()
    process = context.Process(target=_check_when_told, args=(workspace.root, ready, told, noticed))
    process.start()
    assert ready.wait(20)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    with claims_of(workspace, "sample") as other:
        while not other.is_free(NAME):
            time.sleep(TOUCH)
        with other.claim(NAME) as taken:
            assert taken
            # First: it may have been stopped with the lock of the event.
            os.kill(process.pid, signal.SIGCONT)
            told.set()
            process.join(20)
    assert noticed.is_set()


def test_a_process_that_was_stopped_and_lost_nothing_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claims_of(workspace, "sample") as claims, claims.claim(NAME):
        monkeypatch.setattr(claims.process, "_touched", claims.process._touched - 1000)
        claims.check(NAME)


def test_what_a_process_that_was_stopped_gives_back_is_its_own_claim_only(workspace: Workspace) -> None:
    with claims_of(workspace, "sample") as other:
        with claims_of(workspace, "sample") as stopped, stopped.claim(NAME):
            long_ago = stopped.process.path.stat().st_mtime - process_folder.SILENT_SECONDS - 1
            os.utime(stopped.process.path, (long_ago, long_ago))
            taking = other.claim(NAME)
            assert taking.__enter__()
        with claims_of(workspace, "sample") as third, third.claim(NAME) as claimed:
            assert not claimed
        taking.__exit__(None, None, None)
