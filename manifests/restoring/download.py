"""A published dataset as somebody downloaded it: a folder whose files are compared with the sums that came with them,
and to which shards of restored real images are added.

Which shards were added is told by `SHA256SUMS.restored`, of the same form as `SHA256SUMS`. A shard is entered there
before it gets its name, and crossed out after it is gone, so whatever is killed, none is there unknown; what is
entered and not there is owed.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from manifests.manifest import REAL_SUBSET
from manifests.publishing.card import REAL_IMAGES_FILE, with_splits
from manifests.publishing.published import EVALUATION
from manifests.publishing.sums import SHARDS, SUMS_FILE, Sums, parse_sums, sums_text
from workspace.atomic import remove_partial, write_bytes
from workspace.errors import CommunityForensicsError, UsageError
from workspace.identity import sha256_of_file
from workspace.progress import task

RESTORED_SUMS_FILE = f"{SUMS_FILE}.restored"

#: What a shard of real images is called: nothing else is ever entered, and so nothing else ever removed.
_RESTORED = re.compile(rf"{SHARDS}(?:{REAL_SUBSET}|{EVALUATION})-[0-9a-f]{{20}}\.parquet", re.ASCII)

_CARD = "README.md"
_THREADS = 8
#: Files that a message names.
_NAMED = 3


class Download:
    """The dataset in a folder. Raises `UsageError` when there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not all((folder / name).is_file() for name in (SUMS_FILE, _CARD)):
            raise UsageError(
                f"{folder} is no downloaded dataset (it lacks {SUMS_FILE} or {_CARD}): give with --workspace the "
                "folder of `hf download ORG/NAME --repo-type dataset --local-dir FOLDER`"
            )
        self._sums = self._read_sums(SUMS_FILE)
        if not self.shards:
            raise UsageError(f"{folder / SUMS_FILE} names no file in {SHARDS}: it is no published dataset's")
        self._entered = self._read_sums(RESTORED_SUMS_FILE)
        for path in self._entered:
            if path in self._sums or not _RESTORED.fullmatch(path):
                raise UsageError(f"{folder / RESTORED_SUMS_FILE} names {path!r}, which no restoring wrote: remove it")

    @property
    def files(self) -> int:
        """How many files came with it."""
        return len(self._sums)

    @property
    def real_images(self) -> Path | None:
        """The list of real images that it leaves out; None: it has none."""
        return self.folder / REAL_IMAGES_FILE if REAL_IMAGES_FILE in self._sums else None

    @property
    def shards(self) -> list[Path]:
        """The shards that came with it."""
        return [self.folder / path for path in sorted(self._sums) if path.startswith(SHARDS)]

    @property
    def restored(self) -> dict[str, Path]:
        """The shards that were restored so far, by their path in the dataset."""
        return {path: self.folder / path for path in sorted(self._entered) if (self.folder / path).exists()}

    def verify(self) -> None:
        """Compare all files with their sums.

        Raises `CommunityForensicsError` when one is damaged or missing, `UsageError` for shards that are none of the
        dataset's: who reads the folder would read them too.
        """
        ours = {f"{self.folder / path}" for path in self._sums.keys() | self._entered.keys()}
        strange = sorted(str(path) for path in (self.folder / SHARDS).glob("*.parquet") if str(path) not in ours)
        if strange:
            raise UsageError(
                f"{_some(strange)} are not of this version of the dataset, and would be read with it: remove them, or "
                "download it into an empty folder"
            )
        remove_partial(self.folder)
        present = {path: self._entered[path] for path in self.restored}
        with task("verifying files", total=len(self._sums) + len(present)) as checking:
            damaged = list(self._differing(self._sums, checking.advance))
            badly_restored = list(self._differing(present, checking.advance))
        if damaged:
            raise CommunityForensicsError(
                f"{_some(damaged)} in {self.folder} are missing, or not what {SUMS_FILE} says: remove them, and "
                "run the same `hf download` again"
            )
        if badly_restored:
            raise CommunityForensicsError(
                f"{_some(badly_restored)} in {self.folder} were restored and have changed since: remove them, and "
                "run the same command again"
            )

    def add(self, path: str, shard: Path) -> None:
        """Move a finished shard to `path` in the dataset."""
        self._enter({**self._entered, path: sha256_of_file(shard)})
        shard.replace(self.folder / path)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Name the splits that there are now in the card, and remove the restored shards that are not wanted."""
        splits = {Path(path).name.rpartition("-")[0] for path in [*wanted, *self._sums] if path.startswith(SHARDS)}
        self._name_splits(sorted(splits))
        for path in self.restored.keys() - set(wanted):
            (self.folder / path).unlink()
        self._enter({path: self._entered[path] for path in wanted})

    def _name_splits(self, splits: list[str]) -> None:
        path = self.folder / _CARD
        before = path.read_bytes()
        try:
            after = with_splits(before.decode(), splits).encode()
        except ValueError as error:
            raise CommunityForensicsError(
                f"{path} is not the dataset's card ({error}): download it again, and run the same command again"
            ) from error
        if after != before:
            write_bytes(path, after)

    def _enter(self, entered: Sums) -> None:
        if entered != self._entered:
            write_bytes(self.folder / RESTORED_SUMS_FILE, sums_text(entered))
            self._entered = entered

    def _differing(self, sums: Mapping[str, str], advance: Callable[[int, str], None]) -> Iterator[str]:
        def differs(path: str) -> bool:
            try:
                return sha256_of_file(self.folder / path) != sums[path]
            except OSError:
                return True

        with ThreadPoolExecutor(_THREADS) as threads:
            for path, wrong in zip(sorted(sums), threads.map(differs, sorted(sums)), strict=True):
                advance(1, path)
                if wrong:
                    yield path

    def _read_sums(self, name: str) -> Sums:
        path = self.folder / name
        try:
            return parse_sums(path.read_bytes()) if path.exists() else {}
        except ValueError as error:
            raise UsageError(f"{path} is not one this program wrote: {error}") from error


def _some(paths: list[str]) -> str:
    """A few of the paths, and how many more."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
