"""The paths of all files of a workspace.

    workspace/
      recipe.toml                             every setting that changes a pixel or a row
      roots.toml                              where real images and local generators are on this machine (`roots`)
      catalog.parquet                         the generators, pinned
      removed.parquet                         what `cf-remove` took out: hashes, so that nothing is made again
      prompts/<real_source>/part-00000.parquet
      real/<real_source>/                     copies of real images, made by --copy
      images/<org>--<name>/00000000.png
      samples/<org>--<name>/part-00000.parquet
      samples/<org>--<name>/journal-00000032-0123abcd   batches, rows and images, that are in no part yet
      outcomes/<org>--<name>.json             how sampling that generator ended
      requests/<org>--<name>/ledger.jsonl     what was requested of its provider, where it is a remote generator
      logs/stderr/<org>--<name>.txt           what its sampling process printed, where it failed
      manifest/  report/  logs/
      detect/                                 detectors: runs, their scores, features, results
      .crawl/                                 rows of a crawl that was interrupted
      .unfinished.json                        a removal or merge that was interrupted; none in between
      .locks/<work>/                          processes that do what only one may do at a time; empty in between

No other module builds a path. Names from outside (repository ids, names of real sources) are checked here before they
become part of a path.
"""

import re
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id

#: The names that `part_name` makes.
_PARTS = "part-*.parquet"
_PART = re.compile(r"part-([0-9]{5,})\.parquet", re.ASCII)
_PREPARED = re.compile(r"prepared-([0-9]{5,})\.parquet", re.ASCII)
_JOURNAL = re.compile(r"journal-([0-9]{8,})-[0-9a-f]{8}", re.ASCII)
_BATCH = re.compile(r"batch-([0-9]{8,})", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{12}", re.ASCII)
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

#: Digits of a commit in the name of a further revision.
COMMIT_DIGITS = 12


@dataclass(frozen=True)
class Needs:
    """What a command needs of a workspace, where that is on an object store (`workspace.objects`)."""

    writes: bool = True
    """Whether it writes to the workspace."""
    images: bool = False
    """Whether it reads images of every generator, not only rows."""
    manifest: bool = False
    """Whether it reads the manifest and the report."""
    logs: bool = False
    """Whether it reads the logs of all processes."""
    follows: bool = False
    """Whether it shows what others write meanwhile."""


class Remote(Protocol):
    """The object store of which a workspace's folder is a replica."""

    def bring(self, generator: str, *, whole: bool = False) -> None:
        """Make the files of a generator in the folder what the store has; `whole`: with its images."""

    def send(self, generator: str) -> None:
        """Put what was made of a generator into the store."""

    def alone(self, work: str, process: str, seconds: float) -> AbstractContextManager[None]:
        """A block in which one process of all nodes does this work."""

    def leases(self, work: str, process: str) -> AbstractContextManager[Any]:
        """The claims of a process for a kind of work (`workspace.objects.leases`)."""


@dataclass(frozen=True)
class Workspace:
    """One workspace folder; the stages find each other's files through it."""

    root: Path

    @classmethod
    def open(cls, root: Path | str) -> "Workspace":
        """The workspace at `root`, created if it does not exist; raises `UsageError` if that is not possible."""
        if str(root).startswith("s3:/"):
            raise UsageError(f"{root}: give the address to the function of a stage, which opens it, or name a folder")
        root = Path(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--workspace {root}: the folder cannot be created ({error.strerror}); name another"
            ) from error
        return cls(root.resolve())

    @property
    def remote(self) -> Remote | None:
        """The object store behind the folder; None: there is none."""
        return None

    @property
    def recipe(self) -> Path:
        """recipe.toml."""
        return self.root / "recipe.toml"

    @property
    def roots(self) -> Path:
        """roots.toml: where real images and local generators are on this machine."""
        return self.root / "roots.toml"

    @property
    def locks(self) -> Path:
        """The folder of the processes that are at work (`workspace.exclusive`)."""
        return self.root / ".locks"

    @property
    def catalog(self) -> Path:
        """catalog.parquet: the generators."""
        return self.root / "catalog.parquet"

    @property
    def crawl(self) -> Path:
        """The folder of a crawl that is not finished (`crawler.resume_log`)."""
        return self.root / ".crawl"

    @property
    def removed(self) -> Path:
        """removed.parquet: the tombstones of what was removed (`workspace.removed`)."""
        return self.root / "removed.parquet"

    @property
    def unfinished(self) -> Path:
        """The file that says which command on the whole workspace is not finished (`workspace.exclusive`)."""
        return self.root / ".unfinished.json"

    @property
    def prompts(self) -> Path:
        """The folder of all prompts, with one folder for each real source."""
        return self.root / "prompts"

    @property
    def samples(self) -> Path:
        """The folder of all sample rows, with one folder for each generator."""
        return self.root / "samples"

    @property
    def images(self) -> Path:
        """The folder of all sampled images, with one folder for each generator."""
        return self.root / "images"

    @property
    def outcomes(self) -> Path:
        """The folder of the outcomes, with one file for each generator."""
        return self.root / "outcomes"

    @property
    def manifest(self) -> Path:
        """The folder of the manifest."""
        return self.root / "manifest"

    @property
    def report(self) -> Path:
        """The folder of the report, with its index.html."""
        return self.root / "report"

    @property
    def detect(self) -> Path:
        """The folder of the detectors, with one folder for each run."""
        return self.root / "detect"

    @property
    def logs(self) -> Path:
        """The folder of the structured logs."""
        return self.root / "logs"

    def prompts_of(self, real_source: str) -> Path:
        """The folder of one real source's prompt parts."""
        return self.prompts / checked_source(real_source)

    @property
    def real(self) -> Path:
        """The folder of all copied real images, with one folder for each real source."""
        return self.root / "real"

    def real_of(self, real_source: str) -> Path:
        """The folder of one real source's copied images."""
        return self.real / checked_source(real_source)

    def samples_of(self, generator: str) -> Path:
        """The folder of one generator's sample parts."""
        return self.samples / generator_folder(generator)

    def images_of(self, generator: str) -> Path:
        """The folder of one generator's images."""
        return self.images / generator_folder(generator)

    def outcome_of(self, generator: str) -> Path:
        """The outcome of one generator: how sampling it ended."""
        return self.outcomes / f"{generator_folder(generator)}.json"

    @property
    def requests(self) -> Path:
        """The folder of all ledgers of requests to providers, with one folder for each remote generator."""
        return self.root / "requests"

    def requests_of(self, generator: str) -> Path:
        """The folder of one remote generator's ledger, and of answers whose images are in no row yet."""
        return self.requests / generator_folder(generator)

    def begun(self) -> frozenset[str]:
        """The generators that have rows or an outcome, by one listing of each folder: asking for each of thousands
        takes longer, above all on a file server."""
        outcomes = (path.name.removesuffix(".json") for path in _listed(self.outcomes))
        return frozenset(map(generator_of, (*(path.name for path in _listed(self.samples)), *outcomes)))

    def stderr_of(self, generator: str) -> Path:
        """What the sampling process of one generator printed, where it failed."""
        return self.logs / "stderr" / f"{generator_folder(generator)}.txt"


def part_name(number: int) -> str:
    """The file name of a part, counted from 0: part-00000.parquet."""
    return f"part-{number:05d}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """The part files of one generator or real source, in the order of their numbers; none if there is no folder."""
    return _parts(_listed(folder))


def parts_below(folder: Path) -> list[Path]:
    """The part files of all generators or real sources in `folder`, by name and number."""
    return sorted((part for below in _listed(folder) for part in parts_in(below)), key=_by_number)


def part_number(part: Path) -> int:
    """The number of a part file."""
    match = _PART.fullmatch(part.name) or _PREPARED.fullmatch(part.name)
    if match is None:
        raise UsageError(f"{part} is not the name of a part: remove or rename that file")
    return int(match[1])


def prepared_name(number: int) -> str:
    """The file name of a part whose images have no names yet."""
    return f"prepared-{number:05d}.parquet"


def journal_name(first: int) -> str:
    """A file name, which no other process makes, for a journal of batches from this index on."""
    return f"journal-{first:08d}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class SampleFiles:
    """The files of one generator's samples, each kind in the order of the samples."""

    parts: tuple[Path, ...] = ()
    prepared: tuple[Path, ...] = ()
    """Parts whose images have no names yet."""
    journals: tuple[Path, ...] = ()
    """Batches that are in no part yet, of all processes."""
    batches: tuple[Path, ...] = ()
    """The same as a former version wrote them: a folder for each batch."""


def sample_files(folder: Path) -> SampleFiles:
    """The files of one generator's samples, by one look at its folder; none if there is none."""
    paths = _listed(folder)
    return SampleFiles(
        parts=tuple(_parts(paths)),
        prepared=tuple(_named(paths, _PREPARED)),
        journals=tuple(_named(paths, _JOURNAL)),
        batches=tuple(_named(paths, _BATCH)),
    )


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing if there is none. Raises `OSError` where it may not be read: `glob` would find
    nothing there, and what is not found is left out, or made again."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parts(paths: list[Path]) -> list[Path]:
    return sorted((path for path in paths if path.match(_PARTS)), key=_by_number)


def _named(paths: list[Path], name: re.Pattern[str]) -> list[Path]:
    """The paths with such a name, by its number."""
    found = [(match, path) for path in paths if (match := name.fullmatch(path.name)) is not None]
    return [path for _, path in sorted(found, key=lambda one: (int(one[0][1]), one[1].name))]


def _by_number(part: Path) -> tuple[str, int, str]:
    # The name of a part from 100,000 on is longer.
    return (part.parent.name, len(part.name), part.name)


def generator_folder(generator: str) -> str:
    """A generator as one path component: `org/name` -> `org--name`; different generators give different names.

    The Hub allows no `--` in an id, so it can replace the slash. A further revision, `org/name@0123456789ab`, keeps its
    commit. Raises `UsageError` for an invalid repository id, and for an @ with anything else than the first digits of a
    commit.
    """
    model_name, at, commit = generator.partition("@")
    if at and not _COMMIT.fullmatch(commit):
        raise UsageError(f"{generator!r} does not name a revision by the first {COMMIT_DIGITS} digits of its commit")
    return checked_repo_id(model_name).replace("/", "--") + at + commit


def generator_of(folder: str) -> str:
    """The generator of a folder that `generator_folder` named."""
    return folder.replace("--", "/")


def generator_name(model_name: str, revision: str, further_revision: bool) -> str:
    """How a generator is named in a workspace: by its repository; a further revision of a repository with the first
    digits of its commit, `org/name@0123456789ab`."""
    return f"{model_name}@{revision[:COMMIT_DIGITS]}" if further_revision else model_name


def checked_source(real_source: str) -> str:
    """`real_source` if it may be part of a path; raises `UsageError` otherwise."""
    if not _SOURCE_NAME.fullmatch(real_source) or ".." in real_source:
        raise UsageError(
            f"{real_source!r} cannot name a real source: use at most 64 letters, digits, '.', '_' and '-', "
            "begin with a letter or digit, and do not use '..'"
        )
    return real_source
