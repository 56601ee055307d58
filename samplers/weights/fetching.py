"""Downloads one file from the Hub, complete and equal to the catalogue's, or gives the reason why not. Files of local
generators are copied (`local_files`).

The hash of every byte is compared before a file is used. Repositories choose the names of their files, so a name is
checked to stay below the folder that it is meant for before it is used. A failure counts only where the Hub answers
well for something else (`hub_watch`).
"""

import errno
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from crawler.catalog import ModelFile
from samplers.weights.hub_watch import HubWatch
from samplers.weights.local_files import LocalFileError, LocalFiles
from workspace.errors import CommunityForensicsError, HubError, in_one_line
from workspace.hub_access import HubAccess
from workspace.hub_file import DamagedError, download
from workspace.identity import sha256_of_file

#: Failures of one file, with a Hub that answers well for another one after each, until it is given up.
_FAILURES = 2
#: Bytes of a list of files at most.
_MAX_LISTING = 16 << 20
#: Bytes of a file that is downloaded to see whether the Hub answers well; of a larger one, only the beginning.
_MAX_KNOWN = 1 << 20
_BEGINNING = 1024
_REFUSALS = {
    401: "status 401: it refuses the token; `hf auth login` stores another one",
    403: "status 403: it refuses this token or address",
}
_PORTAL = "another server answers in its place, such as the login page of a network"
#: Errors that say something about this machine's disk, not about the repository.
_STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
#: What to do about them.
STORAGE_REMEDY = "make room there, or name a folder on another disk, then run the same command again"
_MAX_COMPONENT = 255
_GIT = "git-"


class FetchError(HubError):
    """A repository's file could not be downloaded, differs from the catalogue's, or has a name that is refused.

    `transient`: the Hub did not answer, so the same file may be downloaded later.
    """

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class StorageError(CommunityForensicsError):
    """This machine's disk is full or cannot be written: not the repository's fault."""


@dataclass(frozen=True)
class Fetched:
    """The seconds that one file took."""

    fetch_seconds: float
    verify_seconds: float


