"""The outcome: how sampling one generator ended, in `outcomes/<org>--<name>.json`.

That a generator is finished is known from its rows; an outcome is what rows cannot say: why it failed, how often, what
the child said last, and where the time went. A failure stays until `--retry-failed`; the third one puts the generator
into quarantine, from which only removing the file releases it.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from workspace.atomic import write_json
from workspace.errors import UsageError
from workspace.layout import Workspace

Status = Literal[
    "done",  # the number of images is reached
    "exhausted",  # every try was spent before
    "incompatible",  # another kind of generator than the catalogue says
    "fetch-failed",  # its files could not be had, or are not what the catalogue says
    "load-failed",  # its files do not make a whole pipeline
    "sample-failed",  # its pipeline raised an error
    "out-of-memory",  # even one image at a time does not fit
    "crashed",  # the child died
    "hung",  # a phase took longer than --timeout
    "quarantined",  # failed three times
]

#: These are ends, not failures: there is nothing to retry.
ENDED_WELL: frozenset[str] = frozenset({"done", "exhausted"})

#: Failures until a generator is left alone.
QUARANTINE_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How sampling one generator at one revision ended."""

    model_name: str
    revision: str
    status: Status
    detail: str | None = None
    attempts: int = 1
    """How often sampling it ended, in whatever way."""
    failures: int = 0
    kept: int = 0
    """Distinct images kept."""
    tries: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase: fetch, verify, load, sample, decode, check, encode, write."""
    stderr: tuple[str, ...] = ()
    """The child's last lines, where it failed."""

    @property
    def failed(self) -> bool:
        """Whether the generator owes images that only another attempt could give."""
        return self.status not in ENDED_WELL


def ending(kept: int, images: int, tries: int) -> tuple[Status, str | None]:
    """Status and detail of a generator that owes nothing any more, with `kept` of the `images` that were wanted."""
    return ("done", None) if kept >= images else ("exhausted", f"{kept} of {images} images after {tries} tries")


def after(former: Outcome | None, now: Outcome) -> Outcome:
    """`now` with the count of attempts carried on from `former`, which may be of another revision and then says
    nothing; a third failure becomes a quarantine."""
    if former is not None and former.revision != now.revision:
        former = None
    failures = (former.failures if former else 0) + now.failed
    attempts = (former.attempts if former else 0) + 1
    if now.failed and failures >= QUARANTINE_AFTER:
        said = f"{now.status}: {now.detail}" if now.detail else now.status
        now = dataclasses.replace(now, status="quarantined", detail=f"failed {failures} times, the last as {said}")
    return dataclasses.replace(now, failures=failures, attempts=attempts)


def read_outcome(workspace: Workspace, model_name: str) -> Outcome | None:
    """How it ended last time; None before the first. Raises `UsageError` when the file is not an outcome."""
    path = workspace.outcome_of(model_name)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        outcome = Outcome(**{**values, "stderr": tuple(values["stderr"])})
        if outcome.status not in get_args(Status):
            raise ValueError(outcome.status)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not an outcome ({error}): remove it to sample that generator again") from error
    return outcome


def write_outcome(workspace: Workspace, outcome: Outcome) -> None:
    """Record an outcome, over the former one."""
    write_json(workspace.outcome_of(outcome.model_name), dataclasses.asdict(outcome))
