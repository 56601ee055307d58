"""One dataset's repository on the Hub: the requests that publishing needs, each repeated while the Hub is busy.

`huggingface_hub` does the work. Added here: requests that it does not repeat by itself are repeated on 429, 5xx and
lost connections (`workspace/retry.py`), answers are bounded (`workspace/hub_session.py`); every refusal becomes one
line that says what to do; and a Hub without Xet is recognised, so that `HF_HUB_DISABLE_XET` need not be set (the client
uses Xet wherever its package is installed, and fails where the Hub has no such storage).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from manifests.publishing.refusals import explained
from workspace.errors import HubError
from workspace.hub_access import HubAccess
from workspace.repo_id import checked_repo_id
from workspace.retry import ATTEMPTS, FIRST_ATTEMPTS, retrying, status_of

#: The status of a commit whose parent is not the branch's head.
_PRECONDITION_FAILED = 412
#: The status of a tag that exists already.
_CONFLICT = 409

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class StoredFile:
    """A file as the Hub states it; `sha256` is None for a small one that is kept in git itself."""

    size: int
    sha256: str | None


@dataclass(frozen=True)
class Refs:
    """The tags of a repository with their commits, and its branches."""

    tags: Mapping[str, str]
    branches: frozenset[str]


class MovedError(HubError):
    """The branch is not, or no longer, at the commit that the request named: somebody else writes to it."""


def _request(call: Callable[P, T]) -> Callable[P, T]:
    """Repeat a call while the Hub is busy; then raise what it answered as an error of one line."""

    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        hub = args[0]
        assert isinstance(hub, DatasetOnHub)
        try:
            answer = call(*args, **kwargs)
        except Exception as error:
            hub.has_answered |= status_of(error) is not None
            raise
        hub.has_answered = True
        return answer

    @wraps(call)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        hub = args[0]
        assert isinstance(hub, DatasetOnHub)
        try:
            return retrying(lambda: ATTEMPTS if hub.has_answered else FIRST_ATTEMPTS)(once, *args, **kwargs)
        except HubError:
            raise
        except Exception as error:
            reason = explained(error)
            if reason is None:
                raise
            raise HubError(f"{args[0]}: {reason}") from error

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
        self.has_answered = False
        """Whether a request to it had any answer yet."""
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
    def head(self, revision: str) -> str | None:
        """The commit of a branch; None where the repository or the branch does not exist."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        try:
            found = self._api.dataset_info(self.repo_id, revision=revision, files_metadata=False).sha
        except (RepositoryNotFoundError, RevisionNotFoundError):
            return None
        return found

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
        """A small file's content at a revision; None where there is no such file.

        The content is compared with what the list of files says of it.
        """
        from huggingface_hub import RepoFile, hf_hub_url
        from huggingface_hub.utils._http import hf_raise_for_status
        from huggingface_hub.utils.sha import git_hash

        from workspace.hub_session import session

        listed = self._api.get_paths_info(self.repo_id, [path], revision=revision, repo_type="dataset")
        if not listed or not isinstance(file := listed[0], RepoFile):
            return None
        url = hf_hub_url(self.repo_id, path, repo_type="dataset", revision=revision, endpoint=self._api.endpoint)
        response = session(self._access).get(url, headers=self._headers, follow_redirects=True)
        hf_raise_for_status(response)
        content = bytes(response.content)
        known = (
            hashlib.sha256(content).hexdigest() == file.lfs.sha256 if file.lfs else git_hash(content) == file.blob_id
        )
        if not known:
            raise HubError(
                f"{self}: {path} at {revision} is not what the Hub's list of files says: run the same command again"
            )
        return content

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
        parent: str,
        add: Mapping[str, Path | bytes],
        copy: Sequence[str] = (),
        copy_from: str = "main",
        delete: Sequence[str] = (),
    ) -> str:
        """Add, copy (from another revision) and delete files in one commit on a branch that is at the commit `parent`.

        Returns the branch's commit, which is `parent` where nothing changed. Raises `MovedError` when the branch is at
        another commit or does not exist.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete
        from huggingface_hub.errors import RevisionNotFoundError

        from workspace.hub_session import without_xet

        # Created for every attempt: the client stores in them what it found in the last one.
        operations: list[Any] = [
            CommitOperationAdd(path, str(content) if isinstance(content, Path) else content)
            for path, content in add.items()
        ]
        operations += [
            CommitOperationCopy(src_path_in_repo=path, path_in_repo=path, src_revision=copy_from) for path in copy
        ]
        operations += [CommitOperationDelete(path) for path in delete]
        try:
            with nullcontext() if self._has_xet else without_xet():
                commit = self._api.create_commit(
                    self.repo_id,
                    operations,
                    commit_message=message,
                    repo_type="dataset",
                    revision=revision,
                    parent_commit=parent,
                )
        except RevisionNotFoundError as error:
            raise MovedError(f"{self}: there is no branch {revision}") from error
        except Exception as error:
            if status_of(error) == _PRECONDITION_FAILED:
                raise MovedError(f"{self}: the branch {revision} is no longer at {parent}") from error
            raise
        return str(commit.oid)

    @_request
    def refs(self) -> Refs:
        """Its tags and branches; none where the repository does not exist."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            refs = self._api.list_repo_refs(self.repo_id, repo_type="dataset")
        except RepositoryNotFoundError:
            return Refs({}, frozenset())
        return Refs({tag.name: tag.target_commit for tag in refs.tags}, frozenset(one.name for one in refs.branches))

    @_request
    def make_tag(self, tag: str, commit: str) -> bool:
        """Create a tag at a commit; returns whether it did: one that exists stays as it is."""
        try:
            self._api.create_tag(self.repo_id, tag=tag, revision=commit, repo_type="dataset")
        except Exception as error:
            if status_of(error) == _CONFLICT:
                return False
            raise
        return True

    @_request
    def remove_tag(self, tag: str) -> None:
        """Remove a tag, if it exists."""
        from huggingface_hub.errors import RevisionNotFoundError

        try:
            self._api.delete_tag(self.repo_id, tag=tag, repo_type="dataset")
        except RevisionNotFoundError:
            return

    @_request
    def commits(self, branch: str) -> int:
        """How many commits the history of a branch has."""
        return len(self._api.list_repo_commits(self.repo_id, repo_type="dataset", revision=branch))

    @_request
    def squash(self, branch: str, message: str) -> None:
        """Replace the history of a branch by one commit with the same files. It cannot be undone."""
        self._api.super_squash_history(self.repo_id, repo_type="dataset", branch=branch, commit_message=message)

    @_request
    def other_refs(self, branch: str) -> list[str]:
        """The other branches, the tags, the conversions and the pull requests, whose histories are their own."""
        refs = self._api.list_repo_refs(self.repo_id, repo_type="dataset", include_pull_requests=True)
        branches = [ref.name for ref in refs.branches if ref.name != branch]
        others = [ref.ref for group in (refs.tags, refs.converts, refs.pull_requests or []) for ref in group]
        return sorted(branches + others)
