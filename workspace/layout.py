"""Where everything lies in a workspace.

    workspace/
      recipe.toml                             every choice that changes a pixel or a row
      catalog.parquet                         the generators, pinned
      prompts/<real_source>/part-00000.parquet
      real/<real_source>/                     copies of real images, where --copy asked for them
      images/<org>--<name>/00000000.png
      samples/<org>--<name>/part-00000.parquet
      outcomes/<org>--<name>.json             how sampling that generator ended
      manifest/  report/  logs/

No other module puts a path together. Names that come from outside (repository ids, names of real sources) are
checked here before they become part of a path.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import UsageError
from workspace.repo_id import checked_repo_id

#: What `part_name` makes.
_PARTS = "part-*.parquet"
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Workspace:
    """One workspace folder; the stages find each other's files through it."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """The workspace at `root`, made when it does not exist; raises `UsageError` when that cannot be."""
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--workspace {root}: cannot be a folder ({error.strerror}); name another") from error
        return cls(root.resolve())

    @property
    def recipe(self) -> Path:
        """recipe.toml."""
        return self.root / "recipe.toml"

    @property
    def catalog(self) -> Path:
        """catalog.parquet: the generators."""
        return self.root / "catalog.parquet"

    @property
    def prompts(self) -> Path:
        """The folder of all prompts, a folder a real source in it."""
        return self.root / "prompts"

    @property
    def samples(self) -> Path:
        """The folder of all sample rows, a folder a generator in it."""
        return self.root / "samples"

    @property
    def images(self) -> Path:
        """The folder of all sampled images, a folder a generator in it."""
        return self.root / "images"

    @property
    def outcomes(self) -> Path:
        """The folder of how sampling ended, a file a generator in it."""
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

    def real_of(self, real_source: str) -> Path:
        """The folder of one real source's copied images."""
        return self.root / "real" / checked_source(real_source)

    def samples_of(self, model_name: str) -> Path:
        """The folder of one generator's sample parts."""
        return self.samples / generator_folder(model_name)

    def images_of(self, model_name: str) -> Path:
        """The folder of one generator's images."""
        return self.images / generator_folder(model_name)

    def outcome_of(self, model_name: str) -> Path:
        """The file that says how sampling one generator ended."""
        return self.outcomes / f"{generator_folder(model_name)}.json"


def part_name(number: int) -> str:
    """The file name of a part, counted from 0: part-00000.parquet."""
    return f"part-{number:05d}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """The part files of one generator or real source, in the order of their numbers; none where there is no folder."""
    return sorted(folder.glob(_PARTS))


def parts_below(folder: Path) -> list[Path]:
    """The part files of all generators or real sources in `folder`, by name and number."""
    return sorted(folder.glob(f"*/{_PARTS}"))


def generator_folder(model_name: str) -> str:
    """A repository id as one path component: `org/name` -> `org--name`; different ids give different names.

    The Hub allows no `--` in an id, so it is free to stand for the slash. Raises `UsageError` for what is no repository
    id of the Hub.
    """
    return checked_repo_id(model_name).replace("/", "--")


def model_name_of(folder: str) -> str:
    """The repository id that `generator_folder` made a folder's name of."""
    return folder.replace("--", "/")


def checked_source(real_source: str) -> str:
    """A real source's name as it may stand in a path; raises `UsageError` for other names."""
    if not _SOURCE_NAME.fullmatch(real_source) or ".." in real_source:
        raise UsageError(
            f"{real_source!r} cannot name a real source: letters, digits, '.', '_' and '-' only, 64 at most"
        )
    return real_source
