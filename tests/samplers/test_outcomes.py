from dataclasses import replace
from pathlib import Path

import pytest

from crawler.reasons import Reason
from samplers.outcomes import Outcome, read_outcome, with_history, write_outcome
from workspace.errors import UsageError
from workspace.layout import Workspace

CRASH = Outcome(model_name="org/name", revision="a" * 40, status="crashed", detail="signal 11", stderr=("boom",))
BAD_REASON = '{"model_name": "a", "revision": "b", "status": "incompatible", "stderr": [], "reason": "ugly"}'
DONE = Outcome(model_name="org/name", revision="a" * 40, status="done")


def test_the_third_failure_is_a_quarantine_with_its_reason() -> None:
    first = with_history(CRASH, None)
    second = with_history(CRASH, first)
    third = with_history(CRASH, second)
    assert [each.status for each in (first, second, third)] == ["crashed", "crashed", "quarantined"]
    assert third.detail == "failed 3 times without progress; the last failure: crashed: signal 11"
    assert (third.failures, third.attempts) == (3, 3)


def test_failures_with_progress_in_between_are_no_quarantine() -> None:
    outcome = None
    for tries in (0, 8, 16, 16):
        outcome = with_history(replace(CRASH, tries=tries), outcome)
    assert outcome is not None
    assert (outcome.status, outcome.failures, outcome.attempts) == ("crashed", 2, 4)
    assert with_history(replace(CRASH, tries=16), outcome).status == "quarantined"


def test_a_success_is_never_a_quarantine() -> None:
    failed_twice = with_history(CRASH, with_history(CRASH, None))
    done = with_history(DONE, failed_twice)
    assert (done.status, done.failures, done.attempts) == ("done", 2, 3)


def test_the_reason_of_an_incompatible_generator_is_kept(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_outcome(workspace, replace(CRASH, status="incompatible", reason=Reason.NO_IMAGE_OUTPUT))
    outcome = read_outcome(workspace, "org/name")
    assert outcome is not None
    assert outcome.reason is Reason.NO_IMAGE_OUTPUT
    assert outcome.end == "incompatible: no-image-output"
    third = with_history(outcome, with_history(outcome, with_history(outcome, None)))
    assert third.end == "quarantined: no-image-output"


def test_another_revision_starts_without_failures() -> None:
    former = Outcome(model_name="org/name", revision="b" * 40, status="crashed", failures=2, attempts=2)
    assert with_history(CRASH, former).status == "crashed"


def test_a_written_outcome_is_read_back(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert read_outcome(workspace, "org/name") is None
    crash = replace(CRASH, walls=("landlock", "seccomp"))
    write_outcome(workspace, crash)
    assert read_outcome(workspace, "org/name") == crash


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stderr": []}', "null", BAD_REASON])
def test_a_damaged_outcome_file_is_refused_with_a_remedy(tmp_path: Path, text: str) -> None:
    workspace = Workspace.open(tmp_path)
    workspace.outcomes.mkdir()
    workspace.outcome_of("org/name").write_text(text)
    with pytest.raises(UsageError, match="remove it"):
        read_outcome(workspace, "org/name")
