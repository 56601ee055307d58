"""Reading a repository without downloading weights.

One request gets the list of files with sizes and hashes at one commit. Then a few small files are read: the card and
the configurations. Thousands of fine-tunes have identical configurations, so these are cached by their git hash and
downloaded once for all repositories.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from huggingface_hub.errors import DisabledRepoError, GatedRepoError, RemoteEntryNotFoundError

from crawler.card.model_card import MAX_CARD
from crawler.catalog import ModelFile
from crawler.hub.client import FINAL_ERRORS, ForbiddenError, Hub, LegalError
from crawler.hub.single_flight import SingleFlight
from crawler.reasons import Incompatible, Reason
from crawler.text import load_json
from workspace.errors import in_one_line
from workspace.hub_session import TooLargeError
from workspace.repo_id import is_repo_id
from workspace.size import text_of

#: Bytes of a configuration file at most; real ones have less than 100,000.
MAX_CONFIG = 2**20
#: Files of a repository that are read at most; the Hub recommends fewer than 100,000.
MAX_FILES = 200_000
#: Bytes of a file at most, so that the sum of `MAX_FILES` fits its column; the Hub takes files up to 500 GB.
MAX_FILE_SIZE = 2**45


class Reader(Protocol):
    """Opens repositories, and reads their files."""

    def open(self, model_name: str, revision: str | None) -> "Repository":
        """A repository at a commit (None: the newest); raises as `RepositoryReader.open`."""
        ...

    def content(self, repository: "Repository", path: str, max_bytes: int) -> bytes:
        """The bytes of a file of a repository; raises as `Repository.read`."""
        ...


class RepositoryReader:
    """Opens repositories of a Hub and caches their configurations. May be used from any number of threads."""

    def __init__(
        self,
        hub: Hub,
        bases: frozenset[str] = frozenset(),
        known: Mapping[tuple[str, str | None], "Description"] = MappingProxyType({}),
    ) -> None:
        """`bases` are models that adapters are made for: they are opened many times, with one request.

        `known` has what is known of models, by name and commit, and needs no request.
        """
        self._hub, self._bases, self._known = hub, bases, known
        self._opened: SingleFlight[tuple[str, str | None], Repository] = SingleFlight()
        self._configs: SingleFlight[str, bytes] = SingleFlight()

    def open(self, model_name: str, revision: str | None) -> "Repository":
        """A repository at a commit (None: the newest).

        Raises `Incompatible` (gone, disabled, gated, malformed) or `HubError`.
        """
        known = self._known.get((model_name, revision))
        if known is not None and revision is not None:
            return Repository(model_name, revision, known.checked(), self)
        if model_name in self._bases:
            return self._opened.get((model_name, revision), lambda: self._open(model_name, revision))
        return self._open(model_name, revision)

    def _open(self, model_name: str, revision: str | None) -> "Repository":
        try:
            info = self._hub.model_info(model_name, revision)
        except FINAL_ERRORS as error:
            raise _incompatible(error, model_name) from error
        except TooLargeError as error:
            raise Incompatible(Reason.MALFORMED, f"its list of files is too long: {error}") from error
        sha = info.get("sha") or revision
        if not isinstance(sha, str):
            raise Incompatible(Reason.MALFORMED, "the Hub gives no commit for it")
        # A repository that was renamed answers under its former name, too, and says its own.
        name = info.get("id")
        known = name if isinstance(name, str) and is_repo_id(name) else model_name
        return Repository(known, sha, Description.parse(info).checked(), self)

    def content(self, repository: "Repository", path: str, max_bytes: int) -> bytes:
        """The bytes of a file of a repository; raises as `Repository.read`."""
        file = repository.files[path]
        if file.size > max_bytes:
            raise Incompatible(Reason.MALFORMED, f"{path} has {text_of(file.size)}, more than {text_of(max_bytes)}")
        # Every card is different, but that of a base is read for each of its adapters.
        shared = path.endswith(".json") or repository.model_name in self._bases
        if file.git_oid is None or not shared:
            return self._download(repository, file, max_bytes)
        return self._configs.get(file.git_oid, lambda: self._download(repository, file, max_bytes))

    def _download(self, repository: "Repository", file: ModelFile, max_bytes: int) -> bytes:
        try:
            return self._hub.small_file(
                repository.model_name, repository.revision, file.path, max_bytes, git_oid=file.git_oid
            )
        except TooLargeError as error:
            raise Incompatible(Reason.MALFORMED, f"{file.path} is larger than the Hub states") from error
        except RemoteEntryNotFoundError as error:
            raise Incompatible(Reason.MISSING_FILES, f"the Hub lists {file.path}, but it does not exist") from error
        except FINAL_ERRORS as error:
            raise _incompatible(error, repository.model_name) from error


@dataclass(frozen=True)
class Description:
    """What the Hub tells of a model beside its place in the list."""

    #: By path.
    files: Mapping[str, ModelFile]
    tags: tuple[str, ...] = ()
    #: The front matter of its card, which the Hub tells even where it refuses the files.
    card_data: Mapping[str, Any] = field(default_factory=dict)
    #: Files beyond `MAX_FILES`, which are not among `files`.
    unread: int = 0

    @classmethod
    def parse(cls, info: Mapping[str, Any]) -> "Description":
        """The description in the Hub's JSON; what has another type is left out."""
        tags, card_data = info.get("tags"), info.get("cardData")
        return cls(
            parse_files(info),
            tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
            card_data if isinstance(card_data, dict) else {},
            max(0, len(siblings) - MAX_FILES) if isinstance(siblings := info.get("siblings"), list) else 0,
        )

    def checked(self) -> "Description":
        """Itself; raises `Incompatible` (malformed) where files are unread, because one of them may be needed."""
        if self.unread:
            files = MAX_FILES + self.unread
            raise Incompatible(Reason.MALFORMED, f"it has {files:,} files, more than the {MAX_FILES:,} that are read")
        return self


