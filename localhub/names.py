"""Which names the Hub accepts: repositories, revisions and paths inside a repository.

Everything a stranger sends passes here before it is used. Paths inside a repository never become paths on this
disk (contents lie under their hash), but clients write them to *their* disks, so a name that would leave a folder
there is refused here.
"""

import re

from localhub.refusals import BadRequest
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
        raise BadRequest(f"this Hub holds models and datasets, not {kind!r}")
    return kind


def check_repo_id(repo_id: str) -> str:
    """Return `repo_id` if it is a valid ORG/NAME (both parts become folder names); raises `BadRequest` otherwise."""
    try:
        return checked_repo_id(repo_id, namespace=True)
    except UsageError:
        raise BadRequest(
            f"repository id {repo_id!r} must be ORG/NAME of letters, digits, '-', '_' and '.', each part at most"
            " 96 long, not starting or ending with '-' or '.', without '--' or '..', not ending in '.git'"
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
        raise BadRequest(f"{path!r} cannot be a path inside a repository: it must be relative, plain and printable")
    return path


def is_commit_id(text: str) -> bool:
    """Whether `text` is a full commit id: 40 lower-case hexadecimal digits."""
    return _HEX_40.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256: 64 lower-case hexadecimal digits."""
    return _HEX_64.fullmatch(text) is not None
