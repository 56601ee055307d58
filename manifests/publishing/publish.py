"""Publishing: the dataset on the Hub, of which readers see the old version or the new one, never a part of it.

Shards are sent to a branch of their own, as many at a time as may be staged on this disk, and the size and sha256 of
each one on the Hub are compared with what was sent. When all are there, one commit on `main` copies them over (the Hub
copies names, no bytes), adds the card and the tables, and removes the files that this program put there earlier and
that are no longer part of the dataset; then the branch is removed. Until that commit, `main` is what it was; after it,
it is the new version.

A shard's name is a hash of its rows, and `SHA256SUMS`, committed with the shards, has its content's. So a run after an
interruption, or a second run, knows what the Hub has without packing it again: a shard that the branch or `main` has
under its name, with the recorded sha256, is not sent again. `SHA256SUMS` also tells which files are ours: nothing else
is ever removed, and of the card nothing that people wrote.

Others may publish the same dataset meanwhile. Each commit names the commit that it follows; where the Hub says that
there is a newer one, all is planned again from what is there now. A version of others that came meanwhile stays, and
is said; so no row is there twice.

Then the version gets its tag (`versions`), under which it stays readable, and its line in the `changelog`.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from manifests.audit.matching import matched_path
from manifests.audit.record import Audit, has_matched, shortcut_lines
from manifests.choices import read_choices
from manifests.evaluation_sets import evaluation_path
from manifests.manifest import existing_manifest, manifest_path
from manifests.options import PublishOptions
from manifests.publishing.card import (
    EVALUATION_FILE,
    GENERATORS_FILE,
    MATCHED_FILE,
    REAL_IMAGES_FILE,
    Measured,
    write_card,
)
from manifests.publishing.card_numbers import count_for_card
from manifests.publishing.changelog import CHANGELOG_FILE, Changelog, Contents, contents_of
from manifests.publishing.checksums import CHECKSUMS_FILE, Checksums, checksums_text
from manifests.publishing.dataset_state import BRANCH, CARD_FILE, BranchState, check_strangers, state_of
from manifests.publishing.evaluation import evaluate_by_generator
from manifests.publishing.layouts import Layout, layout_of
from manifests.publishing.owners_card import changes as card_changes
from manifests.publishing.owners_card import with_owners_words
from manifests.publishing.pinned import pin_manifest
from manifests.publishing.planning import PlannedShard, empty_shards, plan_shards
from manifests.publishing.preconditions import check_once_more, check_shards, check_visibility
from manifests.publishing.published import count_rows, published_rows, withheld_images
from manifests.publishing.repository import DatasetOnHub, MovedError
from manifests.publishing.result import Published
from manifests.publishing.squashing import Squashed, squash
from manifests.publishing.upload import TRIES, Upload, checksums_of, verify
from manifests.publishing.versions import Content, NextVersion, make_tag, next_version
from manifests.staged import StagedWorkspace
from manifests.tables.generators import generators_path
from workspace.errors import HubError
from workspace.exclusive import alone, at_work
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.progress import Log, task
from workspace.removed import read_removals

__all__ = ["Published", "publish_dataset"]


def publish_dataset(workspace: Workspace, repo_id: str, options: PublishOptions = PublishOptions()) -> Published:
    """Make the Hub's dataset `repo_id` (ORG/NAME) what the manifest says, as it is when this is called.

    A dataset that does not exist is created, private unless `options.public`. Raises `UsageError` without a manifest,
    for an invalid name, and for images that may not be published there; `CommunityForensicsError` for images that have
    changed since the manifest was built, and while another process builds or publishes; `HubError` when the Hub refuses
    or fails.
    """
    hub = DatasetOnHub(repo_id, options.hub)
    existing_manifest(workspace)
    with _own_folder(workspace, options) as folder:
        return _publish(pin_manifest(workspace, folder / "manifest"), hub, options)


@contextmanager
def _own_folder(workspace: Workspace, options: PublishOptions) -> Iterator[Path]:
    """A folder for this process; one process of a workspace publishes at a time."""
    if options.dry_run:
        with at_work(workspace, "dry-run") as process:
            yield process.path
    else:
        with alone(workspace, "publish") as held:
            yield held.folder


def _publish(workspace: StagedWorkspace, hub: DatasetOnHub, options: PublishOptions) -> Published:
    layout = layout_of(options.layout)
    log = Log(workspace, "publish")
    check_once_more(workspace)
    with published_rows(workspace) as connection:
        counts = count_rows(connection)
        check_visibility(hub, options, counts)
        log.event("pinned", manifest=sha256_of_file(manifest_path(workspace)))
        # Read before the rows of evaluation sets are replaced: they are of the manifest as it was built.
        measured = Measured.of(workspace)
        evaluation_sets = evaluate_by_generator(workspace) if layout.by_generator else []
        with task("planning shards"):
            shards = plan_shards(workspace, layout, options.shard_bytes, options.hub)
        check_shards(workspace, shards, options)
        shards += empty_shards(layout, shards)
        numbers, contents = count_for_card(connection, workspace), contents_of(connection, workspace)

    def card(changelog: Changelog) -> str:
        return write_card(hub.repo_id, workspace, layout, shards, numbers, measured, changelog)

    dataset = _Dataset(workspace, layout, options, shards, _tables(workspace, measured.audit), contents, card)
    if not options.dry_run:
        hub.create(private=not options.public)
    sent: dict[str, PlannedShard] = {}
    first: Checksums | None = None
    for moved in range(TRIES):
        changes = _changes(hub, dataset)
        first = changes.main.ours if first is None else first
        _check_same_version(hub, dataset, changes, first)
        sent |= {shard.path: shard for shard in changes.missing}
        head = changes.main.head
        if options.dry_run:
            break
        try:
            head = _send(hub, dataset, changes, log)
            break
        except MovedError as error:
            log.event("moved", reason=str(error))
            if moved == TRIES - 1:
                raise HubError(
                    f"{error}: others publish there too; run the same command when they have ended"
                ) from error
    changed = head != changes.main.head
    squashed = None
    if options.squash:
        squashed = _squash(hub, changes.version, dry_run=options.dry_run)
        head = hub.head("main")
    if not options.dry_run and head is not None and (options.squash or not changes.version.is_tagged):
        make_tag(hub, changes.version, head, dataset.content)
    published = Published(
        repo_id=hub.repo_id,
        shards=shards,
        sent=list(sent.values()),
        removed=len(changes.obsolete),
        in_no_split=counts.in_no_split,
        dry_run=options.dry_run,
        changed=changed,
        measured=[*shortcut_lines(measured.audit), *filter(None, [measured.detectors.left_out])],
        evaluation_sets=evaluation_sets,
        moved=moved,
        card=changes.of_card(),
        squashed=squashed,
        tag=changes.version.tag,
        removed_tags=changes.version.former_tags if options.squash else (),
        is_new_tag=not changes.version.is_tagged,
        version=changes.version.changelog.versions[-1],
    )
    if not options.dry_run:
        log.event("published", dataset=hub.repo_id, shards=len(shards), sent=len(sent), changed=changed)
    return published


@dataclass(frozen=True)
class _Dataset:
    """What is to be on `main`."""

    workspace: StagedWorkspace
    layout: Layout
    options: PublishOptions
    shards: Sequence[PlannedShard]
    tables: Mapping[str, bytes]
    contents: Contents
    card: Callable[[Changelog], str]
    """The card with a changelog."""

    @property
    def content(self) -> Content:
        """What tells it from other versions."""
        tables = {path: hashlib.sha256(content).hexdigest() for path, content in self.tables.items()}
        return Content(frozenset(shard.path for shard in self.shards), tables)


@dataclass(frozen=True)
class _Changes:
    """What has to be done, as the Hub is now."""

    main: BranchState
    branch: BranchState
    missing: Sequence[PlannedShard]
    """Shards that it does not have."""
    obsolete: Sequence[str]
    """Files of a former version."""
    version: NextVersion
    card_before: bytes | None
    card: str
    """The card, with what people wrote in the one that is there."""

    def of_card(self) -> list[str]:
        """What of the card changes, in lines."""
        if self.card_before is None:
            return [f"README.md is new: {counted(len(self.card.splitlines()), 'line')}"]
        return list(card_changes(self.card_before, self.card))


def _changes(hub: DatasetOnHub, dataset: _Dataset) -> _Changes:
    main, branch = state_of(hub, "main"), state_of(hub, BRANCH)
    planned = {shard.path for shard in dataset.shards}
    check_strangers(hub, main, planned, {shard.split for shard in dataset.shards})
    card = hub.read(main.head, CARD_FILE) if main.head is not None and CARD_FILE in main.files else None
    rounds = read_choices(manifest_path(dataset.workspace)).rounds
    removals = read_removals(dataset.workspace)
    version = next_version(hub, main, dataset.content, dataset.contents, rounds, dataset.options.tag, removals)
    if dataset.options.squash:
        version = replace(version, changelog=version.changelog.without_tags(version.former_tags))
    return _Changes(
        main=main,
        branch=branch,
        missing=[shard for shard in dataset.shards if shard.path not in main.shards | branch.shards],
        obsolete=sorted((main.ours.keys() & main.files.keys()) - planned - dataset.tables.keys() - {CHANGELOG_FILE}),
        version=version,
        card_before=card,
        card=with_owners_words(dataset.card(version.changelog), card),
    )


def _check_same_version(hub: DatasetOnHub, dataset: _Dataset, changes: _Changes, first: Checksums) -> None:
    """Raise `HubError` where `main` has neither the version that it had at `first`, nor this one: which of the two is
    to stay is not for this program to say."""
    if changes.main.ours != first and changes.main.shards.keys() != {shard.path for shard in dataset.shards}:
        raise HubError(
            f"{hub}: somebody else published another version meanwhile (commit {changes.main.head}), which stays; if "
            "this one is to replace it, run the same command again"
        )


def _send(hub: DatasetOnHub, dataset: _Dataset, changes: _Changes, log: Log) -> str:
    """Send what is missing, and make the dataset the next version of `main`; returns its commit.

    Raises `MovedError` when somebody else committed meanwhile; then nothing of `main` was changed.
    """
    on_main, branch = changes.main.shards, changes.branch
    if changes.main.head is None:
        raise HubError(f"{hub}: it has no branch main: create it there, or name another dataset")
    planned = {shard.path for shard in dataset.shards}
    if not planned <= on_main.keys() and branch.head is None:
        hub.make_branch(BRANCH)
        branch = state_of(hub, BRANCH)
        if branch.head is None:
            raise HubError(f"{hub}: it has no branch {BRANCH}, although it was created: run the same command again")
    upload = Upload(dataset.workspace, hub, dataset.layout, dataset.options, log, branch)
    upload.send(changes.missing)
    stored = {path: (on_main | upload.shards)[path] for path in planned}
    tables = {**dataset.tables, CHANGELOG_FILE: changes.version.changelog.content()}
    checksums = checksums_of(stored) | {path: hashlib.sha256(content).hexdigest() for path, content in tables.items()}
    head = hub.commit(
        "main",
        f"{changes.version.tag}: {counted(sum(shard.rows for shard in dataset.shards), 'image')} in "
        f"{counted(len(dataset.shards), 'shard')}",
        parent=changes.main.head,
        add={CARD_FILE: changes.card.encode(), CHECKSUMS_FILE: checksums_text(checksums), **tables},
        copy=sorted(planned - on_main.keys()),
        copy_from=upload.head or BRANCH,
        delete=changes.obsolete,
    )
    verify(hub, "main", head, stored)
    if upload.head is not None and hub.head(BRANCH) == upload.head:  # otherwise somebody else sends to it
        hub.remove_branch(BRANCH)
    return head


def _squash(hub: DatasetOnHub, version: NextVersion, *, dry_run: bool) -> Squashed:
    """Replace the history of `main`, without the tags of versions that this program made: they have histories of their
    own."""
    tags = (*version.former_tags, *([version.tag] if version.is_tagged else []))
    if not dry_run:
        for tag in tags:
            hub.remove_tag(tag)
    squashed = squash(hub, dry_run=dry_run)
    ours = {f"refs/tags/{tag}" for tag in tags}
    return replace(squashed, other_refs=[ref for ref in squashed.other_refs if ref not in ours])


def _tables(workspace: Workspace, audit: Audit | None) -> dict[str, bytes]:
    """What is published beside the shards, by path."""
    parquet = generators_path(workspace)
    tables = {
        GENERATORS_FILE: parquet.read_bytes(),
        GENERATORS_FILE.replace(".parquet", ".csv"): parquet.with_suffix(".csv").read_bytes(),
    }
    if withheld := withheld_images(workspace):
        sink = io.BytesIO()
        pq.write_table(withheld, sink, compression="zstd")
        tables[REAL_IMAGES_FILE] = sink.getvalue()
    if evaluation_path(workspace).exists():
        tables[EVALUATION_FILE] = evaluation_path(workspace).read_bytes()
    if has_matched(workspace, audit):
        tables[MATCHED_FILE] = matched_path(workspace).read_bytes()
    return tables
