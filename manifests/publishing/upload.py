"""Shards on their way to the Hub: packed until --max-staging is reached, sent to a branch, verified, removed here.

Several publishers may use the branch at once: each commit names the commit that it follows, and is made again after
somebody else's.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from manifests.options import PublishOptions
from manifests.publishing.checksums import CHECKSUMS_FILE, Checksums, checksums_text
from manifests.publishing.dataset_state import BRANCH, BranchState, state_of
from manifests.publishing.layouts import Layout
from manifests.publishing.packing import pack_on, pack_shards
from manifests.publishing.planning import PlannedShard
from manifests.publishing.repository import DatasetOnHub, MovedError, StoredFile
from manifests.scratch import scratch_folder
from workspace.errors import HubError
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.progress import Log, task

#: Times that somebody else may be faster before the command gives up.
TRIES = 5


class Upload:
    """The branch of a dataset, with the shards that wait there."""

    def __init__(
        self,
        workspace: Workspace,
        hub: DatasetOnHub,
        layout: Layout,
        options: PublishOptions,
        log: Log,
        branch: BranchState,
    ) -> None:
        self._workspace, self._hub, self._layout, self._log = workspace, hub, layout, log
        self._options = options
        self._branch = branch
        self._sent: dict[str, StoredFile] = {}
        self._files: dict[str, Path] = {}
        self._bytes = 0

    @property
    def head(self) -> str | None:
        """The last known commit of the branch; None where there is no branch."""
        return self._branch.head

    @property
    def shards(self) -> dict[str, StoredFile]:
        """The shards that wait there."""
        return self._branch.shards | self._sent

    def send(self, missing: Sequence[PlannedShard]) -> None:
        """Pack and send these shards.

        Raises `MovedError` when somebody else removed the branch meanwhile, and what was sent to it is missing.
        """
        with (
            scratch_folder(self._workspace.manifest / ".shards") as folder,
            task("publishing images", total=sum(shard.rows for shard in missing)) as progress,
        ):
            for shard, path in self._packed(missing, folder):
                self._files[shard.path] = path
                self._bytes += path.stat().st_size
                progress.advance(shard.rows, shard.path)
            if self._files:
                self._commit()

    def _packed(self, missing: Sequence[PlannedShard], folder: Path) -> Iterator[tuple[PlannedShard, Path]]:
        """The shards, written; before there is no room for the next ones, those that wait are committed."""
        hub, room = self._options.hub, self._options.staging_bytes
        if (engine := self._options.open_engine()) is None:
            packed = pack_shards(self._workspace, self._layout, missing, folder, hub)
            for shard in missing:
                if self._files and self._bytes + shard.file_size > room:
                    self._commit()
                yield next(packed)
            return
        left = list(missing)
        while left:
            ends = [*accumulate(shard.file_size for shard in left)]
            together = max(1, sum(1 for end in ends if end <= room))
            yield from pack_on(engine, self._workspace, self._layout, left[:together], folder, hub)
            del left[:together]
            if left:
                self._commit()

    def _commit(self) -> None:
        now = {
            path: StoredFile(file.stat().st_size, sha256_of_file(file)) for path, file in sorted(self._files.items())
        }
        head = self._commit_after_others(now)
        verify(self._hub, BRANCH, head, now)
        self._log.event("sent", shards=list(now))
        self._sent |= now
        self._branch = BranchState(head, self._branch.files, self._branch.ours)
        for file in self._files.values():
            file.unlink()
        self._files, self._bytes = {}, 0

    def _commit_after_others(self, now: Mapping[str, StoredFile]) -> str:
        """Commit the packed files; returns the branch's commit. Its `SHA256SUMS` lists also what others sent there."""
        for tries_left in reversed(range(TRIES)):
            assert self.head is not None
            checksums = checksums_text(checksums_of({**self.shards, **now}))
            try:
                return self._hub.commit(
                    BRANCH, "Add shards", parent=self.head, add={**self._files, CHECKSUMS_FILE: checksums}
                )
            except MovedError:
                branch = state_of(self._hub, BRANCH)
                if not tries_left or branch.head is None or not self.shards.keys() <= branch.shards.keys():
                    raise
                self._branch = branch
        raise AssertionError("the last try returns or raises")


def verify(hub: DatasetOnHub, branch: str, head: str, sent: Mapping[str, StoredFile]) -> None:
    """Compare size and sha256 of files with what the Hub states after the commit `head` of a branch."""

    def wrong_at(revision: str) -> list[str]:
        on_hub = hub.files(revision)
        return sorted(path for path, file in sent.items() if on_hub.get(path) != file)

    wrong = wrong_at(branch)
    if wrong and hub.head(branch) != head:
        wrong = wrong_at(head)  # somebody else has committed since
    if wrong:
        raise HubError(
            f"{hub.repo_id}@{branch}: the Hub's copy of {', '.join(wrong[:3])}"
            f"{' and others' if len(wrong) > 3 else ''} differs from what was sent; run the same command again"
        )


def checksums_of(files: Mapping[str, StoredFile]) -> Checksums:
    """The checksums of files by path."""
    return {path: file.sha256 for path, file in files.items() if file.sha256 is not None}
