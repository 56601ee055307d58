"""The words of an outcome are of closed sets, and an outcome that says nothing else says nothing wrong."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import pytest

from samplers.outcomes import (
    BUSY,
    PHASES,
    SUCCEEDED,
    TRANSIENT,
    Outcome,
    Status,
    final_status,
    read_outcome,
    with_history,
    write_outcome,
)
from workspace.errors import UsageError
from workspace.layout import Workspace


def outcome(**changes: object) -> Outcome:
    return Outcome(**{"model_name": "org/name", "revision": "a" * 40, "status": "done", **changes})  # type: ignore[arg-type]


def test_an_outcome_that_names_only_what_it_must() -> None:
    assert asdict(outcome()) == {
        "model_name": "org/name",
        "revision": "a" * 40,
        "further_revision": False,
        "round": 1,
        "log": None,
        "status": "done",
        "detail": None,
        "reason": None,
        "attempts": 1,
        "failures": 0,
        "kept": 0,
        "tries": 0,
        "timed": 0,
        "seconds": {},
        "walls": (),
        "stderr": (),
    }


def test_statuses_and_phases_are_named_once() -> None:
    assert set(get_args(Status)) >= SUCCEEDED | TRANSIENT
    assert (SUCCEEDED & TRANSIENT, len(SUCCEEDED), len(TRANSIENT)) == (frozenset(), 2, 3)
    assert set(PHASES) >= BUSY
    assert PHASES == ("fetch", "verify", "idle", "load", "sample", "decode", "check", "encode", "write")


@pytest.mark.parametrize(
    ("kept", "status", "detail"),
    [(4, "done", None), (5, "done", None), (3, "exhausted", "3 of 4 images after 8 tries")],
)
def test_enough_images_are_done_and_spent_tries_are_exhausted(kept: int, status: str, detail: str | None) -> None:
    assert final_status(kept, 4, 8) == (status, detail)


def test_a_quarantined_generator_that_succeeds_is_done() -> None:
    quarantined = outcome(status="quarantined", failures=3, attempts=3)
    done = with_history(outcome(), quarantined)
    assert (done.status, done.attempts) == ("done", 4)


def test_a_status_of_no_release_is_refused(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_outcome(workspace, replace(outcome(), status="splendid"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="splendid"):
        read_outcome(workspace, "org/name")
