"""The folder in which the stages work on this node, and what of it is in the bucket.

The bucket counts. What of the folder is the same is known by the ETag of the object and by size and time of change of
the file (`_Known`); a file of the folder that was changed is sent on the condition that the object is still the one
that it was made from. What the folder has alone when a command starts is of a process that was killed, and goes.

Files of generators (samples/, images/, outcomes/) are sent and brought one generator at a time, by who has claimed it:
first images, then rows, then the outcome, then what is obsolete is removed. So rows never name an image that is not
there. The other files are sent every few seconds. Logs grow, and of each process's log there is one object of its own
below `logs/parts/`; the log in the folder of `cf-status` has the lines of all. Not in the bucket are `.locks/` (leases
have that), `.crawl/` and whatever begins with a dot: they are of one process.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from workspace.atomic import atomic_path, write_bytes
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace, generator_folder
from workspace.objects.bucket import Bucket, Found, GoneError
from workspace.objects.hollow import write_hollow

#: Looks at a generator until one is not disturbed by others.
_LOOKS = 10
#: Requests at a time: they wait for the store.
_THREADS = 16
#: The folders of generators' files.
_OF_GENERATORS = ("samples/", "images/", "outcomes/", "logs/stderr/")
#: What `cf-build-manifest` and `cf-publish` make and read, and the other stages do not.
_OF_MANIFEST = ("manifest/", "report/")
_LOG_PARTS = "logs/parts/"
_STATE = ".objects.json"
#: Files that several stages write.
_SHARED = ("recipe.toml", "roots.toml", "removed.parquet", "catalog.parquet")
T = TypeVar("T")


@dataclass(frozen=True)
class _Known:
    """A file that is in the bucket too."""

    etag: str
    size: int
    changed: int
    """Time of change, in nanoseconds."""
    hollow: bool = False
    """Whether only its size is here, or only some columns."""


class Replica:
    """One replica: `root` is its folder, which is this process's own."""

    def __init__(self, bucket: Bucket, root: Path) -> None:
        self._bucket, self._root, self._workspace = bucket, root, Workspace(root)
        self._known = self._read_state()
        self._log_sizes: dict[str, int] = {}
        self._own_logs = f"{_LOG_PARTS}{secrets.token_hex(8)}/"

    def bring_all(self, *, whole: bool = False, manifest: bool = False, logs: bool = False) -> None:
        """Make the folder what the bucket has; `whole`: with all images, `manifest`: with manifest and report, `logs`:
        with the logs of all processes, and their signs of life."""
        found = {
            name: one for name, one in self._bucket.listing().items() if manifest or not name.startswith(_OF_MANIFEST)
        }
        self._bring(("",), found, whole=whole)
        if logs:
            self._bring_logs(found)
            self._bring_signs(found)

    def bring_shared(self, *, manifest: bool) -> None:
        """Make the files that several stages write what the bucket has, and the prompts, and where it is used the
        manifest; after `send_others`."""
        for name in _SHARED:
            there = self._bucket.look(name)
            self._bring((name,), {} if there is None else {name: there}, whole=True)
        self._bring(("prompts/",), self._bucket.listing("prompts/"), whole=True)
        if manifest:
            for folder in _OF_MANIFEST:
                self._bring((folder,), self._bucket.listing(folder), whole=True)

    def begin(self) -> None:
        """Forget the logs of former processes in this folder; their objects have them."""
        for path in (self._root / "logs").glob("*.jsonl"):
            path.unlink()

    def bring(self, generator: str, *, whole: bool) -> None:
        """Make the files of one generator what the bucket has; `whole`: with its images."""
        for _ in range(_LOOKS):
            found = {name: one for folder in self._folders_of(generator) for name, one in self._listed(folder)}
            outcome = self._relative(self._workspace.outcome_of(generator))
            if (there := self._bucket.look(outcome)) is not None:
                found[outcome] = there
            try:
                self._bring((*self._folders_of(generator), outcome), found, whole=whole)
                return
            except GoneError:
                # Another process has put journals into a part since they were listed: the part is in the next listing.
                continue
        raise CommunityForensicsError(f"{self._bucket.address}: {generator} changes too often to be read; run again")

    def _listed(self, folder: str) -> Iterable[tuple[str, Found]]:
        return self._bucket.listing(folder).items()

    def send(self, generator: str) -> None:
        """Put what was made of one generator into the bucket. Raises `ChangedElsewhereError` where another process has
        made something else there."""
        samples, images = self._folders_of(generator)
        outcome = self._relative(self._workspace.outcome_of(generator))
        rows = dict(self._files(samples))
        pictures = dict(self._files(images))
        self._send(pictures)
        self._send(rows)
        self._send(dict(self._files(outcome)))
        self._send(dict(self._files(self._relative(self._workspace.stderr_of(generator)))))
        there = {*pictures, *rows}
        self._remove(name for name in list(self._known) if name.startswith((samples, images)) and name not in there)

    def send_others(self) -> None:
        """Put all other files that changed into the bucket, and remove there what was removed here."""
        files = {name: path for name, path in self._files("") if not name.startswith(_OF_GENERATORS)}
        logs = {name: path for name, path in files.items() if _is_log(name)}
        others = {name: path for name, path in files.items() if name not in logs}
        # What others point to comes first, the manifest's main file last.
        for turn in range(3):
            self._send({name: path for name, path in others.items() if _turn(name) == turn})
        self._remove(name for name in list(self._known) if not name.startswith(_OF_GENERATORS) and name not in others)
        self._send_logs(logs)

    def keep_state(self) -> None:
        """Note what is known, so that the next command on this node brings only what changed."""
        state = {name: asdict(known) for name, known in self._known.items()}
        write_bytes(self._root / _STATE, json.dumps(state).encode())

    # From the bucket.

    def _bring(self, below: Sequence[str], found: dict[str, Found], *, whole: bool) -> None:
        """Make what is below these names, or has one of them, what was found there."""
        wanted = {name: one for name, one in found.items() if _is_synchronised(name)}
        for name, path in [file for each in below for file in self._files(each)]:
            known = self._known.get(name)
            if name not in wanted:
                if not _is_log(name):
                    self._known.pop(name, None)
                    path.unlink(missing_ok=True)
            elif (
                known is not None
                and known.etag == wanted[name].etag
                and _is(path, known)
                and not (known.hollow and whole)
            ):
                del wanted[name]
        for name in [name for name in self._known if name.startswith(tuple(below)) and name not in found]:
            if not name.startswith(_LOG_PARTS):
                del self._known[name]
        self._each(lambda item: self._bring_one(*item, whole=whole), wanted.items())

    def _bring_one(self, name: str, found: Found, *, whole: bool) -> None:
        path, hollow = self._path(name), False
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            if not whole and name.startswith("samples/") and name.endswith(".parquet"):
                hollow = True
                write_hollow(temporary, found.size, lambda ranges: self._bucket.read_ranges(name, ranges))
            elif not whole and name.startswith("images/"):
                hollow = True
                os.truncate(temporary, found.size)
            else:
                found = self._bucket.download(name, temporary)
            # The times tell what was written after what (`samplers.storage.damage`): the server's.
            os.utime(temporary, (found.written, found.written))
        self._known[name] = _known(path, found.etag, hollow)

    def _bring_logs(self, found: dict[str, Found]) -> None:
        """Add to the logs in the folder the new lines of every process's object."""
        for name, one in sorted(found.items()):
            before = self._log_sizes.get(name, 0)
            if not name.startswith(_LOG_PARTS) or one.size <= before:
                continue
            (content,) = self._bucket.read_ranges(name, [(before, one.size)])
            lines = content[: content.rfind(b"\n") + 1]
            path = self._root / "logs" / name.rpartition("/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            if before == 0 and not any(key.endswith(f"/{path.name}") for key in self._log_sizes):
                path.unlink(missing_ok=True)
            with path.open("ab") as file:
                file.write(lines)
            self._log_sizes[name] = before + len(lines)

    def _bring_signs(self, found: dict[str, Found]) -> None:
        """Show the processes at work as their folders would: `cf-status` tells by them which one was killed."""
        signs = {name: one for name, one in found.items() if name.startswith(".locks/") and "/process-" in name}
        for folder in self._root.glob(".locks/*/process-*"):
            if self._relative(folder) not in signs and not any(folder.iterdir()):
                folder.rmdir()
        for name, one in signs.items():
            folder = self._root / name
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder, (one.written, one.written))

    # To the bucket.

    def _send(self, files: dict[str, Path]) -> None:
        """Send those of the files that changed."""
        changed = [
            (name, path)
            for name, path in files.items()
            if (known := self._known.get(name)) is None or not _is(path, known)
        ]
        self._each(lambda item: self._send_one(*item), changed)

    def _send_one(self, name: str, path: Path) -> None:
        known, before = self._known.get(name), path.stat()
        etag = self._bucket.replace(name, path, known.etag) if known else self._bucket.create(name, path)
        # A file that was changed meanwhile is sent by the next call.
        self._known[name] = _Known(etag, before.st_size, before.st_mtime_ns)
        if name.startswith("outcomes/") and (found := self._bucket.look(name)) is not None and found.etag == etag:
            # Files that are brought have the server's times: so has what they are compared with.
            os.utime(path, (found.written, found.written))
            self._known[name] = _known(path, etag, False)

    def _send_logs(self, logs: dict[str, Path]) -> None:
        for path in logs.values():
            part = f"{self._own_logs}{path.name}"
            known = self._known.get(part)
            if known is None or not _is(path, known):
                content, before = path.read_bytes(), path.stat()
                etag = self._bucket.replace(part, content, known.etag) if known else self._bucket.create(part, content)
                self._known[part] = _Known(etag, before.st_size, before.st_mtime_ns)

    def _remove(self, names: Iterable[str]) -> None:
        """Remove objects whose files were removed."""

        def remove(name: str) -> None:
            self._bucket.remove(name)
            self._known.pop(name, None)

        self._each(remove, [name for name in names if not name.startswith(_LOG_PARTS)])

    # The folder.

    def _files(self, below: str) -> Iterator[tuple[str, Path]]:
        """The files of the folder that are synchronised, below a name or of that name."""
        top = self._root / below
        if below and not below.endswith("/"):
            if top.is_file():
                yield below, top
            return
        waiting = [top]
        while waiting:
            try:
                entries = list(os.scandir(waiting.pop()))
            except (FileNotFoundError, NotADirectoryError):
                continue
            for entry in entries:
                path = Path(entry.path)
                name = self._relative(path)
                if not _is_synchronised(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield name, path

    def _folders_of(self, generator: str) -> tuple[str, str]:
        folder = generator_folder(generator)
        return f"samples/{folder}/", f"images/{folder}/"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _path(self, name: str) -> Path:
        return self._root / name

    def _each(self, do: Callable[[T], None], items: Iterable[T]) -> None:
        """Do it for each, several at a time; the first error is raised when all have ended."""
        with ThreadPoolExecutor(_THREADS, "objects") as threads:
            ends = [threads.submit(do, item) for item in items]
        for end in ends:
            end.result()

    def _read_state(self) -> dict[str, _Known]:
        try:
            state = json.loads((self._root / _STATE).read_bytes())
            # A process that is killed leaves none: what it left in the folder is then brought anew.
            (self._root / _STATE).unlink()
            return {str(name): _Known(**known) for name, known in state.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def _is_synchronised(name: str) -> bool:
    """Whether a file of this name is in folder and bucket: not one that begins with a dot, nor a log's object."""
    return not name.startswith(_LOG_PARTS) and not any(part.startswith(".") for part in name.split("/"))


def _turn(name: str) -> int:
    """When a file that is of no generator is sent."""
    if name == "manifest/manifest.parquet" or "/" not in name:
        return 2
    return 1 if name.startswith(_OF_MANIFEST) else 0


def _is_log(name: str) -> bool:
    """Whether it is a log that grows."""
    return name.startswith("logs/") and name.endswith(".jsonl") and name.count("/") == 1


def _known(path: Path, etag: str, hollow: bool) -> _Known:
    found = path.stat()
    return _Known(etag, found.st_size, found.st_mtime_ns, hollow)


def _is(path: Path, known: _Known) -> bool:
    """Whether a file is as it was when it was last brought or sent."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (known.size, known.changed)
