"""The repositories on disk.

    DIR/blobs/ab/<sha256>                     contents, each once
    DIR/models/<ORG>/<NAME>/repo.json         settings, counts, and the commits of branches and tags
    DIR/models/<ORG>/<NAME>/commits/<id>.json one commit: all files by hash
    DIR/datasets/...                          the same for datasets
    DIR/changes                               one line for each change; also the lock of writers

A commit writes its contents first, then the commit's file, then `repo.json`, each by rename: a reader sees the state
before or after, and a killed writer leaves the state before. Several processes may write (a server and `cf-hub add`):
they share one lock, which is held for milliseconds because contents are written before it is taken. Each writer adds a
line to `changes` before a change, so that an index need not read all repositories again.
"""

import dataclasses
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from huggingface_hub.utils.sha import git_hash

from localhub import metadata
from localhub.blobs import Blobs
from localhub.names import check_kind, check_path, check_repo_id, check_revision, is_commit_id
from localhub.records import GIT_ATTRIBUTES, Commit, File, Gate, Repo, is_large
from localhub.records import commit_id as id_of
from localhub.request_errors import BadRequest, Conflict, RepoNotFound, RequestError, RevisionNotFound
from workspace.atomic import write_bytes, write_json

_FIRST_MESSAGE = "initial commit"
#: Minimum length of a short commit id, as in git.
_SHORT_ID_DIGITS = 7


