"""How many generators of a shard failed, and whether that is more than `--fail-above` allows."""

import math
from collections.abc import Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from samplers.outcomes import read_outcome
from workspace.layout import Workspace

if TYPE_CHECKING:
    from samplers.running.supervisor import Report


@dataclass(frozen=True)
class FailedShare:
    """Generators of a shard that failed, of so many."""

    failed: Set[str]
    generators: int

    @classmethod
    def of(cls, workspace: Workspace, report: "Report") -> "FailedShare":
        """Those that failed in a run, or before and were not tried again, or in another process meanwhile."""
        own = {one.entry.generator for one in report.pending.generators}
        failed = {one.generator for one in report.outcomes if one.failed and one.generator in own}
        failed |= report.pending.skipped.keys()
        for generator in report.others:
            outcome = read_outcome(workspace, generator)
            if outcome is not None and outcome.failed:
                failed.add(generator)
        pending = report.pending
        return cls(failed, pending.finished + len(pending.skipped) + len(pending.generators))

    def is_above(self, share: Fraction) -> bool:
        """Whether more failed than that share of them."""
        return len(self.failed) > share * self.generators

    def message(self) -> str:
        """One line that says how many failed, where to read why, and which share would accept them."""
        percent = math.ceil(Fraction(len(self.failed) * 100, self.generators))
        noun = "generator" if self.generators == 1 else "generators"
        return (
            f"{len(self.failed):,} of {self.generators:,} {noun} failed: `cf-status` names each, with what to do "
            f"(exit code 3; --fail-above {percent}% accepts as many)"
        )
