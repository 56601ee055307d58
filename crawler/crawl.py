"""A crawl: list, look into what is new, write the catalogue.

What a former crawl saw at the same commit is taken over as it stands, without asking the Hub anything about it;
what this crawl has already seen before it was interrupted, too. A model that was in the catalogue and is not
listed any more keeps its row: as it was, if it only fell below the limit, and as `gone` if the Hub has it no longer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from crawler.catalog import CatalogEntry, read_catalog
from crawler.hub.client import Hub
from crawler.hub.from_file import Found, digest, look_up, read_names
from crawler.hub.listing import Listed, Selection, list_models
from crawler.hub.repository import Inspector
from crawler.lineage import adapted, with_lineage
from crawler.options import CrawlOptions
from crawler.reasons import PASSING, Incompatible, Reason
from crawler.resume_log import ResumeLog
from crawler.row_builder import Bases, Examiner
from workspace import progress, recipe, records
from workspace.errors import HubError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.threads import each


@dataclass(frozen=True)
class Crawled:
    """What a crawl found: the catalogue by rank, and how it differs from the one before (names, sorted)."""

    entries: tuple[CatalogEntry, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    #: Names asked for that the Hub has no model of.
    missing: tuple[str, ...] = ()


def crawl(workspace: Workspace, options: CrawlOptions = CrawlOptions()) -> Crawled:
    """Write or update the workspace's catalogue, `catalog.parquet`.

    Raises `UsageError` when the workspace was crawled with other options or `options.from_file` cannot be read, and
    `HubError` when the Hub cannot be reached; rows finished until then are kept for the next call.
    """
    require_extra("crawl", "cf-crawl")
    names = read_names(options.from_file) if options.from_file is not None else None
    selection = Selection.of(options, names)
    hub = Hub(options.hub)
    recipe.pin(
        workspace,
        "crawl",
        {
            "limit": selection.limit,
            "kinds": list(selection.kinds),
            "min_downloads": selection.min_downloads,
            "author": selection.author,
            "include": list(selection.include),
            "exclude": list(selection.exclude),
            "from": digest(names) if names is not None else None,
        },
    )
    log = progress.Log(workspace, "crawl")
    before = {entry.model_name: entry for entry in read_catalog(workspace)} if workspace.catalog.exists() else {}
    journal = ResumeLog(workspace)
    known = before | {entry.model_name: entry for entry in journal.read()}
    if names is None:
        found = Found(list_models(hub, selection), files={}, missing=())
    else:
        found = look_up(hub, selection, names, options.workers)
    listed = found.listed
    log.event("listed", models=len(listed), endpoint=hub.endpoint, missing=found.missing)
    inspector = Inspector(
        hub,
        bases=frozenset(base for model in listed for base in adapted(model)),
        known={(model.model_name, model.revision): found.files[model.model_name] for model in listed if found.files},
    )
    bases = Bases(inspector, {model.model_name: model.revision for model in listed})
    examiner = Examiner(inspector, bases, selection.kinds, _now)
    rows = {model.model_name: _renewed(known.get(model.model_name), model, rank) for rank, model in _ranked(listed)}
    todo = [(rank, model) for rank, model in _ranked(listed) if rows[model.model_name] is None]
    unlisted = sorted((entry for name, entry in known.items() if name not in rows), key=lambda entry: entry.rank)

    with journal, progress.task("crawl", total=len(listed) + len(unlisted)) as task:
        task.advance(len(listed) - len(todo))
        for entry in each(lambda item: examiner.examine(item[1], item[0]), todo, options.workers, hub.stop):
            journal.add(entry)
            log.event("model", name=entry.model_name, status=entry.status, reason=entry.reason)
            rows[entry.model_name] = entry
            task.advance(note=entry.model_name)
        for number, entry in enumerate(unlisted, start=len(listed) + 1):
            rows[entry.model_name] = replace(_still_there(inspector, entry), rank=number)
            task.advance(note=entry.model_name)
    entries = with_lineage([entry for entry in rows.values() if entry is not None])
    records.write(workspace.catalog, CatalogEntry, entries)
    journal.remove()
    crawled = replace(_compared(entries, before), missing=found.missing)
    log.event("written", models=len(entries), new=len(crawled.new), changed=len(crawled.changed), gone=crawled.gone)
    return crawled


def _ranked(listed: Sequence[Listed]) -> Iterator[tuple[int, Listed]]:
    return enumerate(listed, start=1)


def _renewed(entry: CatalogEntry | None, listed: Listed, rank: int) -> CatalogEntry | None:
    """A row taken over, with the Hub's counts of today; None when the model must be looked into."""
    if (
        entry is None
        or entry.revision != listed.revision
        or entry.gated != listed.gated
        or (entry.reason == Reason.DISABLED) != listed.disabled
        or entry.reason in PASSING
    ):
        return None
    return replace(
        entry,
        rank=rank,
        downloads=listed.downloads,
        downloads_all_time=listed.downloads_all_time,
        likes=listed.likes,
        last_modified=listed.last_modified,
    )


def _still_there(inspector: Inspector, entry: CatalogEntry) -> CatalogEntry:
    """The row of a model that is not listed any more."""
    try:
        inspector.open(entry.model_name, entry.revision)
    except Incompatible as verdict:
        reason = verdict.reason
        return replace(entry, status="incompatible", reason=reason.value, reason_detail=verdict.detail)
    except HubError:
        return entry
    return entry


def _compared(entries: Sequence[CatalogEntry], before: dict[str, CatalogEntry]) -> Crawled:
    def names(chosen: Iterator[CatalogEntry]) -> tuple[str, ...]:
        return tuple(sorted(entry.model_name for entry in chosen))

    known = [(entry, before[entry.model_name]) for entry in entries if entry.model_name in before]
    return Crawled(
        entries=tuple(entries),
        new=names(entry for entry in entries if entry.model_name not in before),
        changed=names(entry for entry, former in known if entry.revision != former.revision),
        gone=names(entry for entry, former in known if entry.reason == Reason.GONE and former.reason != Reason.GONE),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
