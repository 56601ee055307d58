"""Growth: which rows of a catalogue a later crawl may change, and the round that its new rows belong to.

A generator that a round was sampled with keeps its row, revision and all, for ever: its images are those of that row.
With `--update` a changed commit becomes a further row beside it, and both are sampled from then on; with
`--replace-revisions` the new one takes its place in later rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crawler.catalog import CatalogEntry
from crawler.options import CrawlOptions
from crawler.reasons import Reason
from workspace import recipe
from workspace.layout import Workspace, parts_in
from workspace.recipe import Setting


@dataclass(frozen=True)
class Growth:
    """What one crawl may add."""

    workspace: Workspace
    update: bool
    replace_revisions: bool
    sampled: int
    """The newest round that was sampled; 0: none."""
    adding: int | None
    """The round that new rows belong to; None: it adds none."""
    has_table: bool
    """Whether the recipe has these settings."""

    @classmethod
    def of(cls, workspace: Workspace, options: CrawlOptions, settings: dict[str, Setting | None]) -> "Growth":
        """What a crawl with these settings may add. Raises `UsageError` for other settings than before without
        `options.update`."""
        same = recipe.round_of(workspace, "crawl", settings, options.update)
        every = recipe.rounds(workspace)
        newest = every[-1]
        adding: int | None = newest.number
        if same > newest.number:
            adding = same
        elif not newest.is_open:
            adding = newest.number + 1 if options.update else None
        sampled = max((one.number for one in every if not one.is_open), default=0)
        has_table = same <= newest.number and "crawl" in every[same - 1].tables
        return cls(workspace, options.update, options.replace_revisions, sampled, adding, has_table)

    @classmethod
    def of_additions(cls, workspace: Workspace, update: bool, replace_revisions: bool) -> "Growth":
        """What may be added to the catalogue without a crawl, which has no settings."""
        every = recipe.rounds(workspace)
        newest = every[-1]
        adding = newest.number if newest.is_open else newest.number + 1 if update else None
        sampled = max((one.number for one in every if not one.is_open), default=0)
        return cls(workspace, update, replace_revisions, sampled, adding, has_table=True)

    def is_pinned(self, entry: CatalogEntry) -> bool:
        """Whether a row stays as it is: a round was sampled with it."""
        by_round = entry.round <= self.sampled and entry.status == "compatible"
        return by_round or bool(parts_in(self.workspace.samples_of(entry.generator)))

    def added(self, entry: CatalogEntry, former: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        """The rows of one model, in order: those that it has, and the new one of this crawl where it may be added."""
        pinned = [row for row in former if self.is_pinned(row)]
        if not pinned:
            # What was never sampled has one row, of the round that first listed it.
            first = former[0].round if former else self.adding
            if former and former[0].reason == Reason.LEFT_OUT:
                first = self.adding or first  # the round whose choice wants it
            return [] if first is None else [replace(entry, round=first)]
        gives_images = entry.status == "compatible" or entry.reason == Reason.IMPORTED
        is_further = gives_images and all(entry.revision != row.revision for row in pinned)
        if not self.update or self.adding is None or not is_further:
            return pinned
        if self.replace_revisions:
            pinned = [replace(row, last_round=row.last_round or self.adding - 1) for row in pinned]
        return [*pinned, replace(entry, round=self.adding, further_revision=True)]

    def record(self, settings: dict[str, Setting | None], entries: Sequence[CatalogEntry]) -> None:
        """Write the settings into the recipe, where the crawl has added something or they are new."""
        is_new = any(entry.round == self.adding for entry in entries)
        if self.adding is not None and (is_new or not self.has_table):
            recipe.add(self.workspace, "crawl", settings, self.adding)
