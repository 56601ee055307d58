"""The names that the Hub accepts: of repositories, revisions and paths inside a repository.

Every name in a request is checked here before it is used. Paths inside a repository are not used as paths on this disk
(contents are stored under their hash), but clients write them to *their* disks, so a path that would leave the target
folder is refused.
"""

import re

from localhub.request_errors import BadRequest
from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id

KINDS = ("model", "dataset")

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,199}")
_HEX_40 = re.compile(r"[0-9a-f]{40}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\]")

#: Longest path inside a repository, in bytes of UTF-8; longer ones cannot be written by clients (PATH_MAX is 4,096).
MAX_PATH_BYTES = 1024
#: Longest file or folder name, in bytes of UTF-8 (NAME_MAX of common file systems).
MAX_NAME_BYTES = 255


def check_kind(kind: str) -> str:
    """Return `kind` if it is "model" or "dataset"; raises `BadRequest` otherwise."""
    if kind not in KINDS:
        raise BadRequest(f"this Hub has models and datasets, not {kind!r}")
    return kind


def check_repo_id(repo_id: str) -> str:
    """Return `repo_id` if it is a valid ORG/NAME (both parts become folder names); raises `BadRequest` otherwise."""
    try:
        return checked_repo_id(repo_id, namespace=True)
    except UsageError:
        raise BadRequest(
            f"repository id {repo_id!r} must be ORG/NAME: letters, digits, '-', '_' and '.', at most 96 in each part, "
            "not '-' or '.' at the start or end, no '--' or '..', and no '.git' at the end"
        ) from None


def check_revision(name: str) -> str:
    """Return `name` if it may name a branch, a tag or a ref such as refs/pr/1; raises `BadRequest` otherwise."""
    bad = (".." in name, "//" in name, "/." in name, name.endswith(("/", ".", ".lock")), not _REVISION.fullmatch(name))
    if any(bad):
        raise BadRequest(f"{name!r} cannot name a branch or tag")
    return name


def check_path(path: str) -> str:
    """Return `path` if it may name a file inside a repository; raises `BadRequest` otherwise."""
    parts = path.split("/")
    try:
        size, longest = len(path.encode()), max(len(part.encode()) for part in parts)
    except UnicodeEncodeError:
        raise BadRequest("a path must be valid UTF-8") from None
    if (
        any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        or _UNPRINTABLE.search(path)
        or size > MAX_PATH_BYTES
        or longest > MAX_NAME_BYTES
    ):
        raise BadRequest(
            f"{path!r} cannot be a path inside a repository: it must be relative, without '..', '.git' or unprintable "
            f"characters, and at most {MAX_PATH_BYTES} bytes long"
        )
    return path


def is_commit_id(text: str) -> bool:
    """Whether `text` is a full commit id: 40 lower-case hexadecimal digits."""
    return _HEX_40.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256: 64 lower-case hexadecimal digits."""
    return _HEX_64.fullmatch(text) is not None
