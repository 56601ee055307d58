"""Repositories of the Hub that is mirrored, as they are noted on this disk: a commit with all its files by hash, whose
contents come later.

The Hub states the sha256 of large files, and of the others the hash that git has for them: their sha256 is noted when
they are downloaded. What the Hub says of a commit is metadata of that commit here, and not derived from its files.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from localhub.metadata import Metadata
from localhub.names import check_path, check_repo_id, check_revision, is_commit_id, is_sha256
from localhub.records import Commit, File, Repo
from localhub.request_errors import RequestError
from localhub.store import Store
from workspace.atomic import write_bytes

_MAX_SIZE = 2**60
_OID = re.compile(r"[0-9a-f]{40}")


class CopyStore(Store):
    """The repositories in one directory, copied from another Hub."""

    def note(self, kind: str, repo_id: str, revision: str, info: Mapping[str, Any], *, is_hidden: bool) -> Commit:
        """Note what the Hub says of a repository at a revision (`?blobs=true`). `is_hidden`: it took a token.

        Raises `RequestError` (502) for what is no such answer, `BadRequest` for invalid names.
        """
        check_repo_id(repo_id)
        commit = _commit(info)
        with self._changing(kind, repo_id):
            known = self.repo(kind, repo_id) if self.exists(kind, repo_id) else None
            repo = replace(
                known or Repo(kind=kind, id=repo_id, created_at=_text(info.get("createdAt")) or commit.date),
                downloads=_count(info.get("downloads")),
                downloads_all_time=_count(info.get("downloadsAllTime", info.get("downloads"))),
                likes=_count(info.get("likes")),
                gated=gate if (gate := info.get("gated")) in ("auto", "manual") else bool(gate) and "manual",
                disabled=info.get("disabled") is True,
                private=is_hidden or info.get("private") is True,
            )
            path = self._folder(kind, repo_id) / "commits" / f"{commit.id}.json"
            if path.exists():
                # Contents that have come since are noted there.
                commit = self.commit_of(repo, commit.id)
            else:
                write_bytes(path, commit.to_json())
            refs = {} if is_commit_id(revision) else repo.with_ref(check_revision(revision), commit.id)
            if "main" not in {**repo.branches, **refs.get("branches", {})}:
                refs = {**refs, "branches": {**repo.branches, **refs.get("branches", {}), "main": commit.id}}
            written = replace(repo, **refs)  # type: ignore[arg-type]
            if written != known:
                write_bytes(self._folder(kind, repo_id) / "repo.json", json.dumps(written.to_json()).encode())
        return commit

    def note_content(self, kind: str, repo_id: str, commit_id: str, path: str, sha256: str) -> None:
        """Note the sha256 of a file that is stored now."""
        with self._changing(kind, repo_id):
            commit = self.commit_of(self.repo(kind, repo_id), commit_id)
            files = {**commit.files, path: replace(commit.files[path], sha256=sha256)}
            name = self._folder(kind, repo_id) / "commits" / f"{commit_id}.json"
            write_bytes(name, replace(commit, files=files).to_json())

    def has(self, file: File) -> bool:
        """Whether a file's content is on this disk."""
        return file.sha256 != "" and self.blobs.size(file.sha256) == file.size


def _commit(info: Mapping[str, Any]) -> Commit:
    commit_id, siblings = info.get("sha"), info.get("siblings")
    if not isinstance(commit_id, str) or not is_commit_id(commit_id) or not isinstance(siblings, list):
        raise _invalid()
    files = dict(map(_file, siblings))
    date = _text(info.get("lastModified")) or "1970-01-01T00:00:00.000Z"
    return Commit(commit_id, None, "", date, "system", dict(sorted(files.items())), _metadata(info))


def _file(row: Any) -> tuple[str, File]:
    if not isinstance(row, dict):
        raise _invalid()
    path, size, oid, lfs = row.get("rfilename"), row.get("size"), row.get("blobId"), row.get("lfs")
    if not isinstance(path, str) or type(size) is not int or not 0 <= size < _MAX_SIZE:
        raise _invalid()
    check_path(path)
    git_id = oid if isinstance(oid, str) and _OID.fullmatch(oid) is not None else None
    if isinstance(lfs, dict):
        sha256 = lfs.get("sha256")
        if not isinstance(sha256, str) or not is_sha256(sha256):
            raise _invalid()
        large = File.large(sha256, size)
        return path, large if git_id is None else replace(large, oid=git_id)
    if git_id is None:
        raise _invalid()
    return path, File(size, "", git_id, lfs=False)


def _metadata(info: Mapping[str, Any]) -> Metadata:
    def table(name: str) -> dict[str, Any] | None:
        return value if isinstance(value := info.get(name), dict) else None

    base = table("baseModels")
    models = base.get("models") if base else None
    return Metadata(
        card=table("cardData"),
        tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags := info.get("tags"), list) else [],
        library_name=_text(info.get("library_name")),
        pipeline_tag=_text(info.get("pipeline_tag")),
        config=table("config"),
        base_models=base if isinstance(models, list) and all(isinstance(one, dict) for one in models) else None,
        safetensors=table("safetensors"),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _invalid() -> RequestError:
    return RequestError("the answer of the Hub that is mirrored does not describe a repository", status=502)