@dataclass(frozen=True)
class Repository:
    """One repository at one commit."""

    #: Its name on the Hub; that under which it was asked for may be a former one.
    model_name: str
    revision: str
    description: Description
    _reader: Reader = field(repr=False)

    @property
    def files(self) -> Mapping[str, ModelFile]:
        """Its files by path."""
        return self.description.files

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags on the Hub."""
        return self.description.tags

    @property
    def card_data(self) -> Mapping[str, Any]:
        """The front matter of its card, as the Hub tells it."""
        return self.description.card_data

    def read(self, path: str, max_bytes: int = MAX_CONFIG) -> bytes | None:
        """The bytes of a file; None if the repository has none.

        Raises `Incompatible` (malformed: larger than `max_bytes`; gated, gone, missing-files) or `HubError`.
        """
        return self._reader.content(self, path, max_bytes) if path in self.files else None

    def read_json(self, path: str) -> dict[str, Any] | None:
        """A JSON file that contains an object; None if the repository has none. Raises as `read`."""
        content = self.read(path)
        return None if content is None else parse_json_object(content, path)

    def read_card(self) -> bytes | None:
        """README.md; None if the repository has none. Raises as `read`."""
        return self.read("README.md", MAX_CARD)


def parse_json_object(content: bytes, path: str) -> dict[str, Any]:
    """A JSON object; raises `Incompatible` (malformed) for anything else."""
    try:
        value = load_json(content)
    except (ValueError, RecursionError) as error:
        raise Incompatible(Reason.MALFORMED, f"{path} is not JSON: {in_one_line(error, named=False)}") from error
    if not isinstance(value, dict):
        raise Incompatible(Reason.MALFORMED, f"{path} does not contain a JSON object")
    return value


def parse_files(info: Mapping[str, Any]) -> dict[str, ModelFile]:
    """The files of a model by path, from the Hub's JSON, `MAX_FILES` at most; invalid entries are skipped."""
    siblings = info.get("siblings")
    rows = siblings[:MAX_FILES] if isinstance(siblings, list) else []
    files = [file for row in rows if (file := _file(row)) is not None]
    return {file.path: file for file in files}


def _file(row: Any) -> ModelFile | None:
    if not isinstance(row, dict):
        return None
    path, size, oid, lfs = row.get("rfilename"), row.get("size"), row.get("blobId"), row.get("lfs")
    # A path that could leave the folder of the download is skipped.
    if not isinstance(path, str) or not path or ".." in path.split("/") or path.startswith("/") or "\\" in path:
        return None
    sha256 = lfs.get("sha256") if isinstance(lfs, dict) else None
    return ModelFile(
        path=path,
        size=size if isinstance(size, int) and 0 <= size < MAX_FILE_SIZE else 0,
        sha256=sha256 if isinstance(sha256, str) else None,
        # The git hash of an LFS file is the hash of its pointer.
        git_oid=oid if isinstance(oid, str) and not isinstance(lfs, dict) else None,
    )


def _incompatible(error: Exception, model_name: str) -> Incompatible:
    if isinstance(error, GatedRepoError):
        return Incompatible(
            Reason.GATED, f"{model_name} is gated: accept its terms on the Hub, set HF_TOKEN, and crawl again"
        )
    if isinstance(error, ForbiddenError):
        return Incompatible(Reason.GATED, f"{model_name} is refused to this token ({error}): set another HF_TOKEN")
    if isinstance(error, LegalError):
        return Incompatible(Reason.DISABLED, f"the Hub may not give {model_name} for legal reasons ({error})")
    if isinstance(error, DisabledRepoError):
        return Incompatible(Reason.DISABLED, f"the Hub has disabled {model_name}")
    return Incompatible(Reason.GONE, f"{model_name} does not exist on the Hub, or it is private")
