"""A downloaded dataset: a folder whose files are compared with their checksums, and to which shards of restored real
images are added.

`SHA256SUMS.restored`, which has the form of `SHA256SUMS`, lists the added shards. A shard is recorded there before it
gets its name, and its record is removed after it; so whatever is interrupted, no added shard is unknown, and a recorded
shard that does not exist is still to be made.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from manifests.manifest import REAL_SUBSET
from manifests.publishing.card import REAL_IMAGES_FILE, with_splits
from manifests.publishing.checksums import CHECKSUMS_FILE, SHARDS, Checksums, checksums_text, parse_checksums
from manifests.publishing.planning import split_of
from manifests.publishing.published import MIXED_SPLITS
from workspace.atomic import remove_partial, write_bytes
from workspace.errors import CommunityForensicsError, UsageError, is_refusal
from workspace.identity import sha256_of_file
from workspace.number_text import counted, form
from workspace.progress import task

RESTORED_FILE = f"{CHECKSUMS_FILE}.restored"

#: Names of shards of real images: no other file is ever recorded, and so no other is ever removed.
_RESTORED = re.compile(
    rf"{SHARDS}(?:{'|'.join([REAL_SUBSET, *MIXED_SPLITS.values()])})-r[0-9]{{2,}}-[0-9a-f]{{20}}\.parquet", re.ASCII
)

_CARD = "README.md"
_THREADS = 8
#: Files that a message names.
_NAMED = 3


class Download:
    """The dataset in a folder. Raises `UsageError` when the folder has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not all((folder / name).is_file() for name in (CHECKSUMS_FILE, _CARD)):
            raise UsageError(
                f"{folder} is not a downloaded dataset, because it lacks {CHECKSUMS_FILE} or {_CARD}: name with "
                "--workspace the folder of `hf download ORG/NAME --repo-type dataset --local-dir FOLDER`"
            )
        self._checksums = self._read_checksums(CHECKSUMS_FILE)
        if not self.shards:
            raise UsageError(
                f"{folder / CHECKSUMS_FILE} lists no file in {SHARDS}: download a dataset that cf-publish published"
            )
        self._recorded = self._read_checksums(RESTORED_FILE)
        for path in self._recorded:
            if path in self._checksums or not _RESTORED.fullmatch(path):
                raise UsageError(f"{folder / RESTORED_FILE} lists {path!r}, which --restore did not write: remove it")

    @property
    def files(self) -> int:
        """How many files came with the download."""
        return len(self._checksums)

    @property
    def real_images(self) -> Path | None:
        """The list of the real images that it leaves out; None: it has no such list."""
        return self.folder / REAL_IMAGES_FILE if REAL_IMAGES_FILE in self._checksums else None

    @property
    def shards(self) -> list[Path]:
        """The shards that came with the download."""
        return [self.folder / path for path in sorted(self._checksums) if path.startswith(SHARDS)]

    @property
    def restored(self) -> dict[str, Path]:
        """The shards that were restored so far, by their path in the dataset."""
        return {path: self.folder / path for path in sorted(self._recorded) if (self.folder / path).exists()}

    def verify(self) -> None:
        """Compare all files with their checksums.

        Raises `CommunityForensicsError` when one is damaged or missing, `UsageError` for shards that are not part of
        the dataset: whoever reads the folder would read them as well.
        """
        ours = {f"{self.folder / path}" for path in self._checksums.keys() | self._recorded.keys()}
        foreign = sorted(str(path) for path in (self.folder / SHARDS).glob("*.parquet") if str(path) not in ours)
        if foreign:
            are, them = form(len(foreign), "is", "are"), form(len(foreign), "it", "them")
            raise UsageError(
                f"{_named(foreign)} {are} not part of this version of the dataset, but would be read with it: remove "
                f"{them}, or download the dataset into an empty folder"
            )
        remove_partial(self.folder)
        present = {path: self._recorded[path] for path in self.restored}
        with task("verifying files", total=len(self._checksums) + len(present)) as checking:
            damaged = list(self._differing(self._checksums, checking.advance))
            badly_restored = list(self._differing(present, checking.advance))
        if damaged:
            are, them = form(len(damaged), "is", "are"), form(len(damaged), "it", "them")
            raise CommunityForensicsError(
                f"{counted(len(damaged), 'file')} in {self.folder} {are} missing, or not what {CHECKSUMS_FILE} says: "
                f"{_named(damaged)}; remove {them}, and run the same `hf download` again"
            )
        if badly_restored:
            number = len(badly_restored)
            raise CommunityForensicsError(
                f"{counted(number, 'restored file')} in {self.folder} {form(number, 'has', 'have')} changed since: "
                f"{_named(badly_restored)}; remove {form(number, 'it', 'them')}, and run the same command again"
            )

    def add(self, path: str, shard: Path) -> None:
        """Move a finished shard to `path` in the dataset."""
        self._record({**self._recorded, path: sha256_of_file(shard)})
        shard.replace(self.folder / path)

    def keep_only(self, planned: Collection[str]) -> None:
        """Name the splits of all shards in the card, and remove the restored shards that are not `planned`."""
        splits = {split_of(path) for path in [*planned, *self._checksums] if path.startswith(SHARDS)}
        self._name_splits(sorted(splits))
        for path in self.restored.keys() - set(planned):
            (self.folder / path).unlink()
        self._record({path: self._recorded[path] for path in planned})

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

    def _record(self, recorded: Checksums) -> None:
        if recorded != self._recorded:
            write_bytes(self.folder / RESTORED_FILE, checksums_text(recorded))
            self._recorded = recorded

    def _differing(self, checksums: Mapping[str, str], advance: Callable[[int, str], None]) -> Iterator[str]:
        def differs(path: str) -> bool:
            try:
                return sha256_of_file(self.folder / path) != checksums[path]
            except OSError as error:
                if is_refusal(error):
                    raise
                return True

        with ThreadPoolExecutor(_THREADS) as threads:
            for path, wrong in zip(sorted(checksums), threads.map(differs, sorted(checksums)), strict=True):
                advance(1, path)
                if wrong:
                    yield path

    def _read_checksums(self, name: str) -> Checksums:
        path = self.folder / name
        try:
            return parse_checksums(path.read_bytes()) if path.exists() else {}
        except ValueError as error:
            raise UsageError(f"{path} was not written by this program ({error}): download the dataset again") from error


def _named(paths: list[str]) -> str:
    """The first paths, and how many more."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
