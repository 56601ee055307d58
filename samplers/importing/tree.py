"""What others published, opened: a folder tree, archives, Parquet files, or a data set of the Hub; mixed as they like.

    root/a/b.png                       an image
    root/part.zip, root/part.tar       archives of images and side files
    root/train.parquet                 a row each, with columns
    hf://ORG/NAME[@REVISION]           the same on the Hub

An image's name is its path in what was imported: a/b.png, part.zip#a/b.png, train.parquet#row=000000017. Nothing is
opened here but lists of names, and those in a process with limits (`workspace.containers`).
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from captioning.sources.columns import Columns
from captioning.sources.folder import SUFFIXES, SYSTEM_FOLDERS, every_file
from captioning.sources.hub_dataset import is_hub_dataset, read_hub_dataset
from workspace.containers import HUB, DamagedFileError, ParquetImages, Tar, Zip
from workspace.errors import UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.locator import LocatorReader, hub_errors, row_and_column, row_locator
from workspace.regular_file import open_regular
from workspace.threads import each

#: Suffixes of containers.
_ARCHIVES, _TABLES = (".tar", ".zip"), (".parquet",)
#: Side files: with the prompts of many images, or of one.
_TEXTS = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".caption")
#: Bytes of an image, or of a table of prompts, that are looked at, at most.
_LARGEST = 1 << 30
#: Files that are hashed at a time.
_AT_A_TIME = 4


@dataclass(frozen=True)
class Tree:
    """All files of an import; `root`: a folder, or hf://datasets/ORG/NAME@COMMIT."""

    root: str
    names: Sequence[str]
    """Of images, sorted."""
    side_files: frozenset[str] = frozenset()
    """Names of text files, in archives too."""
    others: Mapping[str, int] = field(default_factory=dict)
    """How many files of which suffix are neither images nor side files nor containers."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Images in archives that cannot be read, such as links, with the reason."""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The columns of each Parquet file, but for those of images."""
    hub: HubAccess = field(default_factory=HubAccess)

    @cached_property
    def _reader(self) -> LocatorReader:
        return LocatorReader(self.hub)

    @property
    def _within(self) -> Path | None:
        return None if self.root.startswith(HUB) else Path(self.root)

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of an image or side file. Raises `OSError`, and `HubError` where the Hub does not answer."""
        if name in self.unread:
            raise OSError(None, self.unread[name])
        return self._reader.read(f"{self.root}/{name}", self._within, limit)

    def values(self, name: str, columns: Sequence[str]) -> dict[str, Any]:
        """The values of columns of an image's row; empty for one that is in no Parquet file, or a column it lacks."""
        container, _, inside = name.partition("#")
        known = [column for column in columns if column in self.columns.get(container, ())]
        if not known:
            return {}
        row, _ = row_and_column(inside)
        return self._reader.values(f"{self.root}/{container}", row, known, self._within)

    def folder(self, name: str) -> str:
        """The folder of an image; an archive counts as one of its name, unless all images are in it."""
        container, _, inside = name.partition("#")
        if not self._is_inside(name):
            return name.rpartition("/")[0]
        above = container.rpartition("/")[0]
        if container.lower().endswith(_TABLES):
            return above
        whole = [above] if self._is_one_archive else [container.rpartition(".")[0]]
        return "/".join(part for part in (*whole, inside.rpartition("/")[0]) if part)

    @cached_property
    def _is_one_archive(self) -> bool:
        return len({name.partition("#")[0] for name in self.names}) == 1

    def revision(self, names: Iterable[str], side_files: Iterable[str]) -> list[tuple[str, str]]:
        """What identifies the content of some images and side files: each file with its sha256. On the Hub a commit
        says it, and nothing is read."""
        files = sorted({name.partition("#")[0] if self._is_inside(name) else name for name in (*names, *side_files)})
        if self.root.startswith(HUB):
            return [(self.root, name) for name in files]
        root = Path(self.root)
        hashed = dict(each(lambda name: (name, _hash(root / name, root)), files, _AT_A_TIME))
        return [(name, hashed[name]) for name in files]

    def _is_inside(self, name: str) -> bool:
        """Whether an image is inside a container."""
        container, mark, _ = name.partition("#")
        return bool(mark) and container.lower().endswith((*_ARCHIVES, *_TABLES))