class Fetcher:
    """Downloads single files at pinned revisions from the Hub that `hub` names.

    `watch` knows whether that Hub answers well.
    """

    def __init__(self, hub: HubAccess = HubAccess(), places: Mapping[str, Path] = MappingProxyType({})) -> None:
        """`places`: where local generators are, by their names in `roots.toml`."""
        from huggingface_hub import constants

        self._hub, self._local = hub, LocalFiles(places)
        self._endpoint = (hub.endpoint or constants.ENDPOINT).rstrip("/")
        # By whether it lies in the storage of large files, which is another server than the Hub's.
        self._known: dict[bool, tuple[str, str, ModelFile]] = {}
        self.watch = HubWatch(self._problem)
        # The client reads the environment (proxies) once, here: the environment is cleaned for a moment later on.
        self._headers()

    def fetch(
        self,
        repo_id: str,
        revision: str,
        file: ModelFile,
        destination: Path,
        scratch: Path,
        stopping: threading.Event | None = None,
        crawled_from: str | None = None,
    ) -> Fetched:
        """Download one file to `destination`, which appears when the hash is right and the bytes are on the disk.

        `scratch` is a folder for the download. While the Hub does not answer well it waits, until `stopping` is set:
        then it raises `CancelledError`. `crawled_from` is the URL of the Hub where the catalogue found it, which is
        asked where the configured one, such as a mirror, does not have the repository. Raises `FetchError`, or
        `StorageError` where this machine is the reason.
        """
        checked_path(file.path)
        content_key(file)
        stopping = stopping or threading.Event()
        failures = 0
        seconds = [0.0, 0.0]
        try:
            with _explained(f"{repo_id}: {file.path}", destination.parent):
                copied = self._local.fetch(repo_id, revision, file, destination, scratch, stopping)
            if copied is not None:
                return Fetched(copied, 0.0)
            while True:
                try:
                    self._fetch_once(repo_id, revision, file, destination, scratch, stopping, crawled_from, seconds)
                except FetchError as error:
                    failures = 0 if self.watch.waited(stopping) else failures + 1
                    # One that may pass is tried again after the other generators.
                    if failures == (1 if error.transient else _FAILURES):
                        raise
                    continue
                if crawled_from is None and not self._known:
                    self.know(repo_id, revision, file)
                return Fetched(*seconds)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def know(self, repo_id: str, revision: str, file: ModelFile) -> None:
        """Note a file that this Hub has and keeps: it is asked for when another one fails."""
        if file.size:
            self._known[file.sha256 is not None] = repo_id, revision, file

    def listing(self, repo_id: str, revision: str | None) -> tuple[str, tuple[ModelFile, ...]]:
        """The commit of `revision` (None: main), and its files. Raises `FetchError`."""
        from workspace.retry import retrying

        url = f"{self._endpoint}/api/models/{quote(repo_id)}"
        if revision is not None:
            url += f"/revision/{quote(revision, safe='')}"
        with _explained(repo_id):
            info = retrying()(lambda: self._small(f"{url}?blobs=true", _MAX_LISTING).json())
        commit, siblings = (info.get("sha"), info.get("siblings")) if isinstance(info, dict) else (None, None)
        if not isinstance(commit, str) or not isinstance(siblings, list):
            raise FetchError(f"{repo_id}: the answer of {self._endpoint} does not describe a model")
        return commit, tuple(file for row in siblings if (file := _listed(row)) is not None)

    def _fetch_once(
        self,
        repo_id: str,
        revision: str,
        file: ModelFile,
        destination: Path,
        scratch: Path,
        stopping: threading.Event,
        crawled_from: str | None,
        seconds: list[float],
    ) -> None:
        """Try once; adds the seconds of downloading and of verifying. What has arrived is kept for the next try, unless
        it is damaged."""
        what, content = f"{repo_id}: {file.path}", scratch / "content"
        started = time.perf_counter()
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            path = f"{quote(repo_id)}/resolve/{quote(revision, safe='')}/{quote(file.path)}"
            with _explained(what, destination.parent):
                downloaded = self._download(path, content, file.size, stopping, crawled_from)
            if not downloaded:
                # Not in the handling of the first error: its status says nothing about the other Hub.
                elsewhere = f"{what}: not on {self._endpoint}; from {crawled_from}, where it was crawled"
                with _explained(elsewhere, destination.parent):
                    # The token is for the configured Hub alone.
                    download(f"{crawled_from}/{path}", self._headers(anonymous=True), content, file.size, stopping)
            fetched = time.perf_counter()
            seconds[0] += fetched - started
            found = hash_of(content, content_key(file))
            seconds[1] += time.perf_counter() - fetched
            if found != content_key(file):
                raise DamagedError("has another hash than in the catalogue")
            with content.open("rb") as flushed:
                os.fsync(flushed.fileno())
            content.replace(destination)
        except DamagedError as error:
            content.unlink(missing_ok=True)
            raise FetchError(
                f"{what} {error}: the download is damaged, or the file was changed after the crawl"
            ) from error

    def _download(
        self, path: str, content: Path, size: int, stopping: threading.Event, crawled_from: str | None
    ) -> bool:
        """Download from the configured Hub; False: it does not have the repository, but the one may that it was crawled
        from."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            download(f"{self._endpoint}/{path}", self._headers(), content, size, stopping)
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            if crawled_from in (None, self._endpoint) or isinstance(error, GatedRepoError):
                raise
            return False
        return True

    def _headers(self, anonymous: bool = False) -> dict[str, str]:
        """The headers of a request. The stored token is read each time: it may have been replaced since."""
        from huggingface_hub import get_token
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        from workspace.hub_session import session

        session(self._hub)
        token = False if anonymous else self._hub.token or get_token() or False
        return dict(build_hf_headers(token=token, library_name="community-forensics"))

    def _small(self, url: str, most: int, part: str | None = None) -> Any:
        """The answer to one request, read, of at most so many bytes; `part`: a range of them."""
        from huggingface_hub import constants, get_session, hf_raise_for_status

        from workspace.hub_session import limited

        timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
        headers = self._headers() | ({"Range": part, "Accept-Encoding": "identity"} if part else {})
        options: dict[str, Any] = {"headers": headers, "timeout": timeout, "extensions": limited(most)}
        with get_session().stream("GET", url, **options) as response:
            hf_raise_for_status(response)
            response.read()
        return response

    def _problem(self) -> str | None:
        """Why the Hub does not give a file that it has; None: it does, or no such file is known."""
        from workspace.retry import status_of

        try:
            return None if all(self._gives(*known) for known in tuple(self._known.values())) else _PORTAL
        except Exception as error:
            status = status_of(error)
            return _REFUSALS.get(status or 0) or (f"status {status}" if status else in_one_line(error, 120))

    def _gives(self, repo_id: str, revision: str, file: ModelFile) -> bool:
        """Whether the Hub gives a file: its bytes or, of a large one, the beginning."""
        url = f"{self._endpoint}/{quote(repo_id)}/resolve/{quote(revision, safe='')}/{quote(file.path)}"
        if file.size > _MAX_KNOWN:
            part = self._small(url, _BEGINNING, f"bytes=0-{_BEGINNING - 1}")
            return bool(part.headers.get("Content-Range", "").endswith(f"/{file.size}"))
        key, content = content_key(file), self._small(url, file.size).content
        return len(content) == file.size and _hash((content,), file.size, key) == key


def hash_of(path: Path, key: str) -> str:
    """The content key of a file, of the kind of `key`."""
    if not key.startswith(_GIT):
        return sha256_of_file(path)
    with path.open("rb") as content:
        return _hash(iter(lambda: content.read(1 << 20), b""), os.fstat(content.fileno()).st_size, key)


def _hash(parts: Iterable[bytes], size: int, key: str) -> str:
    """The content key of these bytes, of the kind of `key`; `git-` and the hash that git has for a file."""
    is_git = key.startswith(_GIT)
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if is_git else hashlib.sha256()
    for part in parts:
        digest.update(part)
    return f"{_GIT if is_git else ''}{digest.hexdigest()}"


def content_key(file: ModelFile) -> str:
    """The name of a file's content: its sha256, or `git-` and git's hash. Raises `FetchError` where it has neither."""
    if file.sha256 is not None and re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        return file.sha256
    if file.git_oid is not None and re.fullmatch(r"[0-9a-f]{40}", file.git_oid):
        return f"{_GIT}{file.git_oid}"
    raise FetchError(f"{file.path}: the catalogue has no valid hash of it, so a download could not be verified")


def checked_path(path: str) -> PurePosixPath:
    """A repository's file name as a path that stays below the folder it is joined to; raises `FetchError`."""
    parts = path.split("/")
    refused = any(part in ("", ".", "..") or len(part.encode()) > _MAX_COMPONENT for part in parts)
    if refused or "\\" in path or not path.isprintable():
        raise FetchError(f"{path!r} is not a valid file name")
    return PurePosixPath(path)


