"""A source: a data set of real images, what is known about it, and how it lies on a disk.

A *source* is the data set in general (COCO); a *collection* is a copy of it in somebody's folder. A reader opens a
folder as a collection: the ids of its images, in one order everywhere, and each image by its id when its turn
comes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class RealImage:
    """One image of a collection, and what its data set says about it; None: it says nothing."""

    real_id: str
    path: Path
    captions: tuple[str, ...] = ()
    license: str | None = None
    redistributable: bool | None = None


class Collection(Protocol):
    """A data set as it lies in a folder."""

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all images, sorted: POSIX paths below the root. A name that is not UTF-8 keeps its bytes as
        surrogates."""
        ...

    def image(self, real_id: str) -> RealImage:
        """The image with that id, from `ids`. Raises `OSError` when what lies beside it (a caption) cannot be read;
        the image itself is not opened."""
        ...


#: Opens a folder as a collection. Raises `UsageError` in one line when the folder is laid out another way.
Reader = Callable[[Path], Collection]


@dataclass(frozen=True)
class Source:
    """A data set of real images. What is not known for sure is None, never a guess."""

    name: str
    reader: Reader
    title: str | None = None
    license: str | None = None
    license_link: str | None = None
    redistributable: bool | None = None
    citation: str | None = None
