"""Downloads one file from the Hub, complete and equal to the catalogue's, or gives the reason why not.

huggingface_hub checks sizes only and raises at the first 503 or reset connection. So two things are added: retries
(`workspace/retry.py`), and the hash of every byte before a file is used. Repositories choose the names of their files,
so a name is checked to stay below the folder that it is meant for before it is used.

The client locks what it downloads, even in a folder of this process. Where a file system has no such locks it continues
without them; where one answers with another error the download fails with a message that says so.
"""

import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from huggingface_hub.utils.sha import git_hash

from crawler.catalog import ModelFile
from workspace.errors import CommunityForensicsError, HubError, in_one_line
from workspace.hub_access import HubAccess
from workspace.identity import sha256_of_file

#: Downloads of one file until it is called damaged.
_DOWNLOADS = 2
#: Errors that say something about this machine's disk, not about the repository.
_STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOLCK, errno.EOPNOTSUPP}
)
#: What to do about them.
STORAGE_REMEDY = "make room there, or name a folder on another disk"
_MAX_COMPONENT = 255

T = TypeVar("T")


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
    """Downloads single files at pinned revisions from the Hub that `hub` names."""

    def __init__(self, hub: HubAccess = HubAccess()) -> None:
        from huggingface_hub import HfApi, get_session, get_token
        from huggingface_hub.utils.tqdm import disable_progress_bars

        self._api = HfApi(endpoint=hub.endpoint, token=hub.token or get_token() or False)
        # The client reads the environment (proxies) once, here: the environment is cleaned for a moment later on.
        get_session()
        # One bar shows the progress of the run; bars of single files would break it.
        disable_progress_bars()

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

        `scratch` is a folder for the download. There are no retries once `stopping` is set. `crawled_from` is the URL
        of the Hub where the catalogue found it, which is asked where the configured one, such as a mirror, does not
        have the repository. Raises `FetchError`, or `StorageError` where this machine is the reason.
        """
        checked_path(file.path)
        fetch_seconds = verify_seconds = 0.0
        for downloads_left in reversed(range(_DOWNLOADS)):
            started = time.perf_counter()
            try:
                downloaded = self._download(repo_id, revision, file, scratch, stopping, crawled_from)
                fetched = time.perf_counter()
                fetch_seconds += fetched - started
                damage = _damage(file, downloaded)
                verify_seconds += time.perf_counter() - fetched
                if damage is None:
                    with downloaded.open("rb") as content:
                        os.fsync(content.fileno())
                    downloaded.replace(destination)
                    return Fetched(fetch_seconds, verify_seconds)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            if not downloads_left:
                raise FetchError(
                    f"{repo_id}: {file.path} {damage}: the download is damaged, or the file was changed after the crawl"
                )
        raise AssertionError("unreachable")

    def listing(self, repo_id: str, revision: str | None) -> tuple[str, tuple[ModelFile, ...]]:
        """The commit of `revision` (None: main), and its files. Raises `FetchError`."""
        info = _with_retries(repo_id, lambda: self._api.model_info(repo_id, revision=revision, files_metadata=True))
        files = tuple(
            ModelFile(
                path=sibling.rfilename,
                size=sibling.size or 0,
                sha256=sibling.lfs.sha256 if sibling.lfs else None,
                git_oid=None if sibling.lfs else sibling.blob_id,
            )
            for sibling in info.siblings or ()
        )
        return str(info.sha), files

    def _download(
        self,
        repo_id: str,
        revision: str,
        file: ModelFile,
        scratch: Path,
        stopping: threading.Event | None,
        crawled_from: str | None,
    ) -> Path:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        def download_from(hub: HfApi) -> Path:
            return Path(hub.hf_hub_download(repo_id, file.path, revision=revision, local_dir=scratch))

        def download() -> Path:
            try:
                return download_from(self._api)
            except (RepositoryNotFoundError, RevisionNotFoundError) as error:
                if crawled_from in (None, self._api.endpoint) or isinstance(error, GatedRepoError):
                    raise
                # The token is for the configured Hub alone.
                return download_from(HfApi(endpoint=crawled_from, token=False))

        return _with_retries(f"{repo_id}: {file.path}", download, stopping)


def content_key(file: ModelFile) -> str:
    """The name of a file's content: its sha256, or `git-` and git's hash. Raises `FetchError` where it has neither."""
    if file.sha256 is not None and re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        return file.sha256
    if file.git_oid is not None and re.fullmatch(r"[0-9a-f]{40}", file.git_oid):
        return f"git-{file.git_oid}"
    raise FetchError(f"{file.path}: the catalogue has no valid hash of it, so a download could not be verified")


def checked_path(path: str) -> PurePosixPath:
    """A repository's file name as a path that stays below the folder it is joined to; raises `FetchError`."""
    parts = path.split("/")
    refused = any(part in ("", ".", "..") or len(part.encode()) > _MAX_COMPONENT for part in parts)
    if refused or "\\" in path or not path.isprintable():
        raise FetchError(f"{path!r} is not a valid file name")
    return PurePosixPath(path)


def _damage(file: ModelFile, downloaded: Path) -> str | None:
    """How a downloaded file differs from the catalogue's; None where it does not."""
    size = downloaded.stat().st_size
    if size != file.size:
        return f"has {size} bytes, in the catalogue {file.size}"
    key = content_key(file)
    found = sha256_of_file(downloaded) if file.sha256 == key else f"git-{git_hash(downloaded.read_bytes())}"
    return None if found == key else "has another hash than in the catalogue"


def _with_retries(what: str, request: Callable[[], T], stopping: threading.Event | None = None) -> T:
    """The Hub's answer; requested again while the Hub is busy or the connection breaks."""
    from huggingface_hub.errors import GatedRepoError

    from workspace.retry import retrying

    try:
        return retrying(passing=_is_transient, leaving=stopping)(request)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            raise StorageError(f"--weights-dir: {what}: {error.strerror}; {STORAGE_REMEDY}") from error
        remedy = "; accept its terms on the Hub and set HF_TOKEN" if isinstance(error, GatedRepoError) else ""
        raise FetchError(f"{what}: {in_one_line(error)}{remedy}", transient=_is_transient(error)) from error


def _is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    from workspace.retry import is_transient

    if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
        return False
    # The client raises a bare OSError for a file that is shorter than announced.
    return is_transient(error) or type(error) is OSError
