"""One dataset's repository on the Hub: the few things publishing asks of it, each tried again while the Hub is busy.

`huggingface_hub` does the work. Added here: calls that it does not repeat by itself are repeated on 429, 5xx and lost
connections (`workspace/retry.py`); every refusal becomes one line that says what to do; and a Hub without
Xet is recognised, so that nobody has to set `HF_HUB_DISABLE_XET` (the client takes Xet wherever its package is
installed, and fails where the Hub has no such storage).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from workspace.errors import HubError
from workspace.hub_access import HubAccess
from workspace.repo_id import checked_repo_id
from workspace.retry import is_connection_trouble, is_transient, retrying, status_of

P = ParamSpec("P")
T = TypeVar("T")


# Payment required, insufficient storage; a Hub without room for more may also say 403, and why in words.
_NO_ROOM = frozenset({402, 507})
_ABOUT_ROOM = r"storage|quota|billing"

#: How the client says what a Hub answered about single files of many.
_IN_A_BATCH = "LFS batch API returned errors:"

_AGAIN = "run the same command again, it continues"


@dataclass(frozen=True)
class StoredFile:
    """A file as the Hub states it; `sha256` is None for a small one that is kept in git itself."""

    size: int
    sha256: str | None


def _asking(call: Callable[P, T]) -> Callable[P, T]:
    """Repeat a call while the Hub is busy; then say in one line what it answered."""

    @wraps(call)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return retrying()(call, *args, **kwargs)
        except Exception as error:
            said = _said(error)
            if said is None:
                raise
            raise HubError(f"{args[0]}: {said}") from error

    return asked


class DatasetOnHub:
    """The dataset `repo_id` (ORG/NAME) on the Hub `access`.

    Every method raises `HubError` when the Hub refuses or does not answer.
    """

    def __init__(self, repo_id: str, access: HubAccess = HubAccess()) -> None:
        checked_repo_id(repo_id, namespace=True)
        from huggingface_hub import HfApi
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils.logging import set_verbosity_error
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # ours shows the whole
        set_verbosity_error()  # type: ignore[no-untyped-call]
        self.repo_id = repo_id
        self._api = HfApi(endpoint=access.endpoint, token=access.token)
        self._headers = build_hf_headers(token=access.token)
        self._has_xet = True

    def __str__(self) -> str:
        return f"{self._api.endpoint}/datasets/{self.repo_id}"

    @_asking
    def create(self, private: bool) -> None:
        """Make the repository unless it exists, and see whether its Hub has Xet storage."""
        from huggingface_hub import get_session

        self._api.create_repo(self.repo_id, repo_type="dataset", private=private, exist_ok=True)
        address = f"{self._api.endpoint}/api/datasets/{self.repo_id}/xet-write-token/main"
        self._has_xet = get_session().get(address, headers=self._headers).status_code != 404

    @_asking
    def is_public(self) -> bool:
        """Whether everybody may read it; a repository that this token does not see, or that is not there, is not."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return not self._api.dataset_info(self.repo_id).private
        except RepositoryNotFoundError:
            return False

    @_asking
    def files(self, revision: str) -> dict[str, StoredFile]:
        """All files by path; empty for a repository or revision that does not exist."""
        from huggingface_hub import RepoFile
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            tree = list(self._api.list_repo_tree(self.repo_id, recursive=True, revision=revision, repo_type="dataset"))
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return {}
        return {
            file.path: StoredFile(file.size, file.lfs.sha256 if file.lfs else None)
            for file in tree
            if isinstance(file, RepoFile)
        }

    @_asking
    def read(self, revision: str, path: str) -> bytes | None:
        """A small file's content at a revision; None where there is none."""
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils._http import hf_raise_for_status

        url = hf_hub_url(self.repo_id, path, repo_type="dataset", revision=revision, endpoint=self._api.endpoint)
        response = get_session().get(url, headers=self._headers, follow_redirects=True)
        if response.status_code == 404:
            return None
        hf_raise_for_status(response)
        return bytes(response.content)

    @_asking
    def has_branch(self, branch: str) -> bool:
        """Whether the branch is there."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs = self._api.list_repo_refs(self.repo_id, repo_type="dataset")
        except RepositoryNotFoundError:
            return False
        return any(ref.name == branch for ref in refs.branches)

    @_asking
    def make_branch(self, branch: str) -> None:
        """Make a branch from `main`, unless it is there."""
        self._api.create_branch(self.repo_id, branch=branch, repo_type="dataset", exist_ok=True)

    @_asking
    def remove_branch(self, branch: str) -> None:
        """Remove a branch, unless it is gone."""
        from huggingface_hub.errors import RevisionNotFoundError

        try:
            self._api.delete_branch(self.repo_id, branch=branch, repo_type="dataset")
        except RevisionNotFoundError:
            return

    @_asking
    def commit(
        self,
        revision: str,
        message: str,
        *,
        add: Mapping[str, Path | bytes],
        copy: Sequence[str] = (),
        copy_from: str = "main",
        delete: Sequence[str] = (),
    ) -> bool:
        """Add, copy (from another branch) and delete files in one commit; returns whether that changed anything."""
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

        # Made anew for every attempt: the client keeps in them what it learnt in the last one.
        there = self._api.dataset_info(self.repo_id, revision=revision, files_metadata=False)
        present = {file.rfilename for file in there.siblings or ()}
        operations: list[Any] = [
            CommitOperationAdd(path, str(content) if isinstance(content, Path) else content)
            for path, content in add.items()
        ]
        operations += [
            CommitOperationCopy(src_path_in_repo=path, path_in_repo=path, src_revision=copy_from) for path in copy
        ]
        operations += [CommitOperationDelete(path) for path in delete if path in present]
        with nullcontext() if self._has_xet else _without_xet():
            made = self._api.create_commit(
                self.repo_id, operations, commit_message=message, repo_type="dataset", revision=revision
            )
        return bool(made.oid != there.sha)


@contextmanager
def _without_xet() -> Iterator[None]:
    """Uploads in this block do without Xet: the client looks this constant up at every upload, and has no other
    switch."""
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


def _said(error: Exception) -> str | None:
    """What the Hub's refusal means, in one line; None for what is no refusal but a defect."""
    status = status_of(error)
    if status is None:
        if is_connection_trouble(error):
            return "no connection; check the network and HF_ENDPOINT, then run the same command again"
        if isinstance(error, ValueError) and _IN_A_BATCH in str(error):
            return f"the Hub did not take a file: {_line(str(error).partition(_IN_A_BATCH)[2])}; {_AGAIN}"
        return None
    words = _words(error)
    if status in _NO_ROOM or (status == 403 and re.search(_ABOUT_ROOM, words, re.IGNORECASE)):
        return (
            f"the Hub has no room for it (status {status}): {words or 'it does not say why'}; "
            f"free storage there or have its limit raised, then {_AGAIN}"
        )
    if status == 401:
        return "the Hub knows no valid token: run `hf auth login`, or set HF_TOKEN to one that may write"
    if status == 403:
        return (
            "this token has no right to write there: use one with write access, or another ORG/NAME"
            f"{f' (the Hub says: {words})' if words else ''}"
        )
    if status == 413:
        return "the Hub finds a file too large (413): run again with a smaller --max-shard-size"
    if is_transient(error):
        return f"the Hub is busy or failing (status {status}); run the same command again later, it continues"
    return f"the Hub refused (status {status}): {words or _line(str(error))}"


def _words(error: BaseException | None) -> str:
    """The Hub's own words in its answer, in one line; empty where it gave none."""
    while error is not None:
        if said := getattr(error, "server_message", None):
            return _line(str(said))
        error = error.__cause__ or error.__context__
    return ""


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
