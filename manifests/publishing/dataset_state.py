"""What the Hub has of a dataset: on `main`, and on the branch where shards wait.

`SHA256SUMS` tells which files this program wrote; every other file is somebody else's and stays. Publishing is refused
where readers would take such a file for rows of the dataset.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from manifests.publishing.checksums import CHECKSUMS_FILE, SHARDS, TABLES, Checksums, parse_checksums
from manifests.publishing.repository import DatasetOnHub, StoredFile
from workspace.errors import HubError
from workspace.number_text import form

CARD_FILE = "README.md"

#: The branch where shards wait until all are on the Hub.
BRANCH = "cf-publish"

# What a repository may contain before its first publishing beside a card: documents and programs, which no reader takes
# for data.
_DOCUMENTS = frozenset({"", ".md", ".txt", ".rst", ".pdf", ".cff", ".bib", ".py", ".sh", ".toml", ".yaml", ".yml"})


@dataclass(frozen=True)
class BranchState:
    """A branch at one commit (None: it does not exist): its files, and those that `SHA256SUMS` lists."""

    head: str | None
    files: Mapping[str, StoredFile]
    ours: Checksums

    @property
    def shards(self) -> dict[str, StoredFile]:
        """The shards whose sha256 is the recorded one."""
        recorded = {path: self.files[path] for path in self.ours if path.startswith(SHARDS) and path in self.files}
        return {path: file for path, file in recorded.items() if file.sha256 == self.ours[path]}


def state_of(hub: DatasetOnHub, branch: str) -> BranchState:
    """What a branch has now."""
    if (head := hub.head(branch)) is None:
        return BranchState(None, {}, {})
    # All at one commit: the branch may move meanwhile.
    files = hub.files(head)
    return BranchState(head, files, _checksums(hub, head) if CHECKSUMS_FILE in files else {})


def check_strangers(hub: DatasetOnHub, main: BranchState, planned: Collection[str], splits: Collection[str]) -> None:
    """Raise `HubError` for files of others that readers would take for rows, or that are another dataset.

    `planned`: the paths of this dataset's shards; `splits`: the names of its splits.
    """
    others = sorted(main.files.keys() - main.ours.keys() - {*planned})
    if not main.ours and (foreign := [path for path in others if not _is_document(hub, path)]):
        raise HubError(
            f"{hub.repo_id} contains files that cf-publish did not write ({', '.join(foreign[:3])}): name a dataset "
            "that is empty or does not exist"
        )
    patterns = [f"{SHARDS}{split}-*.parquet" for split in splits]
    rows = [path for path in others if any(fnmatchcase(path, pattern) for pattern in patterns)]
    if rows:
        named = f"{', '.join(rows[:3])}{f' and {len(rows) - 3} more' if len(rows) > 3 else ''}"
        raise HubError(
            f"{hub.repo_id}: readers take {named} for rows of this dataset, but {CHECKSUMS_FILE} does not list "
            f"{form(len(rows), 'it', 'them')}, so cf-publish did not write {form(len(rows), 'it', 'them')}: delete "
            f"{form(len(rows), 'it', 'them')} there, then run the same command again"
        )


def _is_document(hub: DatasetOnHub, path: str) -> bool:
    """Whether a file may be there before the first publishing. A program of the dataset's name loads its data."""
    name = hub.repo_id.rpartition("/")[2]
    if path.startswith((SHARDS, TABLES)) or path in (CHECKSUMS_FILE, f"{name}.py"):
        return False
    return path == ".gitattributes" or PurePosixPath(path).suffix.lower() in _DOCUMENTS


def _checksums(hub: DatasetOnHub, revision: str) -> Checksums:
    """What `SHA256SUMS` says at a revision; empty where there is none."""
    try:
        return parse_checksums(hub.read(revision, CHECKSUMS_FILE) or b"")
    except ValueError as error:
        raise HubError(
            f"{hub.repo_id}@{revision}: {CHECKSUMS_FILE} was not written by cf-publish ({error}): name another dataset"
        ) from error
