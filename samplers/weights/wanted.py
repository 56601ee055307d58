"""Which contents a generator needs, and at which paths below its folder each of them is expected."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crawler.catalog import CatalogEntry, ModelFile
from samplers.weights.fetching import FetchError, checked_path, content_key


@dataclass(frozen=True)
class Content:
    """A content to download from one place, and the paths it is needed at."""

    repo_id: str
    revision: str
    file: ModelFile
    crawled_from: str | None
    """URL of the Hub on which the catalogue found it."""
    paths: list[Path] = field(default_factory=list)


#: Contents by their keys.
Wanted = dict[str, Content]


def wanted_of(entry: CatalogEntry, root: Path) -> tuple[Wanted, tuple[Path, Path | None, Path | None]]:
    """The contents of a generator, to be put below `root`, and the folders of its own files, its base model's and its
    prior's there. Raises `FetchError` for a row of the catalogue that cannot be downloaded."""
    folder = root / "model"
    wanted: Wanted = {}
    add_wanted(wanted, folder, entry.model_name, entry.revision, entry.files, entry.endpoint)
    others: list[Path | None] = []
    for name, what, repo_id, revision, files in (
        ("base", "base model", entry.base_model, entry.base_revision, entry.base_files),
        ("prior", "prior", entry.prior_model, entry.prior_revision, entry.prior_files),
    ):
        others.append(root / name if files else None)
        if not files:
            continue
        if repo_id is None or revision is None:
            detail = f"the catalogue has no revision of its {what}; crawl again with `cf-crawl`"
            raise FetchError(f"{entry.generator}: {detail}")
        add_wanted(wanted, root / name, repo_id, revision, files, entry.endpoint)
    return wanted, (folder, others[0], others[1])


def add_wanted(
    wanted: Wanted,
    folder: Path,
    repo_id: str,
    revision: str,
    files: Sequence[ModelFile],
    crawled_from: str | None = None,
) -> None:
    """Add the files to `wanted`, to be put into `folder`. Raises `FetchError` for invalid names and hashes."""
    names: defaultdict[PurePosixPath, int] = defaultdict(int)
    for file in files:
        name = checked_path(file.path)
        names[name] += 1
        if names[name] > 1:
            raise FetchError(f"{file.path} is listed twice")
        content = wanted.setdefault(content_key(file), Content(repo_id, revision, file, crawled_from))
        content.paths.append(folder / name)
    both = next((name for name in names for parent in name.parents if parent in names), None)
    if both is not None:
        raise FetchError(f"{both}: the repository has a file and a folder of this name")


def known_keys(entry: CatalogEntry) -> list[str]:
    """The keys of a generator's contents, without those of files that have no valid hash."""
    keys = []
    for file in entry.all_files:
        try:
            keys.append(content_key(file))
        except FetchError:
            continue
    return keys
