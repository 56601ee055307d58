"""Selection: which images of which sources are captioned, decided before anything is read.

`--limit N` takes N images of each source by a hash of their names, so that they come from all over the source and
are the same ones on every machine. Whatever is taken stays in the order of the ids.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from captioning.sources.registry import source_named
from captioning.sources.source import Collection, Source
from workspace.errors import UsageError
from workspace.layout import checked_source


@dataclass(frozen=True)
class Selection:
    """The images of one source that are to be captioned: `ids`, sorted, of `collection`."""

    source: Source
    collection: Collection
    ids: Sequence[str]

    @property
    def digest(self) -> str:
        """sha256 of the ids: two listings with one digest name the same images in the same order."""
        return hashlib.sha256(b"\x00".join(map(os.fsencode, self.ids))).hexdigest()


def select(option: str, limit: int | None) -> Selection:
    """Open one `--source NAME=PATH` and choose at most `limit` of its images (None: all).

    Raises `UsageError` when the option, the path or the layout below it is wrong.
    """
    name, equals, path = option.partition("=")
    if not equals or not path:
        raise UsageError(f"--source {option!r} is not of the form NAME=PATH, such as coco=/data/coco")
    source = source_named(checked_source(name))
    root = Path(path).expanduser().resolve()
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(f"--source {name}: {root} {what}; give the folder that holds the data set")
    try:
        collection = source.reader(root)
    except OSError as error:
        raise UsageError(f"--source {name}: {error.filename or root} cannot be read ({error.strerror})") from error
    except UsageError as error:
        raise UsageError(f"--source {name}: {error}") from error
    return Selection(source, collection, sorted(_chosen(name, collection.ids, limit)))


def select_all(options: Iterable[str], limit: int | None) -> list[Selection]:
    """Open all sources, sorted by name. Raises `UsageError` as `select`, and when a name is given twice."""
    selections = sorted((select(option, limit) for option in options), key=lambda selection: selection.source.name)
    for one, next_one in pairwise(selections):
        if one.source.name == next_one.source.name:
            raise UsageError(f"--source {one.source.name} is given twice: a name stands for one folder")
    return selections


def _chosen(source: str, ids: Sequence[str], limit: int | None) -> Sequence[str]:
    if limit is None or limit >= len(ids):
        return ids
    return sorted(ids, key=lambda real_id: hashlib.sha256(os.fsencode(f"{source}/{real_id}")).digest())[:limit]
