"""Publishing: the dataset on the Hub, of which readers see the old version or the new one, never half.

Shards go to a branch of their own, as many at a time as may be staged on this disk, and each one's size and sha256
there is compared with what was sent. When all are there, one commit on `main` copies them over (the Hub copies names,
no bytes), adds the card and the tables, and removes the files that this program put there earlier and that are no
longer part of the dataset; then the branch goes. Until that commit, `main` is what it was; after it, it is the new one.

A shard's name is a hash of its rows, and `SHA256SUMS`, committed with the shards, has its content's. So a run that was
interrupted, or a second one, knows what is there without packing it again: what the branch or `main` holds under
its name, with the sha256 that was recorded, is not sent again. `SHA256SUMS` also says which files are ours: nothing
else is ever removed.
"""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from manifests.checks import check_manifest, raise_failures
from manifests.manifest import manifest_path
from manifests.options import PublishOptions
from manifests.publishing.card import GENERATORS_FILE, REAL_IMAGES_FILE, write_card
from manifests.publishing.layouts import Layout, layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import PlannedShard, plan_shards
from manifests.publishing.published import Reservations, reservations, withheld_images
from manifests.publishing.repository import DatasetOnHub, StoredFile
from manifests.publishing.sums import SHARDS, SUMS_FILE, Sums, parse_sums, sums_text
from manifests.scratch import scratch_folder
from manifests.tables.generators import generators_path, read_generators
from manifests.tables.withheld import existing_list
from workspace.errors import HubError, UsageError
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.progress import Log, task

#: Where shards wait until all are there.
BRANCH = "cf-publish"

# What a repository may hold before its first publishing: what the Hub itself puts there.
_OF_THE_HUB = frozenset({".gitattributes", "README.md"})


@dataclass(frozen=True, kw_only=True)
class Published:
    """What publishing came to."""

    repo_id: str
    shards: Sequence[PlannedShard]
    sent: Sequence[PlannedShard]
    removed: int
    in_no_split: int
    dry_run: bool
    changed: bool

    def lines(self) -> Iterator[str]:
        """The same, for the reader."""
        splits: Counter[str] = Counter()
        for shard in self.shards:
            splits[shard.split] += shard.rows
        rows = ", ".join(f"{name} {splits[name]}" for name in sorted(splits))
        yield f"{self.repo_id}: {splits.total()} rows ({rows}) in {len(self.shards)} shards"
        if self.in_no_split:
            yield f"{self.in_no_split} rows of the manifest are in no split and are not published"
        sent = f"{len(self.sent)} shards ({sum(shard.image_bytes for shard in self.sent) / 1e6:.1f} MB of images)"
        if self.dry_run:
            yield f"dry run: {sent} would be sent, {self.removed} files of an earlier version removed"
        elif not self.changed:
            yield "nothing new: all of it is there already"
        else:
            yield f"sent {sent}, removed {self.removed} files of an earlier version, all verified"


def publish_dataset(workspace: Workspace, repo_id: str, options: PublishOptions = PublishOptions()) -> Published:
    """Bring the Hub's dataset `repo_id` to what the manifest says.

    A dataset that does not exist yet is made, private unless it is to be public. Raises `UsageError` without a
    manifest, for a name that is none, and for images that may not go where they would go; `CommunityForensicsError` for
    images that are no longer what the manifest says; `HubError` when the Hub refuses or fails.
    """
    hub = DatasetOnHub(repo_id, options.hub)
    layout = layout_of(options.layout)
    reserved = reservations(workspace)
    _refuse_what_does_not_add_up(workspace)
    _refuse_in_public(hub, options, reserved)
    log = Log(workspace, "publish")
    with task("planning shards"):
        shards = plan_shards(workspace, layout, options.shard_bytes, options.hub)
    if not shards:
        raise UsageError(
            f"{manifest_path(workspace)} holds no image that is published: sample some generators, "
            "then run `cf-build-manifest`"
        )
    if not options.dry_run:
        hub.create(private=not options.public)
    there = hub.files("main")
    ours = _sums(hub, "main") if SUMS_FILE in there else {}
    if not ours and (foreign := sorted(there.keys() - _OF_THE_HUB)):
        raise HubError(
            f"{repo_id} holds something else ({', '.join(foreign[:3])}), which this program did not write; "
            "name a dataset that is empty or does not exist"
        )
    tables = _tables(workspace)
    wanted = {shard.path for shard in shards}
    finished = _whole(there, ours)
    staged = _whole(hub.files(BRANCH), _sums(hub, BRANCH)) if hub.has_branch(BRANCH) else {}
    missing = [shard for shard in shards if shard.path not in finished | staged]
    obsolete = sorted((ours.keys() & there.keys()) - wanted - tables.keys())

    changed = False
    if not options.dry_run:
        if not wanted <= finished.keys():
            hub.make_branch(BRANCH)
        staged |= _Sending(workspace, hub, layout, options, log).send(missing, staged)
        dataset = {path: (finished | staged)[path] for path in wanted}
        sums = _sums_of(dataset) | {path: hashlib.sha256(content).hexdigest() for path, content in tables.items()}
        changed = hub.commit(
            "main",
            f"{sum(shard.rows for shard in shards)} images in {len(shards)} shards",
            add={
                "README.md": write_card(repo_id, workspace, layout, shards).encode(),
                SUMS_FILE: sums_text(sums),
                **tables,
            },
            copy=sorted(wanted - finished.keys()),
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
        in_no_split=reserved.in_no_split,
        dry_run=options.dry_run,
        changed=changed,
    )