def now() -> str:
    """This moment as the Hub writes it: ISO 8601 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """The repositories in one directory. Every method may be called from any thread and any process.

    Methods raise `BadRequest` for invalid names, `RepoNotFound` and `RevisionNotFound` for what does not exist, and
    `Conflict` for what exists already.
    """

    def __init__(self, root: Path | str):
        self.root = Path(root)
        self.blobs = Blobs(self.root / "blobs")
        self._changes = self.root / "changes"
        self._load = lru_cache(maxsize=256)(_load_commit)

    # Reading

    def repo(self, kind: str, repo_id: str) -> Repo:
        """A repository's settings and refs as they are now."""
        try:
            return Repo(**json.loads((self._folder(kind, repo_id) / "repo.json").read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise RepoNotFound(f"this Hub has no {kind} {repo_id!r}") from None

    def exists(self, kind: str, repo_id: str) -> bool:
        """Whether the repository exists."""
        return (self._folder(kind, repo_id) / "repo.json").is_file()

    def repo_ids(self, kind: str) -> Iterator[str]:
        """The ids of all repositories, in no order, also of those that are just being created or deleted."""
        for organization in _folders(self.root / f"{check_kind(kind)}s"):
            yield from (f"{organization}/{name}" for name in _folders(self.root / f"{kind}s" / organization))

    def commit_of(self, repo: Repo, revision: str = "main") -> Commit:
        """The commit of a branch, tag, ref, or full or short commit id."""
        folder = self._folder(repo.kind, repo.id) / "commits"
        found = repo.named(revision)
        if found is None and _SHORT_ID_DIGITS <= len(revision) <= 40 and not set(revision) - set("0123456789abcdef"):
            matches = [path.stem for path in folder.glob(f"{revision}*.json")]
            found = matches[0] if len(matches) == 1 else None
        if found is None:
            raise RevisionNotFound(f"{repo.kind} {repo.id} has no revision {revision!r}")
        path = folder / f"{found}.json"
        try:
            return self._load(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            # Deleted since `repo` was read.
            raise RevisionNotFound(f"{repo.kind} {repo.id} has no revision {revision!r}") from None

    def history(self, repo: Repo, commit: Commit) -> Iterator[Commit]:
        """A commit and its ancestors, newest first."""
        while True:
            yield commit
            if commit.parent is None:
                return
            commit = self.commit_of(repo, commit.parent)

    def changes(self, since: int) -> tuple[int, set[tuple[str, str]] | None]:
        """The repositories (kind and id) that changed after the position `since`, and the position for the next call.

        Waits for a running change. None instead of a set: all may have changed (`since` is negative or not a position
        in this directory's log of changes).
        """
        size = self._changes.stat().st_size if self._changes.exists() else 0
        if size == since:
            return since, set()
        if size == 0:
            return 0, None
        with self._changes.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            if not 0 <= since <= size:
                return file.seek(0, os.SEEK_END), None
            file.seek(since)
            lines = file.read().decode("ascii", "replace").splitlines()
            return file.tell(), {(kind, repo_id) for kind, _, repo_id in (line.partition(" ") for line in lines)}

    # Writing

    def create(
        self,
        kind: str,
        repo_id: str,
        *,
        downloads: int = 0,
        downloads_all_time: int | None = None,
        likes: int = 0,
        gated: Gate = False,
        disabled: bool = False,
        private: bool = False,
        created_at: str = "2024-01-01T00:00:00.000Z",
        exist_ok: bool = False,
    ) -> Repo:
        """Create a repository with a .gitattributes on `main`, as the Hub does; with `exist_ok` it may exist."""
        folder = self._folder(kind, repo_id)
        blob = self.add_file(".gitattributes", GIT_ATTRIBUTES)
        files = {".gitattributes": blob}
        first = id_of(files, None, _FIRST_MESSAGE, created_at)
        repo = Repo(
            kind=kind,
            id=repo_id,
            created_at=created_at,
            downloads=downloads,
            downloads_all_time=downloads if downloads_all_time is None else downloads_all_time,
            likes=likes,
            gated=gated,
            disabled=disabled,
            private=private,
            branches={"main": first},
        )
        with self._changing(kind, repo_id):
            if self.exists(kind, repo_id):
                if exist_ok:
                    return self.repo(kind, repo_id)
                raise Conflict(f"the {kind} {repo_id!r} exists already")
            self._write_commit(repo, first, None, _FIRST_MESSAGE, created_at, "system", files)
            write_json(folder / "repo.json", repo.to_json())
        return repo

    def add_file(self, path: str, content: bytes | Path) -> File:
        """Store a content for a later commit; `path` decides whether it is a large file."""
        check_path(path)
        sha256, size = self.blobs.put(content)
        return File.large(sha256, size) if is_large(path, size) else self.small_file(sha256, size)

    def small_file(self, sha256: str, size: int) -> File:
        """A stored content as a file that git itself stores."""
        return File(size, sha256, git_hash(self.blobs.read(sha256)), lfs=False)

    def commit(
        self,
        kind: str,
        repo_id: str,
        *,
        add: Mapping[str, Path | bytes],
        delete: Iterable[str] = (),
        message: str,
        revision: str = "main",
        date: str,
        commit_id: str | None = None,
    ) -> str:
        """Add, replace and delete files on a branch; returns the commit's id.

        `add` maps a path in the repository to bytes or to a file on this disk; `delete` names files, or folders with
        a slash at the end. A branch that does not exist starts from `main`. If nothing changes, no commit is made and
        the id of the branch's present commit is returned. `commit_id` (40 hexadecimal digits): the id of the new
        commit, such as its id on the real Hub; by default it is made from the content.
        """
        files = {path: self.add_file(path, content) for path, content in add.items()}
        return self.commit_files(
            kind, repo_id, files, delete=delete, message=message, revision=revision, date=date, commit_id=commit_id
        )

    def commit_files(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, File],
        *,
        delete: Iterable[str] = (),
        message: str,
        revision: str = "main",
        date: str,
        commit_id: str | None = None,
        parent: str | None = None,
        author: str = "system",
    ) -> str:
        """`commit` for contents that are stored already. With `parent`, a full or short commit id, the branch must
        still be at that commit."""
        if commit_id is not None and not is_commit_id(commit_id):
            raise BadRequest(f"commit id {commit_id!r} is not 40 lower-case hexadecimal digits")
        check_revision(revision)
        with self._changing(kind, repo_id):
            repo = self.repo(kind, repo_id)
            before = self.commit_of(repo, repo.named(revision) or "main")
            if parent is not None and not (len(parent) >= _SHORT_ID_DIGITS and before.id.startswith(parent)):
                raise RequestError(f"{revision!r} of {repo_id} is now at {before.id}, not at {parent}", status=412)
            after = _changed(before.files, files, delete)
            made = commit_id or id_of(after, before.id, message, date)
            if after == before.files and (commit_id is None or commit_id == before.id):
                made = before.id
            else:
                self._write_commit(repo, made, before.id, message, date, author, after)
            self._write(repo, **repo.with_ref(revision, made))
        return made

    def squash(self, kind: str, repo_id: str, branch: str, *, message: str, date: str, author: str = "system") -> str:
        """Replace the history of a branch by one commit with the same files; returns its id.

        Commits that no branch, tag or other ref leads to any more are deleted; their contents stay stored.
        """
        with self._changing(kind, repo_id):
            repo = self.repo(kind, repo_id)
            if branch not in repo.branches:
                raise RevisionNotFound(f"{repo_id} has no branch {branch!r}")
            head = self.commit_of(repo, branch)
            made = id_of(head.files, None, message, date)
            self._write_commit(repo, made, None, message, date, author, head.files)
            repo = self._write(repo, **repo.with_ref(branch, made))
            heads = {*repo.branches.values(), *repo.tags.values(), *repo.refs.values()}
            kept = {commit.id for name in heads for commit in self.history(repo, self.commit_of(repo, name))}
            for path in (self._folder(kind, repo_id) / "commits").glob("*.json"):
                if path.stem not in kept:
                    path.unlink()
        return made

    def update(self, kind: str, repo_id: str, **settings: Any) -> Repo:
        """Change settings or counts (fields of `Repo`) of a repository."""
        with self._changing(kind, repo_id):
            return self._write(self.repo(kind, repo_id), **settings)

    def set_ref(self, kind: str, repo_id: str, group: str, name: str, commit: str | None) -> None:
        """Create a branch or tag (`group` is "branches" or "tags") at a commit; None deletes it."""
        check_revision(name)
        with self._changing(kind, repo_id):
            repo = self.repo(kind, repo_id)
            refs: dict[str, str] = dict(getattr(repo, group))
            if commit is None:
                if name == "main" and group == "branches":
                    raise BadRequest("the branch 'main' cannot be deleted")
                if refs.pop(name, None) is None:
                    raise RevisionNotFound(f"{repo_id} has no {name!r} in its {group}")
            elif name in refs:
                raise Conflict(f"{repo_id} already has {name!r} in its {group}")
            else:
                refs[name] = commit
            self._write(repo, **{group: refs})

    def delete(self, kind: str, repo_id: str) -> None:
        """Delete a repository. Its contents stay: others may share them, and a reader may be reading one."""
        folder = self._folder(kind, repo_id)
        with self._changing(kind, repo_id):
            self.repo(kind, repo_id)
            removed = Path(tempfile.mkdtemp(dir=self.root, prefix=".removed."))
            folder.rename(removed / "repo")
        shutil.rmtree(removed, ignore_errors=True)

    def _folder(self, kind: str, repo_id: str) -> Path:
        return self.root / f"{check_kind(kind)}s" / check_repo_id(repo_id)

    def _write(self, repo: Repo, **changes: Any) -> Repo:
        changed = dataclasses.replace(repo, **changes)
        if changed != repo:
            write_json(self._folder(repo.kind, repo.id) / "repo.json", changed.to_json())
        return changed

    def _write_commit(
        self, repo: Repo, id_: str, parent: str | None, message: str, date: str, author: str, files: Mapping[str, File]
    ) -> None:
        sizes = {path: file.size for path, file in files.items()}
        read = metadata.derive(repo.kind, sizes, lambda path, limit: self.blobs.read(files[path].sha256, limit))
        commit = Commit(id_, parent, message, date, author, files, read)
        path = self._folder(repo.kind, repo.id) / "commits" / f"{id_}.json"
        if path.exists() and Commit.from_json(path.read_bytes()).files != files:
            raise Conflict(f"{repo.id} already has another commit with the id {id_}")
        write_bytes(path, commit.to_json())

    @contextmanager
    def _changing(self, kind: str, repo_id: str) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with self._changes.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Written before the change: a reader of the line waits for the lock, and a killed writer is noticed.
            file.write(f"{kind} {repo_id}\n".encode("ascii"))
            yield


def _changed(before: Mapping[str, File], add: Mapping[str, File], delete: Iterable[str]) -> dict[str, File]:
    files = dict(before)
    for gone in delete:
        if gone.endswith("/"):
            files = {path: file for path, file in files.items() if not path.startswith(gone)}
        else:
            files.pop(gone, None)
    files.update(add)
    folders = {"/".join(parts[:end]) for path in files if (parts := path.split("/")) for end in range(1, len(parts))}
    if both := folders & files.keys():
        raise BadRequest(f"{min(both)!r} cannot be both a file and a folder")
    return files


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _load_commit(path: Path, _mtime_ns: int) -> Commit:
    return Commit.from_json(path.read_bytes())
