"""Fills a mirror ahead: the generators of a catalogue at their revisions, with all that they are loaded with."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import get_token

from localhub.mirror.copies import CopyStore
from localhub.mirror.copying import Copier
from localhub.mirror.downloads import Downloads
from localhub.mirror.space import Space
from localhub.mirror.upstream import AwayError, Upstream
from localhub.names import is_commit_id
from localhub.records import File
from localhub.request_errors import RequestError
from workspace.errors import CommunityForensicsError, UsageError
from workspace.progress import Task, task
from workspace.repo_id import split_revision
from workspace.threads import each

#: Files of one repository downloaded at a time.
FILES_AT_A_TIME = 4
#: The columns that name a repository, its revision and its files: of the generator, of its base and of its prior.
_REPOSITORIES = (
    ("model_name", "revision", "files"),
    ("base_model", "base_revision", "base_files"),
    ("prior_model", "prior_revision", "prior_files"),
)
#: Files of a safety checker that are no use for loading it.
_NOT_LOADED = (".msgpack", ".h5", ".md", ".gitattributes")


@dataclass(frozen=True)
class Wanted:
    """The files of one repository with the hash that the catalogue has; None: all that a checker is loaded from."""

    repo_id: str
    revision: str
    files: Mapping[str, str | None] | None


@dataclass
class Copied:
    """What was copied."""

    done: list[str] = field(default_factory=list)
    """Repositories whose files are all there."""
    failed: dict[str, str] = field(default_factory=dict)
    """Those of which some are not, and why."""
    bytes: int = 0
    """Downloaded now."""


def fill(catalog: Path, directory: Path, upstream: Upstream, checker: str, max_disk: int | None) -> Copied:
    """Copy what a catalogue names into a directory, within `max_disk` bytes of files.

    Raises `UsageError` for what is no catalogue, `AwayError` where the Hub cannot be reached.
    """
    wanted = [*wanted_of(catalog, checker)]
    store = CopyStore(directory)
    run = _Filling(store, upstream, Space(store.blobs.folder, max_disk, may_remove=False))
    copied = Copied()
    try:
        with task("copying", len(wanted)) as bar:
            for one in wanted:
                run.copy(one, copied, bar)
    finally:
        upstream.stopping.set()
    return copied


def wanted_of(catalog: Path, checker: str) -> Iterator[Wanted]:
    """The safety checker, and then the repositories of the compatible generators, those with the best rank first."""
    try:
        repo_id, revision = split_revision(checker)
    except UsageError as error:
        raise UsageError(f"--safety-checker: {error}") from error
    yield Wanted(repo_id, revision or "main", None)
    path = catalog / "catalog.parquet" if catalog.is_dir() else catalog
    columns = ["status", "rank", *(name for names in _REPOSITORIES for name in names)]
    try:
        rows = pq.read_table(path, columns=columns, page_checksum_verification=True).to_pylist()
        files: defaultdict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
        for row in sorted(rows, key=lambda row: row["rank"]):
            if row["status"] == "compatible":
                for model, revision, names in _REPOSITORIES:
                    # Generators on a machine have no commit of a Hub.
                    if row[names] and is_commit_id(row[revision] or ""):
                        own = {file["path"]: file["sha256"] or file["git_oid"] for file in row[names]}
                        files[row[model], row[revision]] |= own
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist: run `cf-crawl` first") from error
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no catalogue of `cf-crawl`, or is damaged: crawl again") from error
    yield from (Wanted(repo_id, commit, own) for (repo_id, commit), own in files.items())


class _Filling:
    """One run."""

    def __init__(self, store: CopyStore, upstream: Upstream, space: Space) -> None:
        self._store, self._upstream, self._token = store, upstream, get_token()
        self._copier = Copier(store, upstream)
        self._downloads = Downloads(store, upstream, space)

    def copy(self, wanted: Wanted, copied: Copied, bar: Task) -> None:
        """Copy one repository; raises `AwayError`."""
        name = f"{wanted.repo_id}@{wanted.revision}"
        bar.advance(0, note=name)
        try:
            copied.bytes += self._copy(wanted)
            copied.done.append(name)
        except AwayError as error:
            raise AwayError(f"{error}: run the same command again later, which continues") from error
        except CommunityForensicsError as error:
            copied.failed[name] = str(error)
            bar.say(f"{name}: {error}")
        bar.advance(note=name)

    def _copy(self, wanted: Wanted) -> int:
        if (renamed := self._copier.note("model", wanted.repo_id, wanted.revision, self._token)) is not None:
            raise RequestError(f"it is {renamed} now: crawl again", status=404)
        repo = self._store.repo("model", wanted.repo_id)
        commit = self._store.commit_of(repo, wanted.revision)
        paths = self._paths(wanted, commit.files)
        missing = [path for path in paths if not self._store.has(commit.files[path])]
        token = self._token if repo.gated or repo.private else None

        def get(path: str) -> int:
            self._downloads.begin(repo, commit, path, token).wait()
            return commit.files[path].size

        by_size = sorted(missing, key=lambda path: commit.files[path].size)
        return sum(each(get, by_size, FILES_AT_A_TIME))

    def _paths(self, wanted: Wanted, listed: Mapping[str, File]) -> list[str]:
        if wanted.files is None:
            safe = "model.safetensors" in listed
            unused = (*_NOT_LOADED, ".bin") if safe else _NOT_LOADED
            return [path for path in listed if not path.endswith(unused)]
        for path, known in wanted.files.items():
            if path not in listed or known not in (None, listed[path].sha256, listed[path].oid):
                raise RequestError(f"{path} is not the file of the catalogue: crawl again", status=404)
        return list(wanted.files)