class _Sending:
    """Shards on their way to the branch: packed until the disk has what it may, sent, compared, removed."""

    def __init__(
        self, workspace: Workspace, hub: DatasetOnHub, layout: Layout, options: PublishOptions, log: Log
    ) -> None:
        self._workspace, self._hub, self._layout, self._log = workspace, hub, layout, log
        self._options = options
        self._files: dict[str, Path] = {}
        self._sizes = 0

    def send(self, missing: Sequence[PlannedShard], staged: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
        """Pack and send the missing shards; `staged` are on the branch already. Returns what was sent, by path."""
        sent: dict[str, StoredFile] = {}
        with (
            scratch_folder(self._workspace.manifest / ".shards") as folder,
            task("publishing images", total=sum(shard.rows for shard in missing)) as progress,
        ):
            packed = pack_shards(self._workspace, self._layout, missing, folder, self._options.hub)
            for shard in missing:
                if self._files and self._sizes + shard.file_size > self._options.staging_bytes:
                    self._commit(staged, sent)
                _, path = next(packed)
                self._files[shard.path] = path
                self._sizes += path.stat().st_size
                progress.advance(shard.rows, shard.path)
            if self._files:
                self._commit(staged, sent)
        return sent

    def _commit(self, staged: Mapping[str, StoredFile], sent: dict[str, StoredFile]) -> None:
        now = {
            path: StoredFile(file.stat().st_size, sha256_of_file(file)) for path, file in sorted(self._files.items())
        }
        sums = sums_text(_sums_of({**staged, **sent, **now}))
        self._hub.commit(BRANCH, "Add shards", add={**self._files, SUMS_FILE: sums})
        _verify(self._hub, BRANCH, now)
        self._log.event("sent", shards=list(now))
        sent.update(now)
        for file in self._files.values():
            file.unlink()
        self._files, self._sizes = {}, 0


def _refuse_in_public(hub: DatasetOnHub, options: PublishOptions, reserved: Reservations) -> None:
    """Refuse to show everybody what may not be passed on."""
    if reserved.not_to_be_passed_on and (options.public or hub.is_public()):
        raise UsageError(
            f"{hub.repo_id} {'would be' if options.public else 'is'} public, and {reserved.not_to_be_passed_on} real "
            "images of the manifest may not be passed on, or nobody knows that they may; build the public edition: "
            "cf-build-manifest --edition public"
        )


def _refuse_what_does_not_add_up(workspace: Workspace) -> None:
    """Look at the manifest once more, for something may have befallen it since it was built."""
    with task("checking the manifest"):
        failures = check_manifest(
            workspace, manifest_path(workspace), existing_list(workspace), read_generators(workspace)
        )
    raise_failures(failures, "nothing was published, because manifest/ is damaged: run `cf-build-manifest` again")


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
    return tables


def _verify(hub: DatasetOnHub, revision: str, wanted: Mapping[str, StoredFile]) -> None:
    """Compare size and sha256 of files with what the Hub says of them."""
    there = hub.files(revision)
    wrong = sorted(path for path, file in wanted.items() if there.get(path) != file)
    if wrong:
        raise HubError(
            f"{hub.repo_id}@{revision}: the Hub does not hold what was sent as {', '.join(wrong[:3])}"
            f"{' and others' if len(wrong) > 3 else ''}; run the same command again"
        )


def _whole(there: Mapping[str, StoredFile], sums: Sums) -> dict[str, StoredFile]:
    """The recorded shards whose content, as the Hub states it, is the recorded one."""
    recorded = {path: there[path] for path in sums if path.startswith(SHARDS) and path in there}
    return {path: file for path, file in recorded.items() if file.sha256 == sums[path]}


def _sums_of(files: Mapping[str, StoredFile]) -> Sums:
    return {path: file.sha256 for path, file in files.items() if file.sha256 is not None}


def _sums(hub: DatasetOnHub, revision: str) -> Sums:
    """What `SHA256SUMS` says at a revision; empty where there is none."""
    try:
        return parse_sums(hub.read(revision, SUMS_FILE) or b"")
    except ValueError as error:
        raise HubError(f"{hub.repo_id}@{revision}: {SUMS_FILE} is not one this program wrote: {error}") from error
