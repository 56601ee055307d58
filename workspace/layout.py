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
      samples/<org>--<name>/batch-00000032/   images and rows that are not in a part yet
      outcomes/<org>--<name>.json             how sampling that generator ended
      logs/stderr/<org>--<name>.txt           what its sampling process printed, where it failed
      manifest/  report/  logs/
      .crawl/                                 rows of a crawl that was interrupted
      .unfinished.json                        a removal or merge that was interrupted; none in between
      .locks/<work>/                          processes that do what only one may do at a time; empty in between

No other module builds a path. Names from outside (repository ids, names of real sources) are checked here before they
become part of a path.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id

#: The names that `part_name` makes.
_PARTS = "part-*.parquet"
_PART = re.compile(r"part-([0-9]{5,})\.parquet", re.ASCII)
_BATCH = re.compile(r"batch-([0-9]{8,})", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{12}", re.ASCII)
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

#: Digits of a commit in the name of a further revision.
COMMIT_DIGITS = 12


@dataclass(frozen=True)
class Workspace:
    """One workspace folder; the stages find each other's files through it."""

    root: Path

    @classmethod
    def open(cls, root: Path | str) -> "Workspace":
        """The workspace at `root`, created if it does not exist; raises `UsageError` if that is not possible."""
        root = Path(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"--workspace {root}: the folder cannot be created ({error.strerror}); name another"
            ) from error
        return cls(root.resolve())

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

    def stderr_of(self, generator: str) -> Path:
        """What the sampling process of one generator printed, where it failed."""
        return self.logs / "stderr" / f"{generator_folder(generator)}.txt"


def part_name(number: int) -> str:
    """The file name of a part, counted from 0: part-00000.parquet."""
    return f"part-{number:05d}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """The part files of one generator or real source, in the order of their numbers; none if there is no folder."""
    return sorted((path for path in _listed(folder) if path.match(_PARTS)), key=_by_number)


def parts_below(folder: Path) -> list[Path]:
    """The part files of all generators or real sources in `folder`, by name and number."""
    return sorted((part for below in _listed(folder) for part in parts_in(below)), key=_by_number)


def part_number(part: Path) -> int:
    """The number of a part file."""
    match = _PART.fullmatch(part.name)
    if match is None:
        raise UsageError(f"{part} is not the name of a part: remove or rename that file")
    return int(match[1])


def batch_name(first: int) -> str:
    """The folder name of a batch that is not in a part yet, by the index of its first sample: batch-00000032."""
    return f"batch-{first:08d}"


def batches_in(folder: Path) -> list[tuple[int, Path]]:
    """Such batches of one generator, with the index of their first sample, in order; none if there is no folder."""
    found = [(_BATCH.fullmatch(path.name), path) for path in _listed(folder)]
    return sorted((int(match[1]), path) for match, path in found if match is not None)


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing if there is none. Raises `OSError` where it may not be read: `glob` would find
    nothing there, and what is not found is left out, or made again."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


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
