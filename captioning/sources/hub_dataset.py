"""A data set of the Hub, streamed: `hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]`.

`datasets` says which files belong to a configuration and its splits, at the commit that the revision (main) is today.
Nothing is downloaded as a whole: of Parquet files a few rows at a time are fetched, of tar archives the members, of
images the file. An image's id is its place in the repository, with the commit in its locator
(`hf://datasets/ORG/NAME@COMMIT/data/train.parquet#row=000000017`), so its bytes can be fetched again for as long as the
repository stands. The token is the Hub client's own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from captioning.sources.folder import SUFFIXES
from captioning.sources.parquet import PARQUET_SUFFIXES, read_parquet
from captioning.sources.source import Collection, RealImage
from captioning.sources.webdataset import TAR_SUFFIXES, read_webdataset
from workspace.containers import HUB
from workspace.errors import HubError, UsageError

FORM = "hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]"

_PLACE = re.compile(
    r"hf://(?P<repository>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[\w./-]+))?(?::(?P<config>[^/:]+)(?:/(?P<split>[\w.]+))?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class HubPlace:
    """What was asked for: a repository, its revision (main), configuration (the default one), split (all)."""

    repository: str
    revision: str | None
    config: str | None
    split: str | None

    @classmethod
    def parse(cls, text: str) -> "HubPlace":
        """Read what stands behind NAME=. Raises `UsageError` when it has another form."""
        match = _PLACE.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not of the form {FORM}")
        return cls(**match.groupdict())


@dataclass(frozen=True)
class HubImages:
    """Image files of a repository as a collection."""

    root: str
    ids: Sequence[str]

    def image(self, real_id: str) -> RealImage:
        """The image; captions are read from Parquet files and tar archives only."""
        return RealImage(real_id, f"{self.root}/{real_id}")


def is_hub(text: str) -> bool:
    """Whether a source's path is a place on the Hub."""
    return text.startswith(HUB)


def read_hub(text: str) -> tuple[str, Collection]:
    """Open a data set of the Hub; returns hf://datasets/ORG/NAME@COMMIT as well.

    Raises `UsageError` when the place has another form, configuration or kind of file, `HubError` when the Hub does not
    give it.
    """
    place = HubPlace.parse(text)
    root, names = _files(place)
    kinds = ((TAR_SUFFIXES, read_webdataset), (PARQUET_SUFFIXES, read_parquet), (SUFFIXES, _images))
    for suffixes, read in kinds:
        chosen = [name for name in names if PurePosixPath(name).suffix.lower() in suffixes]
        if chosen:
            return root, read(root, chosen)
    raise UsageError(f"{text} holds no Parquet files, tar archives or images that could be streamed")


def _images(root: str, names: Sequence[str]) -> HubImages:
    return HubImages(root, sorted(names))


def _files(place: HubPlace) -> tuple[str, list[str]]:
    """The repository at its commit, as a locator, and the names of the files that were asked for."""
    from datasets import load_dataset_builder
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        commit = HfApi().dataset_info(place.repository, revision=place.revision).sha
        builder = load_dataset_builder(place.repository, place.config, revision=commit)
    except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, DatasetNotFoundError, ConnectionError) as error:
        said = " ".join(str(error).split())[:200]
        raise HubError(f"the Hub does not give the data set {place.repository}: {said}") from error
    except (DataFilesNotFoundError, ValueError) as error:  # no such configuration, or several and none named
        raise UsageError(f"{place.repository}: {' '.join(str(error).split())[:300]}") from error
    splits = builder.config.data_files or {}
    if place.split is not None and place.split not in splits:
        raise UsageError(f"{place.repository} has no split {place.split!r}; it has {', '.join(map(str, splits))}")
    root = f"{HUB}datasets/{place.repository}@{commit}"
    chosen = [place.split] if place.split is not None else list(splits)
    names = {str(url).removeprefix(f"{root}/") for split in chosen for url in splits[split]}
    outside = [name for name in names if name.startswith(HUB)]
    if outside:
        raise UsageError(f"{place.repository} takes images from elsewhere ({min(outside)}), which is not pinned")
    return root, sorted(names)
