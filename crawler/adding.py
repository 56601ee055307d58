"""Adding generators to a catalogue that no crawl lists: programs, images made elsewhere, remote services.

The rules are those of a crawl (`growth`): what a round was sampled with keeps its row for ever; a workspace that was
sampled gets new generators in another round, which must be asked for. What was added is in the recipe, under `[add]`
of its round. A later crawl keeps the rows, as it does not list them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crawler.catalog import CatalogEntry, read_catalog
from crawler.effective_licenses import with_effective_licenses
from crawler.growth import Growth
from crawler.lineage import with_lineage
from crawler.local_crawl import is_same
from crawler.removal import with_former_ancestors, with_hidden_names
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.removed import read_removals

#: The stage of the recipe with what was added.
STAGE = "add"


@dataclass(frozen=True)
class Added:
    """What became of the generators: their rows in the catalogue, and the names of those that it did not have."""

    entries: tuple[CatalogEntry, ...]
    """In the order in which they were given."""
    new: tuple[str, ...]
    """Those that were not in the catalogue, or not as they are now, by their names in the workspace."""
    round: int | None
    """The round that new ones belong to; None: there is nothing new."""


def add(
    workspace: Workspace, entries: Sequence[CatalogEntry], update: bool = False, replace_revisions: bool = False
) -> Added:
    """Append rows to the catalogue, which is made where there is none, or take the place of rows that were not sampled.

    `update`: whether a workspace that was sampled gets another round for them; `replace_revisions`: whether a new
    revision takes the place of the former one, which gets no more images.
    Raises `UsageError` for a name that a model of the Hub has or that was removed, for two rows of one name, and where
    `update` is needed; `CommunityForensicsError` while another process writes the catalogue.
    """
    names = [entry.model_name for entry in entries]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{twice} is named twice")
    with alone(workspace, "crawling") as held:
        growth = Growth.of_additions(workspace, update, replace_revisions)
        removals = read_removals(workspace)
        former = read_catalog(workspace) if workspace.catalog.exists() else []
        own = {name: [row for row in former if row.model_name == name] for name in names}
        rows: dict[str, list[CatalogEntry]] = {}
        for entry in entries:
            if (removed := removals.generator(entry.model_name, entry.revision)) is not None:
                raise UsageError(f"{entry.model_name} was removed from this workspace (`cf-remove`): {removed.why}")
            rows[entry.model_name] = _rows(with_hidden_names(entry, removals), own[entry.model_name], growth)
        last = max((row.rank for row in former), default=0)
        others = [row for row in former if row.model_name not in rows]
        ranks = {name: own[name][0].rank if own[name] else None for name in names}
        for name in names:
            if ranks[name] is None:
                ranks[name] = last = last + 1
        ranked = [replace(row, rank=ranks[name] or 0) for name in names for row in rows[name]]
        complete = with_lineage(sorted([*others, *ranked], key=lambda row: (row.rank, row.round)))
        complete = with_former_ancestors(complete, {row.generator: row for row in former})
        complete = with_effective_licenses(complete)
        held.check()
        known = {(row.model_name, row.revision) for row in former}
        new = [row for row in complete if row.model_name in rows and (row.model_name, row.revision) not in known]
        if growth.adding is not None and new:
            # A row that was never sampled may be of an earlier round.
            revisions = {row.model_name: row.revision for row in new if row.round == growth.adding}
            recipe.extend(workspace, STAGE, "generators", revisions, growth.adding)
        if complete != former:
            records.write(workspace.catalog, CatalogEntry, complete)
    newest = {row.model_name: row for row in complete}
    return Added(
        entries=tuple(newest[name] for name in names),
        new=tuple(row.generator for row in new),
        round=growth.adding if new else None,
    )


def _rows(entry: CatalogEntry, own: Sequence[CatalogEntry], growth: Growth) -> list[CatalogEntry]:
    """The rows of one generator: those that it has, and this one where it may be added. Raises `UsageError`."""
    if any(row.endpoint is not None for row in own):
        raise UsageError(f"{entry.model_name} is a model of the Hub in this catalogue: give it another name")
    if own and is_same(entry, own[-1]):
        return list(own)
    rows = growth.added(entry, own)
    is_kept = rows == list(own)
    if is_kept and (not own or all(row.revision != entry.revision for row in own)):
        raise UsageError(
            f"{entry.model_name} is new, or has another revision, and this workspace was sampled: add --update, and it "
            "belongs to another round; or name a new --workspace"
        )
    if is_kept:
        raise UsageError(
            f"{entry.model_name} was sampled as its row describes it, and is described in another way now: give it "
            "another name, or describe it as before"
        )
    return rows
