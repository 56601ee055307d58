"""A source: a data set of real images, what is known about it, and how it lies on a disk.

A *source* is the data set in general (COCO); a *collection* is a copy of it in somebody's folder. A reader opens a
folder as a collection: the ids of its images, in one order everywhere, and each image by its id when its turn
comes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from workspace.locator import Locator


@dataclass(frozen=True)
class RealImage:
    """One image of a collection, and what its data set says about it; None: it says nothing.

    `path` says where its bytes are: a file, or a locator (workspace/locator.py). `captions` are the data set's own,
    all of them, as they stand there.
    """

    real_id: str
    path: Locator
    captions: tuple[str, ...] = ()
    license: str | None = None
    redistributable: bool | None = None


class Collection(Protocol):
    """A data set as it lies in a folder."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all images, sorted: POSIX paths below the root, or locators below it (a.tar#b.jpg). A name that
        is not UTF-8 keeps its bytes as surrogates."""
        ...

    def image(self, real_id: str) -> RealImage:
        """The image with that id, from `ids`. Raises `OSError` when what lies beside it (a caption) cannot be read;
        the image itself is not opened."""
        ...


#: Opens a folder as a collection. Raises `UsageError` in one line when the folder is laid out another way.
Reader = Callable[[Path], Collection]


@dataclass(frozen=True)
class Source:
    """A data set of real images. What is not known for sure is None, never a guess.

    `name` is what the user calls it; `title` is how the published dataset spells it in `real_source`. `license` and
    `redistributable` hold for every image that its copy says nothing about; `license_link` is where that is said, or
    where it would have to be asked.
    """

    name: str
    reader: Reader
    title: str | None = None
    license: str | None = None
    license_link: str | None = None
    redistributable: bool | None = None
    citation: str | None = None
