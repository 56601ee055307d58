"""Publishing: the dataset on the Hub, of which readers see the old version or the new one, never a part of it.

Shards are sent to a branch of their own, as many at a time as may be staged on this disk, and the size and sha256 of
each one on the Hub are compared with what was sent. When all are there, one commit on `main` copies them over (the Hub
copies names, no bytes), adds the card and the tables, and removes the files that this program put there earlier and
that are no longer part of the dataset; then the branch is removed. Until that commit, `main` is what it was; after it,
it is the new version.

A shard's name is a hash of its rows, and `SHA256SUMS`, committed with the shards, has its content's. So a run after an
interruption, or a second run, knows what the Hub has without packing it again: a shard that the branch or `main` has
under its name, with the recorded sha256, is not sent again. `SHA256SUMS` also tells which files are ours: nothing else
is ever removed.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from manifests.audit.matching import matched_path
from manifests.audit.record import audit_lines, has_matched
from manifests.checks import check_manifest, raise_failures
from manifests.manifest import existing_manifest, manifest_path
from manifests.options import PublishOptions
from manifests.plural import counted, form
from manifests.publishing.card import GENERATORS_FILE, MATCHED_FILE, REAL_IMAGES_FILE, write_card
from manifests.publishing.checksums import CHECKSUMS_FILE, SHARDS, Checksums, checksums_text, parse_checksums
from manifests.publishing.evaluation import EvaluationSet, evaluate_by_generator
from manifests.publishing.layouts import Layout, layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.pinned import PinnedWorkspace, pin_manifest
from manifests.publishing.planning import PlannedShard, empty_shards, plan_shards
from manifests.publishing.published import Counts, count_rows, withheld_images
from manifests.publishing.repository import DatasetOnHub, StoredFile
from manifests.scratch import scratch_folder
from manifests.tables.generators import generators_path, read_generators
from manifests.tables.withheld import existing_list
from workspace.errors import HubError, UsageError
from workspace.exclusive import alone, at_work
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.progress import Log, task
from workspace.size import text_of

#: The branch where shards wait until all are on the Hub.
BRANCH = "cf-publish"

# What a repository may contain before its first publishing: what the Hub itself puts there.
_FROM_THE_HUB = frozenset({".gitattributes", "README.md"})


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was published, or would be (`dry_run`)."""

    repo_id: str
    shards: Sequence[PlannedShard]
    """All shards of the dataset."""
    sent: Sequence[PlannedShard]
    """Those that the Hub did not have."""
    removed: int
    """Files of a former version."""
    in_no_split: int
    """Rows of the manifest that are not published."""
    dry_run: bool
    changed: bool
    """Whether `main` has a new commit."""
    shortcuts: Sequence[str] = ()
    """What the audit says of shortcuts, or that there was none."""
    evaluation_sets: Sequence[EvaluationSet] = ()
    """The sets whose real images were paired with generators."""

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        splits: Counter[str] = Counter()
        for shard in self.shards:
            splits[shard.split] += shard.rows
        by_split = ", ".join(f"{name} {splits[name]}" for name in sorted(splits))
        yield (f"{self.repo_id}: {counted(splits.total(), 'row')} ({by_split}) in {counted(len(self.shards), 'shard')}")
        if self.in_no_split:
            are = form(self.in_no_split, "is", "are")
            yield f"{counted(self.in_no_split, 'row')} of the manifest {are} in no split and {are} not published"
        for evaluation_set in self.evaluation_sets:
            yield from evaluation_set.lines()
        size = text_of(sum(shard.image_bytes for shard in self.sent))
        sent = f"{counted(len(self.sent), 'shard')} ({size} of images)"
        removed = f"{counted(self.removed, 'file')} of a former version"
        if self.dry_run:
            yield f"dry run: would send {sent} and remove {removed}"
        elif not self.changed:
            yield "nothing to send: the Hub has this version already"
        else:
            yield f"sent {sent} and verified the whole dataset; removed {removed}"
        yield from self.shortcuts


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


def _publish(workspace: PinnedWorkspace, hub: DatasetOnHub, options: PublishOptions) -> Published:
    repo_id, layout = hub.repo_id, layout_of(options.layout)
    counts = count_rows(workspace)
    _check_manifest(workspace)
    _check_visibility(hub, options, counts)
    log = Log(workspace, "publish")
    log.event("pinned", manifest=sha256_of_file(manifest_path(workspace)))
    evaluation_sets = evaluate_by_generator(workspace) if layout.by_generator else []
    with task("planning shards"):
        shards = plan_shards(workspace, layout, options.shard_bytes, options.hub)
    if not shards:
        raise UsageError(
            f"{workspace.root}: the manifest has no row in a split: sample more generators, or use other --holdout "
            "options, then run `cf-build-manifest`"
        )
    shards += empty_shards(layout, shards)
    if not options.dry_run:
        hub.create(private=not options.public)
    on_main = hub.files("main")
    ours = _checksums(hub, "main") if CHECKSUMS_FILE in on_main else {}
    if not ours and (foreign := sorted(on_main.keys() - _FROM_THE_HUB)):
        raise HubError(
            f"{repo_id} contains files that cf-publish did not write ({', '.join(foreign[:3])}): name a dataset that "
            "is empty or does not exist"
        )
    tables = _tables(workspace)
    planned = {shard.path for shard in shards}
    finished = _complete(on_main, ours)
    staged = _complete(hub.files(BRANCH), _checksums(hub, BRANCH)) if hub.has_branch(BRANCH) else {}
    missing = [shard for shard in shards if shard.path not in finished | staged]
    obsolete = sorted((ours.keys() & on_main.keys()) - planned - tables.keys())

    changed = False
    if not options.dry_run:
        if not planned <= finished.keys():
            hub.make_branch(BRANCH)
        staged |= _Upload(workspace, hub, layout, options, log).send(missing, staged)
        dataset = {path: (finished | staged)[path] for path in planned}
        checksums = _checksums_of(dataset) | {
            path: hashlib.sha256(content).hexdigest() for path, content in tables.items()
        }
        images = counted(sum(shard.rows for shard in shards), "image")
        changed = hub.commit(
            "main",
            f"{images} in {counted(len(shards), 'shard')}",
            add={
                "README.md": write_card(repo_id, workspace, layout, shards).encode(),
                CHECKSUMS_FILE: checksums_text(checksums),
                **tables,
            },
            copy=sorted(planned - finished.keys()),
            copy_from=BRANCH,
            delete=obsolete,
        )
        _verify(hub, "main", dataset)
        hub.remove_branch(BRANCH)
        log.event("published", dataset=repo_id, shards=len(shards), sent=len(missing), changed=changed)
    return Published(
        repo_id=repo_id,
        shards=shards,
        sent=missing,
        removed=len(obsolete),
        in_no_split=counts.in_no_split,
        dry_run=options.dry_run,
        changed=changed,
        shortcuts=audit_lines(workspace),
        evaluation_sets=evaluation_sets,
    )


