"""Publishing: the dataset on the Hub, of which readers see the old version or the new one, never half.

Shards go to a branch of their own, a few at a time, and each one's size and sha256 there is compared with what was
sent. When all are there, one commit on `main` copies them over (the Hub copies names, no bytes), adds the card and the
tables, and removes the shards that this program put there earlier and that are no longer part of the dataset; then the
branch goes. Until that commit, `main` is what it was; after it, it is the new version.

A shard's name is a hash of its rows, and `SHA256SUMS`, committed with the shards, has its content's. So a run that was
interrupted, or a second one, knows what is there without packing it again: what the branch or `main` holds under
its name, with the sha256 that was recorded, is not sent again. `SHA256SUMS` also says which files are ours: nothing
else is ever removed.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.card import GENERATORS_FILE, REAL_IMAGES_FILE, write_card
from manifests.generators import generators_path
from manifests.hub import DatasetOnHub, StoredFile
from manifests.packing import PlannedShard, pack_shards, plan_shards, unpublished_real_images
from manifests.scratch import scratch_folder
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.progress import Log, task

#: Where shards wait until all are there.
BRANCH = "cf-publish"

#: Shards packed, sent and committed together: what lies on this disk at once, and what an interruption costs at most.
#: The Hub allows about a hundred commits an hour.
STAGED_SHARDS = 8

SUMS_FILE = "SHA256SUMS"

# What a repository may hold before its first publishing: what the Hub itself puts there.
_OF_THE_HUB = frozenset({".gitattributes", "README.md"})


@dataclass(frozen=True)
class Published:
    """What publishing came to."""

    repo_id: str
    shards: int
    rows: int
    sent: int
    sent_bytes: int
    removed: int
    dry_run: bool
    changed: bool
    splits: dict[str, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """The same, for the reader."""
        splits = ", ".join(f"{name} {rows}" for name, rows in self.splits.items())
        yield f"{self.repo_id}: {self.rows} rows ({splits}) in {self.shards} shards"
        sent = f"{self.sent} shards ({self.sent_bytes / 1e6:.1f} MB of images)"
        if self.dry_run:
            yield f"dry run: {sent} would be sent, {self.removed} of an earlier version removed"
        elif not self.changed:
            yield "nothing new: all of it is there already"
        else:
            yield f"sent {sent}, removed {self.removed} of an earlier version, all verified"


def publish_dataset(workspace: Workspace, repo_id: str, public: bool, dry_run: bool, max_shard_bytes: int) -> Published:
    """Bring the Hub's dataset `repo_id` to what the manifest says.

    A dataset that does not exist yet is made, private unless `public`. Raises `UsageError` without a manifest or for
    a name that is none, `CommunityForensicsError` for images that are no longer what the manifest says, `HubError`
    when the Hub refuses or fails.
    """
    hub = DatasetOnHub(repo_id)
    log = Log(workspace, "publish")
    with task("planning shards"):
        shards = plan_shards(workspace, max_shard_bytes)
    if not shards:
        raise UsageError(f"{workspace.manifest} holds no image: sample some generators, then run `cf-build-manifest`")
    if not dry_run:
        hub.create(private=not public)
    there = hub.files("main")
    ours = _sums(hub, "main") if SUMS_FILE in there else {}
    if not ours and (foreign := sorted(there.keys() - _OF_THE_HUB)):
        raise HubError(
            f"{repo_id} holds something else ({', '.join(foreign[:3])}), which this program did not write; "
            "name a dataset that is empty or does not exist"
        )
    finished = _whole(there, ours)
    staged = _whole(hub.files(BRANCH), _sums(hub, BRANCH)) if hub.has_branch(BRANCH) else {}
    missing = [shard for shard in shards if shard.path not in finished | staged]
    wanted = {shard.path for shard in shards}
    obsolete = sorted((ours.keys() & there.keys()) - wanted)

    changed = False
    if not dry_run:
        if not wanted <= finished.keys():
            hub.make_branch(BRANCH)
        staged |= _send(workspace, hub, missing, staged, log)
        sums = {path: (finished | staged)[path] for path in sorted(wanted)}
        changed = _finish(workspace, hub, shards, sums, finished.keys(), obsolete)
        _verify(hub, "main", sums)
        hub.remove_branch(BRANCH)
        log.event("published", dataset=repo_id, shards=len(shards), sent=len(missing), changed=changed)
    return Published(
        repo_id=repo_id,
        shards=len(shards),
        rows=sum(shard.rows for shard in shards),
        sent=len(missing),
        sent_bytes=sum(shard.image_bytes for shard in missing),
        removed=len(obsolete),
        dry_run=dry_run,
        changed=changed,
        splits=_rows_by_split(shards),
    )


def _send(
    workspace: Workspace, hub: DatasetOnHub, missing: Sequence[PlannedShard], staged: dict[str, str], log: Log
) -> dict[str, str]:
    """Pack the missing shards and commit them to the branch; returns the sha256 of each by path."""
    sent: dict[str, str] = {}
    with (
        scratch_folder(workspace.manifest / ".shards") as folder,
        task("publishing images", total=sum(shard.rows for shard in missing)) as progress,
    ):
        packed = pack_shards(workspace, missing, folder)
        for start in range(0, len(missing), STAGED_SHARDS):
            files: dict[str, Path] = {}
            for _ in missing[start : start + STAGED_SHARDS]:
                shard, path = next(packed)
                files[shard.path] = path
                sent[shard.path] = sha256_of_file(path)
                progress.advance(shard.rows, shard.path)
            add: dict[str, Path | bytes] = {**files, SUMS_FILE: _sums_text(staged | sent)}
            hub.commit(BRANCH, "Add shards", add=add)
            _verify(hub, BRANCH, {path: sent[path] for path in files})
            log.event("sent", shards=sorted(files))
            for path in files.values():
                path.unlink()
    return sent


def _finish(
    workspace: Workspace,
    hub: DatasetOnHub,
    shards: Sequence[PlannedShard],
    sums: dict[str, str],
    finished: Iterable[str],
    obsolete: Sequence[str],
) -> bool:
    """The one commit that makes the new version visible; returns whether there was anything to commit."""
    listed = unpublished_real_images(workspace)
    card = write_card(hub.repo_id, workspace, shards, listed.num_rows)
    add: dict[str, Path | bytes] = {
        "README.md": card.encode(),
        SUMS_FILE: _sums_text(sums),
        GENERATORS_FILE: generators_path(workspace),
        GENERATORS_FILE.replace(".parquet", ".csv"): generators_path(workspace).with_suffix(".csv"),
        REAL_IMAGES_FILE: _parquet(listed),
    }
    rows = sum(shard.rows for shard in shards)
    return hub.commit(
        "main",
        f"{rows} images in {len(shards)} shards",
        add=add,
        copy=sorted(sums.keys() - set(finished)),
        copy_from=BRANCH,
        delete=obsolete,
    )


def _verify(hub: DatasetOnHub, revision: str, sums: dict[str, str]) -> None:
    there = hub.files(revision)
    wrong = [path for path, sha256 in sums.items() if path not in there or there[path].sha256 != sha256]
    if wrong:
        raise HubError(
            f"{hub.repo_id}@{revision}: the Hub does not hold what was sent as {', '.join(wrong[:3])}"
            f"{' and others' if len(wrong) > 3 else ''}; run the same command again"
        )


def _whole(there: dict[str, StoredFile], sums: dict[str, str]) -> dict[str, str]:
    """The recorded shards whose content, as the Hub states it, is the recorded one."""
    return {path: sha256 for path, sha256 in sums.items() if path in there and there[path].sha256 == sha256}


def _sums(hub: DatasetOnHub, revision: str) -> dict[str, str]:
    """What `SHA256SUMS` says at a revision: the sha256 of each file by path; empty where there is none."""
    sums = {}
    for line in (hub.read(revision, SUMS_FILE) or b"").decode("utf-8", "replace").splitlines():
        sha256, _, path = line.partition("  ")
        if not path.startswith("data/"):
            raise CommunityForensicsError(f"{hub.repo_id}@{revision}: {SUMS_FILE} is not one this program wrote")
        sums[path] = sha256
    return sums


def _sums_text(sums: dict[str, str]) -> bytes:
    return "".join(f"{sha256}  {path}\n" for path, sha256 in sorted(sums.items())).encode()


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _rows_by_split(shards: Iterable[PlannedShard]) -> dict[str, Any]:
    rows: dict[str, int] = {}
    for shard in shards:
        rows[shard.split] = rows.get(shard.split, 0) + shard.rows
    return rows
