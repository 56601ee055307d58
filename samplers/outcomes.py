"""The outcome: how sampling one generator ended, in `outcomes/<org>--<name>.json`.

Whether a generator is finished is known from its rows. The outcome adds what rows cannot tell: the reason of a failure,
how often it failed, the last lines of the child's standard error, and the seconds of each phase. Failures that may have
been the machine's fault (`TRANSIENT`) are tried again by the next run; the third failure without progress in between
becomes a quarantine. All other failures, and quarantined generators, are sampled again with `--retry-failed` only.
"""

import dataclasses
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, get_args

from crawler.reasons import Reason
from workspace.atomic import write_json
from workspace.errors import ChangedElsewhereError, UsageError, in_one_line
from workspace.layout import Workspace, generator_name
from workspace.sandbox.walls import Walls

Status = Literal[
    "done",  # the number of images is reached
    "exhausted",  # all tries were used before that
    "incompatible",  # another kind of generator than the catalogue says
    "fetch-failed",  # its files could not be downloaded, or differ from the catalogue's
    "load-failed",  # its files do not make a complete pipeline
    "sample-failed",  # its pipeline raised an error
    "out-of-memory",  # even one image at a time does not fit
    "crashed",  # the sampling process died
    "hung",  # a phase took longer than --timeout
    "misbehaved",  # the sampling process sent what no honest one sends
    "not-reproducible",  # an image is damaged, and this device or these library versions make another one
    "quarantined",  # failed three times without progress
]

#: Phases of a generator whose seconds are counted: downloading and verifying its files, mostly while the previous
#: generator is sampled; idle, waiting for them; then the phases of the child.
PHASES = ("fetch", "verify", "idle", "load", "sample", "decode", "check", "encode", "write")

#: Phases in which the device works.
BUSY = frozenset({"sample", "decode", "check"})

#: Statuses that the child may report; the others are found by the supervisor.
OF_CHILD: frozenset[str] = frozenset(
    {"done", "exhausted", "incompatible", "load-failed", "sample-failed", "out-of-memory"}
)

#: Statuses that are no failures: there is nothing to retry.
SUCCEEDED: frozenset[str] = frozenset({"done", "exhausted"})

#: Failures that may not happen again: another process took the memory, a driver crashed, somebody killed the process.
TRANSIENT: frozenset[str] = frozenset({"crashed", "hung", "out-of-memory"})

#: Failures without progress in between after which a generator is quarantined.
QUARANTINE_AFTER = 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How sampling one generator at one revision ended."""

    model_name: str
    revision: str
    further_revision: bool = False
    """As in the catalogue."""
    round: int = 1
    """The last round that asked for images of it."""
    status: Status
    detail: str | None = None
    reason: Reason | None = None
    """Why it is incompatible, in the catalogue's terms."""
    attempts: int = 1
    """Runs that sampled it, whether they failed or not."""
    failures: int = 0
    """Failures in a row without progress in between."""
    kept: int = 0
    """Distinct images kept."""
    tries: int = 0
    """Images sampled, kept or rejected."""
    timed: int = 0
    """Images sampled in the seconds below: those of the last attempt."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase (`PHASES`)."""
    walls: Walls = ()
    """The walls of the sandbox that stood around it (workspace/sandbox/walls.py); none where it was not sampled."""
    stderr: tuple[str, ...] = ()
    """The last lines of the child's standard error, where it failed."""
    log: str | None = None
    """The file with all that the child printed, relative to the workspace; None: it printed nothing, or succeeded."""

    @property
    def generator(self) -> str:
        """Its name in the workspace."""
        return generator_name(self.model_name, self.revision, self.further_revision)

    @property
    def failed(self) -> bool:
        """Whether images are missing that another attempt could give."""
        return self.status not in SUCCEEDED

    @property
    def end(self) -> str:
        """The status, with the reason where there is one, such as `incompatible: needs-other-input`."""
        return f"{self.status}: {self.reason}" if self.reason is not None else self.status


def final_status(kept: int, images: int, tries: int) -> tuple[Status, str | None]:
    """Status and detail of a finished generator with `kept` of the `images` requested."""
    return ("done", None) if kept >= images else ("exhausted", f"{kept} of {images} images after {tries} tries")


def with_history(outcome: Outcome, previous: Outcome | None) -> Outcome:
    """`outcome` with the attempts and failures of `previous` counted.

    A previous outcome of another revision is ignored. The third failure without progress becomes a quarantine.
    """
    if previous is not None and previous.revision != outcome.revision:
        previous = None
    failures = (previous.failures if previous and outcome.tries <= previous.tries else 0) + outcome.failed
    attempts = (previous.attempts if previous else 0) + 1
    if outcome.failed and failures >= QUARANTINE_AFTER:
        last = f"{outcome.status}: {outcome.detail}" if outcome.detail else outcome.status
        detail = f"failed {failures} times without progress; the last failure: {last}"
        outcome = dataclasses.replace(outcome, status="quarantined", detail=detail)
    return dataclasses.replace(outcome, failures=failures, attempts=attempts)


def read_outcome(workspace: Workspace, generator: str) -> Outcome | None:
    """The outcome of a generator; None before it was sampled. Raises `UsageError` for a file that is no outcome."""
    path = workspace.outcome_of(generator)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        reason = values.get("reason")
        known = {
            "stderr": tuple(values["stderr"]),
            "walls": tuple(values.get("walls", ())),
            "reason": Reason(reason) if reason is not None else None,
        }
        outcome = Outcome(**{**values, **known})
        if outcome.status not in get_args(Status):
            raise ValueError(f"unknown status {outcome.status!r}")
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged or of another version: {in_one_line(error)}; remove it to sample that generator again"
        ) from error
    return outcome


def write_outcome(workspace: Workspace, outcome: Outcome) -> None:
    """Write an outcome; it replaces the previous one, whose log is removed."""
    write_json(workspace.outcome_of(outcome.generator), dataclasses.asdict(outcome))
    if outcome.log is None:
        with suppress(OSError):
            workspace.stderr_of(outcome.generator).unlink()
    if workspace.remote is not None:
        # What another process recorded meanwhile counts.
        with suppress(ChangedElsewhereError):
            workspace.remote.send(outcome.generator)
