"""The JSON of the answers: repositories, files and commits, with the fields of the Hub.

Field names are the Hub's, which mixes camelCase and snake_case. Each field of a repository is one function of an
`Entry`, so that `expand=` can request it alone. Fields without a value are omitted.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from localhub.listing import Entry
from localhub.records import Commit, File, Repo, lfs_pointer
from localhub.request_errors import BadRequest, EntryNotFound

#: A file or folder in `tree`, `paths-info` and `siblings`.
Row = dict[str, Any]


def _unknown(_entry: Entry) -> None:
    """A field without a value here: this Hub has no inference and no widgets."""


def _base_models(entry: Entry) -> Any:
    found = entry.metadata.base_models
    if found is None:
        return None
    return {**found, "models": [{"_id": _object_id("model", model["id"]), **model} for model in found["models"]]}


_COMMON: dict[str, Callable[[Entry], Any]] = {
    "author": lambda entry: entry.repo.id.split("/")[0],
    "cardData": lambda entry: entry.metadata.card,
    "createdAt": lambda entry: entry.repo.created_at,
    "disabled": lambda entry: entry.repo.disabled,
    "downloads": lambda entry: entry.repo.downloads,
    "downloadsAllTime": lambda entry: entry.repo.downloads_all_time,
    "gated": lambda entry: entry.repo.gated,
    "lastModified": lambda entry: entry.last_modified,
    "likes": lambda entry: entry.repo.likes,
    "private": lambda entry: entry.repo.private,
    "resourceGroup": _unknown,
    "sha": lambda entry: entry.sha,
    "siblings": lambda entry: [{"rfilename": path} for path in entry.paths],
    "tags": lambda entry: entry.metadata.tags,
    "trendingScore": lambda entry: entry.repo.likes,
    "usedStorage": lambda entry: entry.used_storage,
}
_FIELDS: dict[str, dict[str, Callable[[Entry], Any]]] = {
    "model": _COMMON
    | {
        "baseModels": _base_models,
        "config": lambda entry: entry.metadata.config,
        "library_name": lambda entry: entry.metadata.library_name,
        "model-index": lambda entry: (entry.metadata.card or {}).get("model-index"),
        "pipeline_tag": lambda entry: entry.metadata.pipeline_tag,
        "safetensors": lambda entry: entry.metadata.safetensors,
        "spaces": lambda _entry: [],
        "childrenModelCount": _unknown,
        "evalResults": _unknown,
        "gguf": _unknown,
        "inference": _unknown,
        "inferenceProviderMapping": _unknown,
        "mask_token": _unknown,
        "transformersInfo": _unknown,
        "widgetData": _unknown,
    },
    "dataset": _COMMON
    | {
        "citation": _unknown,
        "description": lambda entry: (entry.metadata.card or {}).get("pretty_name"),
        "mainSize": _unknown,
        "paperswithcode_id": _unknown,
    },
}
_IN_LIST = ("likes", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt", "trendingScore")
_IN_FULL_LIST = (*_IN_LIST, "author", "gated", "disabled", "lastModified", "sha", "siblings")
_IN_INFO = (
    *(*_IN_FULL_LIST, "cardData", "config", "model-index", "safetensors", "spaces", "usedStorage", "description"),
)


def fields_of_list(kind: str, expand: Iterable[str], *, full: bool, card: bool, config: bool) -> tuple[str, ...]:
    """The fields of each row of a listing; raises `BadRequest` for an unknown one, or `expand` beside the others."""
    expand = tuple(expand)
    if expand and (full or card or config):
        raise BadRequest("'expand' cannot be combined with 'full', 'cardData' or 'config'")
    chosen = _IN_FULL_LIST if full else _IN_LIST
    return _expanded(kind, expand) or (*chosen, *(["cardData"] * card), *(["config"] * config))


def fields_of_info(kind: str, expand: Iterable[str], *, blobs: bool) -> tuple[str, ...]:
    """The fields of one repository; raises `BadRequest` for an unknown one, or `expand` beside `blobs`."""
    expand = tuple(expand)
    if expand and blobs:
        raise BadRequest("'expand' cannot be combined with 'blobs'")
    return _expanded(kind, expand) or _IN_INFO


def repository(entry: Entry, fields: Iterable[str], files: Mapping[str, File] | None = None) -> dict[str, Any]:
    """A repository with these fields; if `files` are given, its siblings have sizes and hashes."""
    repo = entry.repo
    known = _FIELDS[repo.kind]
    shown: dict[str, Any] = {"_id": _object_id(repo.kind, repo.id), "id": repo.id}
    if repo.kind == "model":
        shown["modelId"] = repo.id
    for name in fields:
        value = known[name](entry) if name in known else None
        if value is not None:
            shown[name] = value
    if files is not None:
        shown["siblings"] = [_sibling(path, file) for path, file in files.items()]
    return shown


def tree(commit: Commit, folder: str, *, recursive: bool) -> list[Row]:
    """Files and folders below `folder` ("" is the root), by path; raises `EntryNotFound` if it does not exist."""
    prefix = f"{folder}/" if folder else ""
    inside = {path: file for path, file in commit.files.items() if path.startswith(prefix)}
    if folder and not inside:
        raise EntryNotFound(f"there is no folder {folder!r} at {commit.id}")
    below: dict[str, list[str]] = {}
    rows: dict[str, Row] = {}
    for path, file in inside.items():
        parts = path[len(prefix) :].split("/")
        for end in range(1, len(parts) if recursive else min(len(parts), 2)):
            below.setdefault(prefix + "/".join(parts[:end]), []).append(f"{path} {file.oid}")
        if recursive or len(parts) == 1:
            rows[path] = _file(path, file)
    rows |= {name: _folder(name, content) for name, content in below.items()}
    return [rows[path] for path in sorted(rows)]


def paths_info(commit: Commit, paths: Iterable[str]) -> list[Row]:
    """The files and folders among `paths` that exist, as on the Hub."""
    rows = []
    for path in dict.fromkeys(paths):
        name = path.rstrip("/")
        if name in commit.files:
            rows.append(_file(name, commit.files[name]))
        elif content := [f"{inner} {file.oid}" for inner, file in commit.files.items() if inner.startswith(f"{name}/")]:
            rows.append(_folder(name, content))
    return rows


def with_last_commit(rows: list[Row], history: Iterator[Commit]) -> list[Row]:
    """Add to each row the last commit that changed it; `history` is newest first."""
    waiting = list(rows)
    newer = next(history)
    for older in [*history, None]:
        for row in waiting:
            if older is None or _under(row["path"], newer) != _under(row["path"], older):
                row["lastCommit"] = {"id": newer.id, "title": newer.message.split("\n")[0], "date": newer.date}
        waiting = [row for row in waiting if "lastCommit" not in row]
        if older is None or not waiting:
            break
        newer = older
    return rows


def refs(repo: Repo) -> dict[str, Any]:
    """All branches, tags, conversions and pull requests."""
    return {
        "branches": [_ref(name, f"refs/heads/{name}", commit) for name, commit in repo.branches.items()],
        "tags": [_ref(name, f"refs/tags/{name}", commit) for name, commit in repo.tags.items()],
        "converts": _refs_below(repo, "refs/convert/"),
        "pullRequests": _refs_below(repo, "refs/pr/"),
    }


def commits(history: Iterable[Commit]) -> list[dict[str, Any]]:
    """Commits, as in the Hub's history."""
    listed = []
    for commit in history:
        title, _, message = commit.message.partition("\n")
        authors = [{"user": commit.author}]
        listed.append(
            {"id": commit.id, "title": title, "message": message.strip(), "authors": authors, "date": commit.date}
        )
    return listed


