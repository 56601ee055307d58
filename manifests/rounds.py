"""Rounds: a manifest has what the rounds 1 to N of its workspace made.

A row has the number of its round, and what it says of other images is what was known then: which other generators made
the same picture, which other real images have the same file, whether a caption of a real image had been used. So the
rows of a round do not change when later ones follow, and a dataset that grows costs what is new. Splits and terms are
those of all rounds together, because they are promises about the whole dataset.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from crawler.catalog import CatalogEntry
from manifests.options import last_round
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

#: As the last round: all that there are.
ALL_ROUNDS = 2**31 - 1


@dataclass(frozen=True)
class Rounds:
    """The rounds 1 to `last` of a workspace that has `there`."""

    last: int
    there: int

    @classmethod
    def of(cls, workspace: Workspace, catalog: Iterable[CatalogEntry], chosen: str | None) -> "Rounds":
        """Those that `chosen` names; None: all. Raises `UsageError` where there are fewer."""
        there = max(len(recipe.rounds(workspace)), *(entry.round for entry in catalog), 1)
        last = there if chosen is None else last_round(chosen)
        if last > there:
            raise UsageError(f"--rounds {chosen}: the last round of {workspace.root} is {there}")
        return cls(last, there)

    @property
    def are_all(self) -> bool:
        """Whether the workspace has no later round."""
        return self.last == self.there

    @property
    def limit(self) -> int:
        """The largest number that a round of a record may have."""
        return ALL_ROUNDS if self.are_all else self.last