def open_tree(path: str, columns: Columns = Columns(), hub: HubAccess = HubAccess()) -> Tree:
    """Open what is at a path. Raises `UsageError` where it holds no images, or a container is damaged; `HubError`."""
    if is_hub_dataset(path):
        return _of_the_hub(path, columns, hub)
    place = Path(path).expanduser()
    if place.is_file():
        return _listed(place.parent.resolve(), [place.name], columns, hub, path)
    if not place.is_dir():
        raise UsageError(f"{path} does not exist: name a folder, an archive, a Parquet file or hf://ORG/NAME")
    root_folder = place.resolve()
    return _listed(root_folder, sorted(every_file(root_folder)), columns, hub, path)


def _of_the_hub(path: str, columns: Columns, hub: HubAccess) -> Tree:
    root, found = read_hub_dataset(path, columns, hub)
    containers = sorted({name.partition("#")[0] for name in found.ids if "#" in name})
    known: dict[str, Sequence[str]] = {}
    sides: set[str] = set()
    for one in containers:
        if one.lower().endswith(_TABLES):
            known[one] = _columns(_parquet(f"{root}/{one}", None, hub), columns)
        else:
            with hub_errors(one):
                archive = Tar(f"{root}/{one}", hub)
            archive.close()
            sides |= {f"{one}#{name}" for name in archive.members if _suffix(name) in _TEXTS}
    return Tree(root=root, names=sorted(found.ids), side_files=frozenset(sides), columns=known, hub=hub)


def _listed(root: Path, files: Sequence[str], columns: Columns, hub: HubAccess, shown: str) -> Tree:
    names: list[str] = []
    sides: set[str] = set()
    others: Counter[str] = Counter()
    unread: dict[str, str] = {}
    known: dict[str, Sequence[str]] = {}

    def take(name: str, why: str = "") -> None:
        suffix = _suffix(name)
        parts = PurePosixPath(name.partition("#")[2]).parts
        if any((part.startswith(".") and part != "..") or part in SYSTEM_FOLDERS for part in parts):
            others["(hidden)"] += 1
        elif suffix in SUFFIXES:
            names.append(name)
            if why or ".." in parts:
                unread[name] = why or "its name leads out of the archive"
        elif suffix in _TEXTS:
            sides.add(name)
        else:
            others[suffix or "(no suffix)"] += 1

    for file in files:
        suffix = _suffix(file)
        if suffix in _ARCHIVES:
            archive = _archive(root / file, root)
            for member in archive.members:
                take(f"{file}#{member}")
            for member, why in archive.irregular.items():
                take(f"{file}#{member}", why)
        elif suffix in _TABLES:
            table = _parquet(str(root / file), root, hub)
            known[file] = _columns(table, columns)
            if table.image_columns or columns.image in table.columns:
                names += [f"{file}#{row_locator(row, columns.image)}" for row in range(table.rows)]
            else:
                others[f"{suffix} (without images)"] += 1
        else:
            take(file)
    if not names:
        raise UsageError(
            f"{shown} holds no images: neither files (.jpg, .png, .webp, ...), nor archives or tables of them"
        )
    return Tree(str(root), sorted(names), frozenset(sides), dict(others), unread, known, hub)


def _columns(table: ParquetImages, columns: Columns) -> list[str]:
    return [name for name in table.columns if name not in (*table.image_columns, columns.image)]


def _archive(path: Path, within: Path) -> Tar | Zip:
    """An archive, closed again: its names are known."""
    try:
        archive = (Tar if path.suffix.lower() == ".tar" else Zip)(str(path), within=within)
    except DamagedFileError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): download it again, or move it away") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or in_one_line(error)})") from error
    archive.close()
    return archive


def _parquet(path: str, within: Path | None, hub: HubAccess) -> ParquetImages:
    try:
        table = ParquetImages(path, hub, within)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): download it again, or move it away") from error
    table.close()
    return table


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _hash(path: Path, within: Path) -> str:
    """The sha256 of a file; of one that cannot be read, which an image's row says, the name of the error."""
    try:
        with open_regular(path, within) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST and path.suffix.lower() not in (*_ARCHIVES, *_TABLES):
                # Its row says no more; a file that is a hole has any size, and takes no space.
                return f"too large: {size:,} bytes"
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except OSError as error:
        return f"unreadable: {os.strerror(error.errno or 0)}"
