"""One dataset's repository on the Hub: the requests that publishing needs, each repeated while the Hub is busy.

`huggingface_hub` does the work. Added here: requests that it does not repeat by itself are repeated on 429, 5xx and
lost connections (`workspace/retry.py`), answers are bounded (`workspace/hub_session.py`); every refusal becomes one
line that says what to do; and a Hub without Xet is recognised, so that `HF_HUB_DISABLE_XET` need not be set (the client
uses Xet wherever its package is installed, and fails where the Hub has no such storage).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from workspace.errors import HubError, in_one_line
from workspace.hub_access import HubAccess
from workspace.repo_id import checked_repo_id
from workspace.retry import is_connection_trouble, is_transient, retrying, status_of

P = ParamSpec("P")
T = TypeVar("T")


# Payment required, insufficient storage; a Hub without storage left may also answer 403 and give the reason as text.
_NO_ROOM = frozenset({402, 507})
_ABOUT_ROOM = r"storage|quota|billing"

#: How the client begins what a Hub answered about single files of a request.
_IN_A_BATCH = "LFS batch API returned errors:"

_AGAIN = "run the same command again: it continues"


@dataclass(frozen=True)
class StoredFile:
    """A file as the Hub states it; `sha256` is None for a small one that is kept in git itself."""

    size: int
    sha256: str | None


def _request(call: Callable[P, T]) -> Callable[P, T]:
    """Repeat a call while the Hub is busy; then raise what it answered as an error of one line."""

    @wraps(call)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return retrying()(call, *args, **kwargs)
        except Exception as error:
            explained = _explained(error)
            if explained is None:
                raise
            raise HubError(f"{args[0]}: {explained}") from error

    return repeated


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

        from workspace.hub_session import session

        session(access)
        disable_progress_bars()  # ours shows the progress of all files
        set_verbosity_error()  # type: ignore[no-untyped-call]
        self.repo_id, self._access = repo_id, access
        self._api = HfApi(endpoint=access.endpoint, token=access.token)
        self._headers = build_hf_headers(token=access.token)
        self._has_xet = True

    def __str__(self) -> str:
        return f"{self._api.endpoint}/datasets/{self.repo_id}"

    @_request
    def create(self, private: bool) -> None:
        """Create the repository unless it exists, and find out whether its Hub has Xet storage."""
        from workspace.hub_session import session

        self._api.create_repo(self.repo_id, repo_type="dataset", private=private, exist_ok=True)
        address = f"{self._api.endpoint}/api/datasets/{self.repo_id}/xet-write-token/main"
        self._has_xet = session(self._access).get(address, headers=self._headers).status_code != 404

    @_request
    def is_public(self) -> bool:
        """Whether everybody may read it; False for a repository that does not exist or that this token may not see."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            return not self._api.dataset_info(self.repo_id).private
        except RepositoryNotFoundError:
            return False

    @_request
    def files(self, revision: str) -> dict[str, StoredFile]:
        """All files by path; empty where the repository or the revision does not exist."""
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

    @_request
    def read(self, revision: str, path: str) -> bytes | None:
        """A small file's content at a revision; None where there is no such file."""
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils._http import hf_raise_for_status

        from workspace.hub_session import session

        url = hf_hub_url(self.repo_id, path, repo_type="dataset", revision=revision, endpoint=self._api.endpoint)
        response = session(self._access).get(url, headers=self._headers, follow_redirects=True)
        if response.status_code == 404:
            return None
        hf_raise_for_status(response)
        return bytes(response.content)

    @_request
    def has_branch(self, branch: str) -> bool:
        """Whether the branch exists."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs = self._api.list_repo_refs(self.repo_id, repo_type="dataset")
        except RepositoryNotFoundError:
            return False
        return any(ref.name == branch for ref in refs.branches)

    @_request
    def make_branch(self, branch: str) -> None:
        """Create a branch from `main`, unless it exists."""
        self._api.create_branch(self.repo_id, branch=branch, repo_type="dataset", exist_ok=True)

    @_request
    def remove_branch(self, branch: str) -> None:
        """Remove a branch, if it exists."""
        from huggingface_hub.errors import RevisionNotFoundError

        try:
            self._api.delete_branch(self.repo_id, branch=branch, repo_type="dataset")
        except RevisionNotFoundError:
            return

    @_request
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
        """Add, copy (from another branch) and delete files in one commit; returns whether it changed anything."""
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete

        from workspace.hub_session import without_xet

        # Created for every attempt: the client stores in them what it found in the last one.
        before = self._api.dataset_info(self.repo_id, revision=revision, files_metadata=False)
        present = {file.rfilename for file in before.siblings or ()}
        operations: list[Any] = [
            CommitOperationAdd(path, str(content) if isinstance(content, Path) else content)
            for path, content in add.items()
        ]
        operations += [
            CommitOperationCopy(src_path_in_repo=path, path_in_repo=path, src_revision=copy_from) for path in copy
        ]
        operations += [CommitOperationDelete(path) for path in delete if path in present]
        with nullcontext() if self._has_xet else without_xet():
            commit = self._api.create_commit(
                self.repo_id, operations, commit_message=message, repo_type="dataset", revision=revision
            )
        return bool(commit.oid != before.sha)


def _explained(error: Exception) -> str | None:
    """What the Hub's answer means and what to do, in one line; None for an error that is a defect of ours."""
    from workspace.hub_session import RefusedAnswerError, TooLargeError

    status = status_of(error)
    if isinstance(error, RefusedAnswerError | TooLargeError):
        return f"its answer is refused: {_one_line(str(error))}"
    if status is None:
        if is_connection_trouble(error):
            return "no connection: check the network and the address of the Hub (HF_ENDPOINT), then " + _AGAIN
        if isinstance(error, ValueError) and _IN_A_BATCH in str(error):
            return f"the Hub rejected a file: {_one_line(str(error).partition(_IN_A_BATCH)[2])}; {_AGAIN}"
        return None
    reason = _reason(error)
    if status in _NO_ROOM or (status == 403 and re.search(_ABOUT_ROOM, reason, re.IGNORECASE)):
        return (
            f"the Hub has no storage left for it (status {status}): {reason or 'it gives no reason'}; free storage "
            f"there or have the limit raised, then {_AGAIN}"
        )
    if status == 401:
        return "the Hub does not accept the token: run `hf auth login`, or set HF_TOKEN to a token that may write"
    if status == 403:
        return (
            "the token may not write there: use a token with write access, or another ORG/NAME"
            f"{f' (the Hub says: {reason})' if reason else ''}"
        )
    if status == 413:
        return "a file is too large for the Hub (status 413): run again with a smaller --max-shard-size"
    if is_transient(error):
        return f"the Hub is busy or failing (status {status}): later, {_AGAIN}"
    return f"the Hub refused (status {status}): {reason or in_one_line(error, named=False)}"


def _reason(error: BaseException | None) -> str:
    """The reason in the Hub's answer, in one line; empty where it gave none."""
    while error is not None:
        if message := getattr(error, "server_message", None):
            return _one_line(str(message))
        error = error.__cause__ or error.__context__
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