def _expanded(kind: str, expand: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in expand if name not in _FIELDS[kind]]:
        raise BadRequest(f"'expand' has no field {unknown[0]!r}: it must be one of {', '.join(sorted(_FIELDS[kind]))}")
    return expand


def _object_id(kind: str, repo_id: str) -> str:
    return hashlib.sha256(f"{kind} {repo_id}".encode()).hexdigest()[:24]


def _lfs(file: File, hash_name: str) -> dict[str, Any]:
    return {hash_name: file.sha256, "size": file.size, "pointerSize": len(lfs_pointer(file.sha256, file.size))}


def _sibling(path: str, file: File) -> Row:
    row: Row = {"rfilename": path, "size": file.size, "blobId": file.oid}
    return row | {"lfs": _lfs(file, "sha256")} if file.lfs else row


def _file(path: str, file: File) -> Row:
    row: Row = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    return row | {"lfs": _lfs(file, "oid")} if file.lfs else row


def _folder(path: str, content: list[str]) -> Row:
    oid = hashlib.sha1("\n".join(sorted(content)).encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}


def _under(path: str, commit: Commit) -> object:
    if path in commit.files:
        return commit.files[path].oid
    return {inner: file.oid for inner, file in commit.files.items() if inner.startswith(f"{path}/")}


def _ref(name: str, ref: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": ref, "targetCommit": commit}


def _refs_below(repo: Repo, prefix: str) -> list[dict[str, str]]:
    return [_ref(ref.removeprefix(prefix), ref, id_) for ref, id_ in repo.refs.items() if ref.startswith(prefix)]