def _listed(row: Any) -> ModelFile | None:
    """A file in the Hub's JSON; None for what is none."""
    if not isinstance(row, dict):
        return None
    path, size, oid, lfs = row.get("rfilename"), row.get("size"), row.get("blobId"), row.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else None
    if not isinstance(path, str) or type(size) is not int or not 0 <= size < 2**63:
        return None
    return ModelFile(
        path=path,
        size=size,
        sha256=sha256 if isinstance(sha256, str) else None,
        git_oid=oid if isinstance(oid, str) and not isinstance(lfs, dict) else None,
    )


@contextmanager
def _explained(what: str, folder: Path | None = None) -> Iterator[None]:
    """Turn an error into a `FetchError`, or into a `StorageError` where this machine is the reason; `folder`: where the
    download is written."""
    from huggingface_hub.errors import GatedRepoError

    from workspace.retry import is_transient, remedy

    try:
        yield
    except (DamagedError, CancelledError):
        raise
    except LocalFileError as error:
        raise FetchError(f"{what} {error}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            where = f"--weights-dir: {folder}" if folder is not None else "--weights-dir"
            raise StorageError(f"{where}: {what}: {error.strerror}; {STORAGE_REMEDY}") from error
        hint = "accept its terms on the Hub and set HF_TOKEN" if isinstance(error, GatedRepoError) else remedy(error)
        detail = f"{in_one_line(error)}; {hint}" if hint is not None else in_one_line(error)
        raise FetchError(f"{what}: {detail}", transient=is_transient(error)) from error
