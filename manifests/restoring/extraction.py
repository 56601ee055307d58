"""Extraction: images that are scattered over archives and tables become files of their own, to be read in any order.

An archive that is opened again is read from its start, and a Parquet file that is read backwards is decoded again: in a
shuffled copy of a data set, that would happen for each image.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from workspace.locator import LocatorReader, split_locator


def extract_scattered(
    locators: Mapping[str, str], folder: Path, advance: Callable[[int, str], None] = lambda *_: None
) -> dict[str, str]:
    """The locators of the images, by sha256, after the scattered ones have been copied to `folder`, which is empty.

    `locators` are in the order in which the images will be read; `advance` is called with how many more were copied,
    and from where. Raises `OSError` when an image cannot be read or written.
    """
    scattered = _scattered(locators.values())
    copied, reader = {}, LocatorReader()
    # Row numbers have leading zeros: this is the order in the containers.
    for locator, sha256 in sorted((locator, sha256) for sha256, locator in locators.items()):
        inside = split_locator(locator)
        if inside is not None and inside[0] in scattered:
            file = folder / sha256
            file.write_bytes(reader.read(locator))
            copied[sha256] = str(file)
            advance(1, locator)
    return {**locators, **copied}


def _scattered(locators: Iterable[str]) -> set[str]:
    """Archives that would be opened more than once, and Parquet files that would be read backwards."""
    scattered: set[str] = set()
    opened: set[str] = set()
    last = ("", "")
    for inside in filter(None, map(split_locator, locators)):
        container, before = inside[0], last[0]
        backwards = inside < last and container.lower().endswith(".parquet")
        if backwards if container == before else container in opened:
            scattered.add(container)
        opened.add(container)
        last = inside
    return scattered