class _Upload:
    """Shards on their way to the branch: packed until --max-staging is reached, sent, verified, removed here."""

    def __init__(
        self, workspace: Workspace, hub: DatasetOnHub, layout: Layout, options: PublishOptions, log: Log
    ) -> None:
        self._workspace, self._hub, self._layout, self._log = workspace, hub, layout, log
        self._options = options
        self._files: dict[str, Path] = {}
        self._bytes = 0

    def send(self, missing: Sequence[PlannedShard], staged: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
        """Pack and send the missing shards; `staged` are on the branch already. Returns what was sent, by path."""
        sent: dict[str, StoredFile] = {}
        with (
            scratch_folder(self._workspace.manifest / ".shards") as folder,
            task("publishing images", total=sum(shard.rows for shard in missing)) as progress,
        ):
            packed = pack_shards(self._workspace, self._layout, missing, folder, self._options.hub)
            for shard in missing:
                if self._files and self._bytes + shard.file_size > self._options.staging_bytes:
                    self._commit(staged, sent)
                _, path = next(packed)
                self._files[shard.path] = path
                self._bytes += path.stat().st_size
                progress.advance(shard.rows, shard.path)
            if self._files:
                self._commit(staged, sent)
        return sent

    def _commit(self, staged: Mapping[str, StoredFile], sent: dict[str, StoredFile]) -> None:
        now = {
            path: StoredFile(file.stat().st_size, sha256_of_file(file)) for path, file in sorted(self._files.items())
        }
        checksums = checksums_text(_checksums_of({**staged, **sent, **now}))
        self._hub.commit(BRANCH, "Add shards", add={**self._files, CHECKSUMS_FILE: checksums})
        _verify(self._hub, BRANCH, now)
        self._log.event("sent", shards=list(now))
        sent.update(now)
        for file in self._files.values():
            file.unlink()
        self._files, self._bytes = {}, 0


def _check_manifest(workspace: Workspace) -> None:
    """Check the manifest once more, because it may have been changed since it was built."""
    with task("checking the manifest"):
        failures = check_manifest(
            workspace, existing_manifest(workspace), existing_list(workspace), read_generators(workspace)
        )
    raise_failures(failures, "nothing was published, because manifest/ is damaged: run `cf-build-manifest` again")


def _check_visibility(hub: DatasetOnHub, options: PublishOptions, counts: Counts) -> None:
    """Raise `UsageError` where images that may not be passed on would be public."""
    if counts.not_redistributable and (options.public or hub.is_public()):
        images = counted(counts.not_redistributable, "real image")
        they = form(counts.not_redistributable, "it", "they")
        raise UsageError(
            f"{hub.repo_id} {'would be' if options.public else 'is'} public, but {images} of the manifest may not be "
            f"passed on, or it is unknown whether {they} may: run `cf-build-manifest --edition public` first"
        )


def _tables(workspace: Workspace) -> dict[str, bytes]:
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
    if has_matched(workspace):
        tables[MATCHED_FILE] = matched_path(workspace).read_bytes()
    return tables


def _verify(hub: DatasetOnHub, revision: str, sent: Mapping[str, StoredFile]) -> None:
    """Compare size and sha256 of files with what the Hub states."""
    on_hub = hub.files(revision)
    wrong = sorted(path for path, file in sent.items() if on_hub.get(path) != file)
    if wrong:
        raise HubError(
            f"{hub.repo_id}@{revision}: the Hub's copy of {', '.join(wrong[:3])}"
            f"{' and others' if len(wrong) > 3 else ''} differs from what was sent; run the same command again"
        )


def _complete(on_hub: Mapping[str, StoredFile], checksums: Checksums) -> dict[str, StoredFile]:
    """The shards on the Hub whose sha256 is the recorded one."""
    recorded = {path: on_hub[path] for path in checksums if path.startswith(SHARDS) and path in on_hub}
    return {path: file for path, file in recorded.items() if file.sha256 == checksums[path]}


def _checksums_of(files: Mapping[str, StoredFile]) -> Checksums:
    return {path: file.sha256 for path, file in files.items() if file.sha256 is not None}


def _checksums(hub: DatasetOnHub, revision: str) -> Checksums:
    """What `SHA256SUMS` says at a revision; empty where there is none."""
    try:
        return parse_checksums(hub.read(revision, CHECKSUMS_FILE) or b"")
    except ValueError as error:
        raise HubError(
            f"{hub.repo_id}@{revision}: {CHECKSUMS_FILE} was not written by cf-publish ({error}): name another dataset"
        ) from error
