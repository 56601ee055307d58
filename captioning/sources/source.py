"""A source: a data set of real images, what is known about it, and how it is stored.

A *source* is the data set in general (COCO); a *collection* is one copy of it, such as a folder. A reader opens a
folder as a collection: the ids of all images, in the same order on every machine, and each image by its id.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from captioning.caption_text import DropReason
from captioning.sources.columns import Columns
from workspace.locator import Locator


@dataclass(frozen=True)
class RealImage:
    """One image of a collection, and what its data set states about it; None: nothing.

    `path` says where its bytes are: a file, or a locator (workspace/locator.py). `captions` are all captions of the
    data set, uncleaned; `dropped` says why other values in their place are none. A file must be in the folder `within`,
    the source, after all links were followed; None: anywhere.
    """

    real_id: str
    path: Locator
    captions: tuple[str, ...] = ()
    license: str | None = None
    redistributable: bool | None = None
    dropped: tuple[DropReason, ...] = ()
    within: Path | None = None


class Collection(Protocol):
    """A copy of a data set."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all images, sorted: POSIX paths below the root, or locators below it (a.tar#b.jpg). A name that
        is not UTF-8 keeps its bytes as surrogates."""
        ...

    def image(self, real_id: str) -> RealImage:
        """The image with that id, from `ids`, which is not opened.

        Raises `OSError` when its caption cannot be read, `UnusableImageError` when it is none that can be opened.
        """
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """What in the source looks like captions and was not understood, a line each."""
        ...


#: Opens a folder as a collection, with the columns that the user named. Raises `UsageError` in one line when the folder
#: has another layout.
Reader = Callable[[Path, Columns], Collection]


@dataclass(frozen=True)
class Source:
    """A data set of real images. What is not certain is None, never a guess.

    `name` is the user's name for it (coco), `title` its published one (COCO). `license` and `redistributable` hold for
    every image about which its copy states nothing; `license_link` is the page that says so, or the page of the data
    set where the licence is unknown.
    """

    name: str
    reader: Reader
    title: str | None = None
    license: str | None = None
    license_link: str | None = None
    redistributable: bool | None = None
    citation: str | None = None
