"""A failed generator, with what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from samplers.outcomes import SUCCEEDED, TRANSIENT, Outcome, Status
from workspace.layout import Workspace

#: What to do, by status; docs/troubleshooting.md says more.
REMEDIES: Mapping[Status, str] = {
    "incompatible": "nothing: its pipeline is of another kind than the catalogue says",
    "fetch-failed": "check HF_TOKEN, the network and --max-disk, then `cf-sample --retry-failed`; if the repository "
    "changed, crawl again",
    "load-failed": "usually the repository is broken, and nothing can be done; where a package is missing, install it, "
    "then `cf-sample --retry-failed`",
    "sample-failed": "read its log; after an update of diffusers, `cf-sample --retry-failed`",
    "out-of-memory": "use a device with more memory, or a larger --max-memory; the next run tries it again",
    "crashed": "the next run tries it again; if the machine ran out of memory, give the job more",
    "hung": "the next run tries it again; for slow devices use a larger --timeout",
    "misbehaved": "a file of the repository may have run code: read its log, report the repository, and exclude it",
    "not-reproducible": "sample on the kind of device and with the versions that its rows name, or remove its folders "
    "in samples/ and images/ to sample it anew",
    "quarantined": "correct the cause, then `cf-sample --retry-failed`",
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A generator that could not be sampled, or not to its end."""

    generator: str
    end: str
    """The status, with the reason where there is one."""
    detail: str | None
    """What happened, in words."""
    remedy: str
    """What to do."""
    log: str | None
    """What its sampling process printed: a file, relative to the workspace."""
    attempts: int
    """Runs that sampled it."""
    kept: int
    """Images kept."""
    tried_again: bool
    """Whether the next run tries it again by itself."""


def failure_of(workspace: Workspace, outcome: Outcome) -> Failure:
    """The failure that an outcome records."""
    assert outcome.status not in SUCCEEDED
    log = outcome.log if outcome.log is not None and (workspace.root / outcome.log).is_file() else None
    return Failure(
        generator=outcome.generator,
        end=outcome.end,
        # The name stands before it already.
        detail=outcome.detail.removeprefix(f"{outcome.model_name}: ") if outcome.detail else None,
        remedy=REMEDIES[outcome.status],
        log=log,
        attempts=outcome.attempts,
        kept=outcome.kept,
        tried_again=outcome.status in TRANSIENT,
    )
