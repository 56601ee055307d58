"""How many generators of a shard failed, and whether that is more than `--fail-above` allows."""

import math
import re
from collections.abc import Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from samplers.outcomes import read_outcome
from workspace.errors import UsageError
from workspace.layout import Workspace

if TYPE_CHECKING:
    from samplers.supervisor import Report

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%|(0?\.[0-9]+|0|1\.0+)", re.ASCII)


def parse_share(text: str) -> Fraction:
    """The share of `--fail-above`: a percentage such as 5%, or a part of one such as 0.05."""
    match = _SHARE.fullmatch(text.strip())
    share = None if match is None else Fraction(match[1]) / 100 if match[1] is not None else Fraction(match[2])
    if share is None or share > 1:
        raise UsageError(f"--fail-above {text!r} is not a share of the generators: write it as 5% or 0.05")
    return share


@dataclass(frozen=True)
class FailedShare:
    """Generators of a shard that failed, of so many."""

    failed: Set[str]
    generators: int

    @classmethod
    def of(cls, workspace: Workspace, report: "Report") -> "FailedShare":
        """Those that failed in a run, or before and were not tried again, or in another process meanwhile."""
        failed = {outcome.generator for outcome in report.outcomes if outcome.failed} | report.pending.skipped.keys()
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
