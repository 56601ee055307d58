"""One file from the Hub, whole and as the catalogue says, or a reason why not.

huggingface_hub checks sizes only and raises at the first 503 or reset connection, so two things are added: patience
(`workspace/retry.py`), and the hash of every byte before a file may be used. Repositories choose their
file names, so no name is used before it is known to stay below the folder it is meant for.

The client locks what it downloads even in a folder of our own. Where a file system knows no such locks it does without;
where one answers with another error there is no way around it, and that is said.
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
from workspace.errors import CommunityForensicsError, HubError
from workspace.identity import sha256_of_file

#: How often a file may arrive damaged.
_TRANSFERS = 2
_OUR_STORAGE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOLCK, errno.EOPNOTSUPP}
)
_MAX_COMPONENT = 255

T = TypeVar("T")


class FetchError(HubError):
    """A repository's file could not be had, is not what the catalogue says, or may not be named so.

    `passing`: the Hub did not answer, so another time the same file may be had.
    """

    def __init__(self, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class StorageError(CommunityForensicsError):
    """This machine's disk is full or not ours: no repository's fault."""


@dataclass(frozen=True)
class Fetched:
    """How long one file took."""

    fetch_seconds: float
    verify_seconds: float


class Fetcher:
    """Downloads single files at pinned revisions."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        """`endpoint` and `token`: huggingface_hub's own (HF_ENDPOINT, HF_TOKEN, `hf auth login`) where None."""
        from huggingface_hub import HfApi, get_session, get_token
        from huggingface_hub.utils.tqdm import disable_progress_bars

        self._api = HfApi(endpoint=endpoint, token=token or get_token() or False)
        # The client reads the environment (proxies) once, here: the environment is cleaned for a moment later on.
        get_session()
        # One bar tells of the run; a hundred of single files would break it.
        disable_progress_bars()

    def fetch(
        self,
        repo_id: str,
        revision: str,
        file: ModelFile,
        destination: Path,
        scratch: Path,
        leaving: threading.Event | None = None,
    ) -> Fetched:
        """Download one file and move it to `destination` once its hash is right and it is on the disk; `scratch` is a
        folder for the meantime. Nothing is tried again once `leaving` is set.

        Raises `FetchError`, or `StorageError` where this machine is the reason.
        """
        checked_name(file.path)
        fetch_seconds = verify_seconds = 0.0
        for attempts_left in reversed(range(_TRANSFERS)):
            started = time.perf_counter()
            try:
                downloaded = self._download(repo_id, revision, file, scratch, leaving)
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
            if not attempts_left:
                raise FetchError(f"{repo_id}: {file.path} {damage}: damaged, or changed")
        raise AssertionError("unreachable")

    def listing(self, repo_id: str, revision: str | None) -> tuple[str, tuple[ModelFile, ...]]:
        """The commit that `revision` (None: main) stands for, and its files. Raises `FetchError`."""
        info = _patiently(f"{repo_id}", lambda: self._api.model_info(repo_id, revision=revision, files_metadata=True))
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
        self, repo_id: str, revision: str, file: ModelFile, scratch: Path, leaving: threading.Event | None
    ) -> Path:
        def download() -> Path:
            return Path(self._api.hf_hub_download(repo_id, file.path, revision=revision, local_dir=scratch))

        return _patiently(f"{repo_id}: {file.path}", download, leaving)


def key_of(file: ModelFile) -> str:
    """What a file's content is known by: its sha256, or git's hash. Raises `FetchError` where there is neither."""
    if file.sha256 is not None and re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        return file.sha256
    if file.git_oid is not None and re.fullmatch(r"[0-9a-f]{40}", file.git_oid):
        return f"git-{file.git_oid}"
    raise FetchError(f"{file.path}: the catalogue knows no hash of it, so what arrives could not be checked")


def checked_name(path: str) -> PurePosixPath:
    """A repository's file name as a path that stays below the folder it is joined to; raises `FetchError`."""
    parts = path.split("/")
    unfit = any(part in ("", ".", "..") or len(part.encode()) > _MAX_COMPONENT for part in parts)
    if unfit or "\\" in path or not path.isprintable():
        raise FetchError(f"{path!r} is no file name to put on a disk")
    return PurePosixPath(path)


def _damage(file: ModelFile, downloaded: Path) -> str | None:
    """In which way a file is not the catalogue's; None where it is."""
    size = downloaded.stat().st_size
    if size != file.size:
        return f"has {size} bytes, not the {file.size} of the catalogue"
    key = key_of(file)
    found = sha256_of_file(downloaded) if file.sha256 == key else f"git-{git_hash(downloaded.read_bytes())}"
    return None if found == key else f"has hash {found}, not {key}"


def _patiently(what: str, ask: Callable[[], T], leaving: threading.Event | None = None) -> T:
    """The Hub's answer; asked again while it is busy or the line breaks."""
    from workspace.retry import retrying

    try:
        return retrying(passing=_may_pass, leaving=leaving)(ask)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OUR_STORAGE:
            raise StorageError(f"--weights-dir: {what}: {error.strerror}") from error
        text = " ".join(str(error).split())
        raise FetchError(f"{what}: {type(error).__name__}: {text[:300]}", passing=_may_pass(error)) from error


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    from workspace.retry import is_transient

    if isinstance(error, OSError) and error.errno in _OUR_STORAGE:
        return False
    # The client says by a bare OSError that a file arrived shorter than it was announced.
    return is_transient(error) or type(error) is OSError
