"""A repository as it is stored on disk: its settings and refs, its commits, the files of a commit.

The id of a file is that of git (the SHA-1 of a git blob, for a large file of its LFS pointer), because clients compare
it. The id of a commit is a hash of its content: the same content with the same date has the same commit id on any
machine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from huggingface_hub.utils.sha import git_hash

from localhub.metadata import Metadata
from localhub.names import is_commit_id
from localhub.request_errors import RevisionNotFound

Gate = Literal[False, "auto", "manual"]

#: Suffixes of the files that the Hub stores outside git: those of its .gitattributes for new models and datasets.
# fmt: off
LARGE_FILE_SUFFIXES = (
    ".bin", ".ckpt", ".ftz", ".gguf", ".h5", ".joblib", ".model", ".msgpack", ".onnx", ".ot", ".pb", ".pickle", ".pkl",
    ".pt", ".pth", ".safetensors", ".tflite", ".wasm",
    ".arrow", ".npy", ".npz", ".parquet",
    ".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst",
    ".avi", ".bmp", ".flac", ".gif", ".jpeg", ".jpg", ".mp3", ".mp4", ".png", ".tif", ".tiff", ".wav", ".webm", ".webp",
)
# fmt: on
GIT_ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE_FILE_SUFFIXES).encode()
#: Files from this size on are large whatever their name: 10 MiB, the Hub's limit for files kept in git itself.
LARGE_FILE_BYTES = 10 << 20


def is_large(path: str, size: int) -> bool:
    """Whether the Hub stores a file outside git (LFS), by its name or its size in bytes; never an empty file."""
    return size > 0 and (size >= LARGE_FILE_BYTES or path.lower().endswith(LARGE_FILE_SUFFIXES))


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that git stores in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass(frozen=True, slots=True)
class File:
    """One file of a commit: size in bytes, SHA-256 of its content, git id, and whether it is a large (LFS) file."""

    size: int
    sha256: str
    oid: str
    lfs: bool

    @classmethod
    def large(cls, sha256: str, size: int) -> Self:
        """A file that is stored outside git."""
        return cls(size, sha256, git_hash(lfs_pointer(sha256, size)), lfs=True)

    @property
    def etag(self) -> str:
        """The id of the content for clients: the SHA-256 of a large file, the git id of any other."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """One commit of a repository: all its files by path, and their metadata. `date` is ISO 8601 in UTC."""

    id: str
    parent: str | None
    message: str
    date: str
    author: str
    files: Mapping[str, File]
    metadata: Metadata

    def to_json(self) -> bytes:
        """The commit as JSON, as it is stored on disk (the metadata under its former name, "facts")."""
        files = {path: [file.size, file.sha256, file.oid, file.lfs] for path, file in sorted(self.files.items())}
        head = {name: getattr(self, name) for name in ("id", "parent", "message", "date", "author")}
        return json.dumps({**head, "facts": asdict(self.metadata), "files": files}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The commit from the JSON of `to_json`."""
        value = json.loads(text)
        files = {path: File(*fields) for path, fields in value.pop("files").items()}
        return cls(files=files, metadata=Metadata(**value.pop("facts")), **value)


def commit_id(files: Mapping[str, File], parent: str | None, message: str, date: str) -> str:
    """The id of a commit: a SHA-1 of its files, parent, message and date, and of nothing else."""
    tree = [[path, file.oid] for path, file in sorted(files.items())]
    text = json.dumps([tree, parent, message, date], separators=(",", ":"))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Repo:
    """A repository's settings, counts and refs. Dates are ISO 8601 in UTC; refs map a name to a commit id."""

    kind: str
    id: str
    created_at: str
    downloads: int = 0
    downloads_all_time: int = 0
    likes: int = 0
    gated: Gate = False
    disabled: bool = False
    private: bool = False
    branches: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Other refs under their full name: pull requests (refs/pr/1) and conversions (refs/convert/parquet).
    refs: Mapping[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """The commit that `main` points to."""
        return self.branches["main"]

    def to_json(self) -> dict[str, Any]:
        """The repository as JSON, as it is stored on disk."""
        return asdict(self)

    def named(self, revision: str) -> str | None:
        """The commit that a branch, tag or full ref points to; None if it does not exist."""
        if revision.startswith("refs/heads/"):
            return self.branches.get(revision.removeprefix("refs/heads/"))
        if revision.startswith("refs/tags/"):
            return self.tags.get(revision.removeprefix("refs/tags/"))
        return self.branches.get(revision) or self.tags.get(revision) or self.refs.get(revision)

    def with_ref(self, revision: str, commit: str) -> dict[str, Mapping[str, str]]:
        """The field with a branch or full ref set to `commit`; raises `RevisionNotFound` for a tag or commit id."""
        if revision in self.tags or revision.startswith("refs/tags/") or is_commit_id(revision):
            raise RevisionNotFound(f"{revision!r} of {self.id} is not a branch; commit to a branch")
        revision = revision.removeprefix("refs/heads/")
        if revision.startswith("refs/"):
            return {"refs": {**self.refs, revision: commit}}
        return {"branches": {**self.branches, revision: commit}}
