from dataclasses import replace
from pathlib import Path

import pytest

from crawler.reasons import Reason
from samplers.outcomes import Outcome, after, read_outcome, write_outcome
from workspace.errors import UsageError
from workspace.layout import Workspace

CRASH = Outcome(model_name="org/name", revision="a" * 40, status="crashed", detail="signal 11", stderr=("boom",))
BAD_REASON = '{"model_name": "a", "revision": "b", "status": "incompatible", "stderr": [], "reason": "ugly"}'
DONE = Outcome(model_name="org/name", revision="a" * 40, status="done")


def test_the_third_failure_is_a_quarantine_that_says_why() -> None:
    first = after(None, CRASH)
    second = after(first, CRASH)
    third = after(second, CRASH)
    assert [each.status for each in (first, second, third)] == ["crashed", "crashed", "quarantined"]
    assert third.detail == "failed 3 times, the last as crashed: signal 11"
    assert (third.failures, third.attempts) == (3, 3)


def test_failures_between_which_it_got_on_are_no_quarantine() -> None:
    outcome = None
    for tries in (0, 8, 16, 16):
        outcome = after(outcome, replace(CRASH, tries=tries))
    assert outcome is not None
    assert (outcome.status, outcome.failures, outcome.attempts) == ("crashed", 2, 4)
    assert after(outcome, replace(CRASH, tries=16)).status == "quarantined"


def test_an_end_that_is_no_failure_never_quarantines() -> None:
    failed_twice = after(after(None, CRASH), CRASH)
    done = after(failed_twice, DONE)
    assert (done.status, done.failures, done.attempts) == ("done", 2, 3)


def test_why_it_is_incompatible_is_kept_in_the_catalogues_terms(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_outcome(workspace, replace(CRASH, status="incompatible", reason=Reason.NO_IMAGE_OUTPUT))
    outcome = read_outcome(workspace, "org/name")
    assert outcome is not None
    assert outcome.reason is Reason.NO_IMAGE_OUTPUT
    assert outcome.end == "incompatible: no-image-output"
    assert after(after(after(None, outcome), outcome), outcome).end == "quarantined: no-image-output"


def test_another_revision_starts_anew() -> None:
    former = Outcome(model_name="org/name", revision="b" * 40, status="crashed", failures=2, attempts=2)
    assert after(former, CRASH).status == "crashed"


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    assert read_outcome(workspace, "org/name") is None
    write_outcome(workspace, CRASH)
    assert read_outcome(workspace, "org/name") == CRASH


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stderr": []}', "null", BAD_REASON])
def test_a_file_that_is_no_outcome_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    workspace = Workspace.open(tmp_path)
    workspace.outcomes.mkdir()
    workspace.outcome_of("org/name").write_text(text)
    with pytest.raises(UsageError, match="remove it"):
        read_outcome(workspace, "org/name")
