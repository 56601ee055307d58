"""Looking into a repository without downloading a weight.

One API request gives all files with sizes and hashes, pinned to a commit; then the few small files that say what
the repository is are read. Thousands of fine-tunes carry byte-identical configs: a small file is known by its git
hash, so its bytes are asked for once, whatever the repository.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from huggingface_hub.errors import DisabledRepoError, GatedRepoError, RemoteEntryNotFoundError

from crawler.card.model_card import MAX_CARD
from crawler.catalog import ModelFile
from crawler.hub.client import FINAL, Hub, OversizedError
from crawler.hub.single_flight import SingleFlight
from crawler.reasons import Incompatible, Reason
from crawler.text import load_json

#: Bytes of a configuration file read at most; real ones stay below 100,000.
MAX_CONFIG = 2**20
#: Files of a repository that are looked at, at most: the Hub asks authors to stay below 100,000.
MAX_FILES = 200_000


class Inspector:
    """Opens repositories of a Hub; remembers small files by their git hash. May be used from any number of threads."""

    def __init__(
        self,
        hub: Hub,
        bases: frozenset[str] = frozenset(),
        known: Mapping[tuple[str, str | None], Mapping[str, ModelFile]] = MappingProxyType({}),
    ) -> None:
        """`bases` are models that may be opened many times, for themselves and for adapters: each is asked for once.

        `known` are files of models, by name and commit, that the Hub has told of already.
        """
        self._hub, self._bases, self._known = hub, bases, known
        self._opened: SingleFlight[tuple[str, str | None], Repository] = SingleFlight()
        self._configs: SingleFlight[str, bytes] = SingleFlight()

    def open(self, model_name: str, revision: str | None) -> "Repository":
        """Look up a repository at a commit (None: the newest).

        Raises `Incompatible` (gone, disabled, gated, malformed) or `HubError`.
        """
        files = self._known.get((model_name, revision))
        if files is not None and revision is not None:
            return Repository(model_name, revision, files, self)
        if model_name in self._bases:
            return self._opened.get((model_name, revision), lambda: self._open(model_name, revision))
        return self._open(model_name, revision)

    def _open(self, model_name: str, revision: str | None) -> "Repository":
        try:
            info = self._hub.model_info(model_name, revision)
        except FINAL as error:
            raise _refusal(error, model_name) from error
        except OversizedError as error:
            raise Incompatible(Reason.MALFORMED, f"the list of its files is too long: {error}") from error
        sha = info.get("sha") or revision
        if not isinstance(sha, str):
            raise Incompatible(Reason.MALFORMED, "the Hub states no commit for it")
        return Repository(model_name, sha, files_of(info), self)

    def content(self, repository: "Repository", path: str, max_bytes: int) -> bytes:
        """The bytes of a file of a repository; errors as `Repository.read`."""
        file = repository.files[path]
        if file.size > max_bytes:
            raise Incompatible(Reason.MALFORMED, f"{path} has {file.size} bytes, more than {max_bytes}")
        if file.git_oid is None or not path.endswith(".json"):  # cards differ from model to model: keep none
            return self._download(repository, file, max_bytes)
        return self._configs.get(file.git_oid, lambda: self._download(repository, file, max_bytes))

    def _download(self, repository: "Repository", file: ModelFile, max_bytes: int) -> bytes:
        try:
            return self._hub.small_file(
                repository.model_name, repository.revision, file.path, max_bytes, git_oid=file.git_oid
            )
        except OversizedError as error:
            raise Incompatible(Reason.MALFORMED, f"{file.path} is larger than the Hub states") from error
        except RemoteEntryNotFoundError as error:
            raise Incompatible(Reason.MISSING_FILES, f"the Hub lists {file.path} but does not have it") from error
        except FINAL as error:
            raise _refusal(error, repository.model_name) from error


@dataclass(frozen=True)
class Repository:
    """One repository at one commit."""

    model_name: str
    revision: str
    #: By path.
    files: Mapping[str, ModelFile]
    _inspector: Inspector = field(repr=False)

    def read(self, path: str, max_bytes: int = MAX_CONFIG) -> bytes | None:
        """The bytes of a file; None when there is none.

        Raises `Incompatible` (malformed: larger than `max_bytes`; gated, gone, missing-files) or `HubError`.
        """
        return self._inspector.content(self, path, max_bytes) if path in self.files else None

    def read_object(self, path: str) -> dict[str, Any] | None:
        """A JSON file that holds an object; None when there is no such file. Raises as `read`."""
        content = self.read(path)
        return None if content is None else parse_object(content, path)

    def read_card(self) -> bytes | None:
        """README.md; None when there is none. Raises as `read`."""
        return self.read("README.md", MAX_CARD)


def parse_object(content: bytes, path: str) -> dict[str, Any]:
    """Read a stranger's JSON object; raises `Incompatible` (malformed) for anything else."""
    try:
        value = load_json(content)
    except (ValueError, RecursionError) as error:
        raise Incompatible(Reason.MALFORMED, f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Incompatible(Reason.MALFORMED, f"{path} holds no JSON object")
    return value


def files_of(info: Mapping[str, Any]) -> dict[str, ModelFile]:
    """The files of a model by path, as the Hub's JSON of it says; entries that make no sense are left out."""
    siblings = info.get("siblings")
    rows = siblings[:MAX_FILES] if isinstance(siblings, list) else []
    files = [file for row in rows if (file := _file(row)) is not None]
    return {file.path: file for file in files}


def _file(row: Any) -> ModelFile | None:
    if not isinstance(row, dict):
        return None
    path, size, oid, lfs = row.get("rfilename"), row.get("size"), row.get("blobId"), row.get("lfs")
    # A path that could leave the folder it is downloaded to is no file of ours.
    if not isinstance(path, str) or not path or ".." in path.split("/") or path.startswith("/") or "\\" in path:
        return None
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else None
    return ModelFile(
        path=path,
        size=size if isinstance(size, int) and 0 <= size < 2**63 else 0,
        sha256=sha256 if isinstance(sha256, str) else None,
        # The git hash of an LFS file is its pointer's, not its content's.
        git_oid=oid if isinstance(oid, str) and not isinstance(lfs, dict) else None,
    )


def _refusal(error: Exception, model_name: str) -> Incompatible:
    if isinstance(error, GatedRepoError):
        return Incompatible(Reason.GATED, f"{model_name}: its terms must be accepted on the Hub, and a token given")
    if isinstance(error, DisabledRepoError):
        return Incompatible(Reason.DISABLED, f"{model_name} is disabled by the Hub")
    return Incompatible(Reason.GONE, f"the Hub has no {model_name} (any more), or it is private")
