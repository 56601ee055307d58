"""A data set of the Hub, read as a stream: `hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]`.

The revision (main by default) is resolved to a commit once, at the start. Nothing is downloaded as a whole: of Parquet
files a few rows at a time are fetched, of tar archives single members, of images the file. An image's id is its path in
the repository, and its locator holds the commit (`hf://datasets/ORG/NAME@COMMIT/data/train.parquet#row=000000017`), so
its bytes can be fetched again for as long as the repository exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from captioning.sources.caption_tables import CaptionTables, TableRow, is_caption_table, parquet_table
from captioning.sources.columns import Columns
from captioning.sources.folder import SUFFIXES
from captioning.sources.hub_files import files_by_split
from captioning.sources.licenses import license_in_row
from captioning.sources.parquet import PARQUET_SUFFIXES, read_parquet
from captioning.sources.source import Collection, RealImage
from captioning.sources.webdataset import TAR_SUFFIXES, read_webdataset
from workspace.containers import HUB, open_file
from workspace.errors import HubError, UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.locator import hub_errors
from workspace.repo_id import checked_repo_id, split_revision

FORM = "hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]"


@dataclass(frozen=True)
class HubDataset:
    """A data set of the Hub as the user names it. None: the revision `main`, the default configuration, all splits."""

    repo_id: str
    revision: str | None
    config: str | None
    split: str | None

    @classmethod
    def parse(cls, text: str) -> "HubDataset":
        """Read a text of the form `FORM`. Raises `UsageError` for any other."""
        repository, colon, subset = text.removeprefix(HUB).partition(":")
        config, slash, split = subset.partition("/")
        try:
            repo_id, revision = split_revision(repository)
            checked_repo_id(repo_id, namespace=True)
        except UsageError as error:
            raise UsageError(f"{text!r} is not of the form {FORM}") from error
        if (colon and not config) or (slash and not split) or {"/", ":"} & set(split):
            raise UsageError(f"{text!r} is not of the form {FORM}")
        return cls(repo_id, revision, config or None, split or None)


@dataclass(frozen=True)
class HubImages:
    """Image files of a repository as a collection."""

    root: str
    ids: Sequence[str]
    tables: CaptionTables

    def image(self, real_id: str) -> RealImage:
        """The image with the captions of its row in a table."""
        row = self.tables.rows.get(real_id, TableRow())
        license, redistributable = license_in_row(row.license)
        said = row.captions
        return RealImage(real_id, f"{self.root}/{real_id}", said.texts, license, redistributable, said.dropped)

    @property
    def remarks(self) -> Sequence[str]:
        """What was not understood, a line each."""
        return self.tables.remarks


def is_hub_dataset(text: str) -> bool:
    """Whether a source's path names a data set of the Hub."""
    return text.startswith(HUB)


def read_hub_dataset(text: str, columns: Columns = Columns(), hub: HubAccess = HubAccess()) -> tuple[str, Collection]:
    """Open a data set of the Hub; returns its root, hf://datasets/ORG/NAME@COMMIT, and the collection.

    Raises `UsageError` when the text has another form, or names a configuration or split that does not exist, or the
    data set holds no images; `HubError` when the Hub does not give it.
    """
    dataset = HubDataset.parse(text)
    commit = _resolve_commit(dataset, hub)
    root = f"{HUB}datasets/{dataset.repo_id}@{commit}"
    names = _choose_split(dataset, files_by_split(dataset.repo_id, commit, dataset.config, hub), root)
    tars, tables, images = (_with_suffix(names, suffixes) for suffixes in (TAR_SUFFIXES, PARQUET_SUFFIXES, SUFFIXES))
    if images:  # a table of ImageFolder has their captions
        tables = [name for name in tables if not is_caption_table(PurePosixPath(name).name)]
    if tars:
        return root, read_webdataset(root, tars, columns, hub)
    if tables:
        return root, read_parquet(root, tables, columns, hub)
    if images:
        return root, HubImages(root, images, _tables(root, names, images, columns, hub))
    raise UsageError(f"{text} holds no Parquet files, tar archives or images, which are what can be read from the Hub")


def _tables(root: str, names: Sequence[str], images: Sequence[str], columns: Columns, hub: HubAccess) -> CaptionTables:
    """The files with captions among the files of a data set of images."""
    tables = CaptionTables()
    for name in names:
        if is_caption_table(PurePosixPath(name).name):
            path = f"{root}/{name}"
            try:
                is_parquet = name.lower().endswith(".parquet")
                with hub_errors(path), parquet_table(path, hub=hub) if is_parquet else open_file(path, hub) as file:
                    tables.add(name, file, images, columns)
            except OSError as error:
                raise HubError(f"{path} cannot be read ({in_one_line(error, 150)}): try again") from error
    return tables


def _resolve_commit(dataset: HubDataset, hub: HubAccess) -> str:
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from workspace.hub_session import session
    from workspace.retry import remedy

    session(hub)
    try:
        commit = HfApi(hub.endpoint, token=hub.token).dataset_info(dataset.repo_id, revision=dataset.revision).sha
    except (HfHubHTTPError, HTTPError, InvalidURL, OfflineModeIsEnabled, ConnectionError) as error:
        hint = remedy(error) or "check its name and revision; a private or gated data set needs HF_TOKEN"
        raise HubError(
            f"the data set {dataset.repo_id} cannot be read from the Hub ({in_one_line(error, 200)}): {hint}"
        ) from error
    if commit is None:
        raise HubError(f"the Hub gives no commit of {dataset.repo_id}: name one, as {HUB}{dataset.repo_id}@COMMIT")
    return commit


def _choose_split(dataset: HubDataset, files: dict[str, list[str]], root: str) -> list[str]:
    """The sorted names of the files of the requested split, or of all."""
    if dataset.split is not None and dataset.split not in files:
        raise UsageError(f"{dataset.repo_id} has no split {dataset.split!r}; it has {', '.join(files)}")
    splits = [dataset.split] if dataset.split is not None else list(files)
    names = {url.removeprefix(f"{root}/") for split in splits for url in files[split]}
    elsewhere = [name for name in names if name.startswith(HUB)]
    if elsewhere:
        raise UsageError(
            f"{dataset.repo_id} takes images from another repository ({min(elsewhere)}): name that repository instead"
        )
    return sorted(names)


def _with_suffix(names: Sequence[str], suffixes: frozenset[str]) -> list[str]:
    return [name for name in names if PurePosixPath(name).suffix.lower() in suffixes]
