"""The outcome: how sampling one generator ended, in `outcomes/<org>--<name>.json`.

That a generator is finished is known from its rows; an outcome is what rows cannot say: why it failed, how often, what
the child said last, and where the time went. What may have been the machine's fault (`PASSING`) is tried again by the
next run; the third failure without a try more in between is quarantine. Everything else, and what is in quarantine,
waits for `--retry-failed`.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, get_args

from crawler.reasons import Reason
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
    "quarantined",  # failed three times without getting on
]

#: Phases of a generator whose seconds are counted: fetching and verifying its files, most of it while the one before is
#: sampled; idle, waiting for them all the same; then what the child does.
PHASES = ("fetch", "verify", "idle", "load", "sample", "decode", "check", "encode", "write")

#: Phases in which the device works.
BUSY = frozenset({"sample", "decode", "check"})

#: These are ends, not failures: there is nothing to retry.
ENDED_WELL: frozenset[str] = frozenset({"done", "exhausted"})

#: Failures that the next run may not meet: another process took the memory, a driver fell over, somebody killed it.
PASSING: frozenset[str] = frozenset({"crashed", "hung", "out-of-memory"})

#: Failures until a generator is left alone.
QUARANTINE_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How sampling one generator at one revision ended."""

    model_name: str
    revision: str
    status: Status
    detail: str | None = None
    reason: Reason | None = None
    """Why it is incompatible, in the catalogue's terms."""
    attempts: int = 1
    """How often sampling it ended, in whatever way."""
    failures: int = 0
    """The last ones, between which it did not get on."""
    kept: int = 0
    """Distinct images kept."""
    tries: int = 0
    timed: int = 0
    """The tries that `seconds` speaks of: those of the last attempt."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase (`PHASES`)."""
    stderr: tuple[str, ...] = ()
    """The child's last lines, where it failed."""

    @property
    def failed(self) -> bool:
        """Whether the generator owes images that only another attempt could give."""
        return self.status not in ENDED_WELL

    @property
    def end(self) -> str:
        """Status, and the reason where there is one, such as `incompatible: needs-other-input`."""
        return f"{self.status}: {self.reason}" if self.reason is not None else self.status


def ending(kept: int, images: int, tries: int) -> tuple[Status, str | None]:
    """Status and detail of a generator that owes nothing any more, with `kept` of the `images` that were wanted."""
    return ("done", None) if kept >= images else ("exhausted", f"{kept} of {images} images after {tries} tries")


def after(former: Outcome | None, now: Outcome) -> Outcome:
    """`now` with the count of attempts carried on from `former`, which may be of another revision and then says
    nothing; a third failure without a try more in between becomes a quarantine."""
    if former is not None and former.revision != now.revision:
        former = None
    failures = (former.failures if former and now.tries <= former.tries else 0) + now.failed
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
        reason = values.get("reason")
        known = {"stderr": tuple(values["stderr"]), "reason": Reason(reason) if reason is not None else None}
        outcome = Outcome(**{**values, **known})
        if outcome.status not in get_args(Status):
            raise ValueError(outcome.status)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} is not an outcome ({error}): remove it to sample that generator again") from error
    return outcome


def write_outcome(workspace: Workspace, outcome: Outcome) -> None:
    """Record an outcome, over the former one."""
    write_json(workspace.outcome_of(outcome.model_name), dataclasses.asdict(outcome))
