"""What several supervisors of one command did, each in a process of its own, as one report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samplers.assignment.pending import PendingWork
from samplers.outcomes import Outcome
from samplers.running.supervisor import Report
from workspace.errors import CommunityForensicsError


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """What one supervisor did."""

    outcomes: Sequence[Outcome] = ()
    statuses: Mapping[str, int]
    helped: Sequence[str] = ()
    error: CommunityForensicsError | None = None
    """Why it ended early."""

    @classmethod
    def of(cls, report: Report) -> "PartReport":
        """What is sent of a report: the pending work is large, and known where it is sent."""
        return cls(outcomes=report.outcomes, statuses=report.statuses, helped=report.helped)


class PartReports:
    """The parts of one command, as they come."""

    def __init__(self, pending: PendingWork) -> None:
        """`pending`: what all of them together had to do."""
        self._pending = pending
        self._outcomes: dict[str, Outcome] = {}
        self._statuses: Counter[str] = Counter()
        self._helped: set[str] = set()

    def add(self, part: PartReport) -> None:
        """Take one part in."""
        self._statuses.update(part.statuses)
        self._helped.update(part.helped)
        # A generator may have failed in one process and be done by another.
        for outcome in part.outcomes:
            if outcome.generator not in self._outcomes or not outcome.failed:
                self._outcomes[outcome.generator] = outcome

    def report(self) -> Report:
        """All of them as one."""
        own = [one.entry.generator for one in self._pending.generators]
        others = [name for name in own if name not in self._outcomes]
        helped = sorted(self._helped.difference(own))
        return Report(self._pending, [*self._outcomes.values()], self._statuses, others, helped)
