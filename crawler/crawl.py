"""A crawl: list the models, inspect the new and changed ones, write the catalogue.

A row of an earlier crawl is kept, without a request to the Hub, while the model's commit is the same; so are the rows
that this crawl finished before it was interrupted. What was sampled is never replaced (`growth`). A model that was in
the catalogue and is not listed any more keeps its row: unchanged if it only fell below the limit, with the reason
`gone` if the Hub does not have it any more. Models of another Hub keep their rows, so models on this disk and those of
the Hub can be in one workspace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from crawler.base_models import BaseModels
from crawler.catalog import CatalogEntry, read_catalog
from crawler.choice import Choice, applied
from crawler.effective_licenses import with_effective_licenses
from crawler.growth import Growth
from crawler.hub.client import Hub
from crawler.hub.from_file import Names, digest, look_up_models, read_names
from crawler.hub.listing import ListedModel, ModelList, Selection, list_models
from crawler.hub.repository import RepositoryReader
from crawler.lineage import bases_of_adapter, with_lineage
from crawler.local.reader import LocalReader
from crawler.local_crawl import LocalCrawl, is_same
from crawler.options import CrawlOptions
from crawler.pipelines.traits import pipeline_names
from crawler.reasons import TEMPORARY, Incompatible, Reason
from crawler.removal import with_former_ancestors, with_hidden_names, without_removed
from crawler.resume_log import ResumeLog
from crawler.row_builder import RowBuilder
from workspace import progress, recipe, records
from workspace.errors import HubError
from workspace.exclusive import Held, alone
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.recipe import Setting
from workspace.removed import Removals, read_removals
from workspace.threads import each


@dataclass(frozen=True)
class Crawled:
    """The result of a crawl: the catalogue by rank, and how it differs from the one before (names, sorted)."""

    entries: tuple[CatalogEntry, ...]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    #: Names in `CrawlOptions.from_file` that the Hub has no model of.
    missing: tuple[str, ...] = ()
    #: Names in it about which the Hub did not answer, and lines of it that name no model, each with the reason.
    failed: tuple[str, ...] = ()
    bad_lines: tuple[str, ...] = ()
    #: Sampled generators that have changed or disappeared on the Hub: their rows are those that they were sampled with.
    kept: tuple[str, ...] = ()
    #: How many models --only and --exclude left out before they were inspected, by option.
    left_out: Mapping[str, int] = field(default_factory=dict)
    #: What the user should know about the options.
    notes: tuple[str, ...] = ()
    #: Generators that were not in the catalogue and are not added, because its round was sampled.
    not_added: tuple[str, ...] = ()


def crawl(workspace: Workspace, options: CrawlOptions = CrawlOptions()) -> Crawled:
    """Write or update the workspace's catalogue, `catalog.parquet`.

    Raises `UsageError` when the workspace was crawled with other options or `options.from_file` cannot be read,
    `HubError` when the Hub cannot be reached, and `CommunityForensicsError` while another process crawls into this
    workspace; rows finished until then are kept for the next call.
    """
    require_extra("crawl", "cf-crawl")
    named = read_names(options.from_file) if options.from_file is not None else None
    with alone(workspace, "crawling") as held:
        return _crawl(workspace, options, named, held)


def _crawl(workspace: Workspace, options: CrawlOptions, named: Names | None, held: Held) -> Crawled:
    names = named.all_names if named is not None else None
    selection = Selection.of(options, names)
    choice = selection.choice
    choice.require_kinds(pipeline_names())
    hub = Hub(options.hub)
    settings: dict[str, Setting | None] = {
        "limit": selection.limit,
        "kinds": list(selection.kinds),
        "min_downloads": selection.min_downloads,
        "author": selection.author,
        "include": list(choice.only.texts),
        "exclude": list(choice.exclude.texts),
        "license_allow": list(choice.allowed.texts) or None,
        "license_deny": list(choice.denied.texts) or None,
        "max_size": choice.max_bytes,
        "architecture": list(choice.architectures) or None,
        "from": digest(names) if names is not None else None,
        "include_test_repositories": options.include_test_repositories or None,
    }
    growth = Growth.of(workspace, options, settings)
    if not recipe.rounds(workspace)[0].tables.get("crawl"):
        recipe.pin(workspace, "crawl", settings)
    log = progress.Log(workspace, "crawl")
    removals = read_removals(workspace)
    former = read_catalog(workspace) if workspace.catalog.exists() else []
    before: dict[str, list[CatalogEntry]] = {}
    for entry in sorted(former, key=lambda entry: entry.round):
        before.setdefault(entry.model_name, []).append(entry)
    resume_log = ResumeLog(workspace)
    inspected = {entry.model_name: entry for entry in without_removed(resume_log.read(), removals)}
    kept: list[str] = []
    not_added: list[str] = []
    if named is None:
        listing = list_models(hub, selection)
    else:
        listing = look_up_models(hub, selection, named.names, options.workers)
    listing = _without_names(listing, removals)
    models = listing.models
    local = LocalCrawl.select(named.local if named is not None else (), selection, len(models))
    local.require_free({name: own[-1] for name, own in before.items()})
    log.event("listed", models=len(models), endpoint=hub.endpoint, missing=listing.missing)
    hub_reader = RepositoryReader(
        hub,
        bases=frozenset(base for model in models for base in bases_of_adapter(model)),
        known={
            (model.model_name, model.revision): listing.descriptions[model.model_name]
            for model in models
            if listing.descriptions
        },
    )
    reader = LocalReader(local.places, hub_reader)
    bases = BaseModels(reader, {model.model_name: model.revision for model in models})
    builder = RowBuilder(
        reader, bases, selection.kinds, hub.endpoint, options.include_test_repositories or names is not None, _now
    )
    # What was removed keeps its rank, so that those of the others do not change.
    ranked = [item for item in enumerate(models, 1) if removals.generator(item[1].model_name, item[1].revision) is None]
    rows: dict[str, list[CatalogEntry]] = {}
    todo: list[tuple[int, ListedModel]] = []
    for rank, model in ranked:
        name = model.model_name
        own, log_row = before.get(name, []), inspected.get(name)
        if any(not _needs_inspection(row, model, hub, choice) for row in own[-1:]):
            # The same commit on another Hub, such as a mirror, has the same content.
            newest = replace(own[-1], endpoint=hub.endpoint, last_modified=model.last_modified)
            rows[name] = _with_counts([*own[:-1], newest], model, rank)
        elif own and growth.is_pinned(own[-1]) and not growth.update:
            kept.append(name)
            rows[name] = _with_counts(own, model, rank)
        elif not own and growth.adding is None:
            not_added.append(name)
        elif log_row is not None and not _needs_inspection(log_row, model, hub, choice):
            rows[name] = _with_counts(growth.added(log_row, own), model, rank)
        else:
            todo.append((rank, model))
    listed = {*(model.model_name for _, model in ranked), *(generator.name for generator in local.generators)}
    unlisted = sorted((own for name, own in before.items() if name not in listed), key=lambda own: own[-1].rank)

    with resume_log, progress.task("crawl", total=len(listed) + len(unlisted)) as task:
        task.advance(len(ranked) - len(todo))
        for built in each(lambda item: builder.build(item[1], item[0]), todo, options.workers, hub.stop):
            entry = with_hidden_names(built, removals)
            resume_log.add(entry)
            log.event("model", name=entry.model_name, status=entry.status, reason=entry.reason)
            own = before.get(entry.model_name, [])
            added = growth.added(entry, own)
            if any(growth.is_pinned(row) for row in own) and len(added) == len(own):
                kept.append(entry.model_name)
            rows[entry.model_name] = [replace(row, rank=entry.rank) for row in added]
            task.advance(note=entry.model_name)
        on_this_machine = []
        for built in local.rows(builder, reader, len(models) + 1, options.workers):
            if removals.generator(built.model_name, built.revision) is not None:
                continue
            entry = with_hidden_names(built, removals)
            log.event("model", name=entry.model_name, status=entry.status, reason=entry.reason)
            on_this_machine.append(entry)
            own = before.get(entry.model_name, [])
            added = growth.added(entry, own)
            if not added:
                not_added.append(entry.model_name)
            elif added == own and not is_same(entry, own[-1]):
                kept.append(entry.model_name)
            rows[entry.model_name] = [replace(row, rank=entry.rank) for row in added]
            task.advance(note=entry.model_name)
        for number, own in enumerate(unlisted, start=len(listed) + 1):
            row = _unlisted(hub_reader, own[-1], hub.endpoint)
            if row != own[-1] and growth.is_pinned(own[-1]):
                kept.append(row.model_name)
                row = own[-1]
            rows[row.model_name] = [replace(one, rank=number) for one in (*own[:-1], row)]
            task.advance(note=row.model_name)
    # In the order of the listing, whichever was inspected first.
    order = [
        *(model.model_name for _, model in ranked),
        *(generator.name for generator in local.generators),
        *(own[-1].model_name for own in unlisted),
    ]
    complete = with_lineage([row for name in order for row in rows.get(name, ())])
    complete = with_former_ancestors(complete, {entry.generator: entry for entry in former})
    complete = with_effective_licenses(complete)
    entries = applied(complete, choice, {row.generator for row in complete if growth.is_pinned(row)})
    held.check()
    growth.record(settings, entries)
    local.record(workspace, on_this_machine)
    records.write(workspace.catalog, CatalogEntry, entries)
    resume_log.remove()
    crawled = replace(
        _differences(entries, {entry.generator: entry for entry in former}),
        missing=listing.missing,
        failed=listing.failed,
        bad_lines=named.bad_lines if named is not None else (),
        kept=tuple(sorted(kept)),
        left_out=listing.left_out,
        notes=(
            *_of_removed(len(models) - len(ranked)),
            *choice.unknown_licenses(entries),
            *choice.unlisted([model.model_name for model in models]),
        ),
        not_added=tuple(sorted(not_added)),
    )
    log.event("written", models=len(entries), new=len(crawled.new), changed=len(crawled.changed), gone=crawled.gone)
    return crawled


def _of_removed(number: int) -> list[str]:
    return [f"{number} listed models were removed from this workspace (`cf-remove`): left out"] if number else []


def _without_names(listing: ModelList, removals: Removals) -> ModelList:
    """A list whose names without a model are none of removed generators."""
    return replace(
        listing,
        missing=tuple(name for name in listing.missing if removals.hidden(name) == name),
        failed=tuple(line for line in listing.failed if removals.hidden(line) == line),
    )


def _needs_inspection(entry: CatalogEntry, listed: ListedModel, hub: Hub, choice: Choice) -> bool:
    """Whether an earlier row can differ from what the model is now."""
    return (
        entry.revision != listed.revision
        or entry.gated != listed.gated
        or (entry.reason == Reason.DISABLED) != listed.disabled
        or entry.reason in TEMPORARY
        # Its terms may have been accepted since.
        or (entry.reason == Reason.GATED and hub.has_token)
        # Another choice than that of the crawl before.
        or (entry.reason == Reason.LEFT_OUT and choice.left_out_by_facts(entry) is None)
    )


def _with_counts(own: Sequence[CatalogEntry], listed: ListedModel, rank: int) -> list[CatalogEntry]:
    """The rows of a model with the Hub's current counts."""
    counts: dict[str, Any] = {
        "rank": rank,
        "downloads": listed.downloads,
        "downloads_all_time": listed.downloads_all_time,
        "likes": listed.likes,
    }
    return [replace(row, **counts) for row in own]


def _unlisted(reader: RepositoryReader, entry: CatalogEntry, endpoint: str) -> CatalogEntry:
    """The row of a model that is not listed any more; only the Hub that it is from can say that it is gone."""
    if entry.endpoint != endpoint:
        return entry
    try:
        reader.open(entry.model_name, entry.revision)
    except Incompatible as error:
        return replace(entry, status="incompatible", reason=error.reason.value, reason_detail=error.detail)
    except HubError:
        return entry
    return entry


def _differences(entries: Sequence[CatalogEntry], before: dict[str, CatalogEntry]) -> Crawled:
    def names(chosen: Iterator[CatalogEntry]) -> tuple[str, ...]:
        return tuple(sorted(entry.generator for entry in chosen))

    known = [(entry, before[entry.generator]) for entry in entries if entry.generator in before]
    return Crawled(
        entries=tuple(entries),
        new=names(entry for entry in entries if entry.generator not in before),
        changed=names(entry for entry, former in known if entry.revision != former.revision),
        gone=names(entry for entry, former in known if entry.reason == Reason.GONE and former.reason != Reason.GONE),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
