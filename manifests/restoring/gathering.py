"""Gathering: images that lie scattered in archives and tables become files of their own, to be read in any order.

An archive that is opened again is walked again, and a Parquet file that is read backwards is decoded again: in a copy
of a data set that somebody has shuffled, that would be once an image.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from workspace.locator import LocatorReader, split_locator


def gather(
    places: Mapping[str, str], folder: Path, advance: Callable[[int, str], None] = lambda *_: None
) -> dict[str, str]:
    """Where the images are, by sha256, when those that are scattered have been copied to `folder`, which is empty.

    `places` says where they are, in the order in which they will be read; `advance` hears how many more were copied.
    Raises `OSError` when one cannot be read or written.
    """
    scattered = _scattered(places.values())
    copied, reader = {}, LocatorReader()
    # Row numbers have leading zeros: this is the order in which they lie.
    for place, sha256 in sorted((place, sha256) for sha256, place in places.items()):
        inside = split_locator(place)
        if inside is not None and inside[0] in scattered:
            file = folder / sha256
            file.write_bytes(reader.read(place))
            copied[sha256] = str(file)
            advance(1, place)
    return {**places, **copied}


def _scattered(places: Iterable[str]) -> set[str]:
    """Archives that would be come back to, and Parquet files that would be read backwards."""
    scattered: set[str] = set()
    met: set[str] = set()
    last = ("", "")
    for inside in filter(None, map(split_locator, places)):
        container, before = inside[0], last[0]
        backwards = inside < last and container.lower().endswith(".parquet")
        if backwards if container == before else container in met:
            scattered.add(container)
        met.add(container)
        last = inside
    return scattered
