"""Selection: which images of which sources are captioned, decided before anything is read.

An image's *rank* is a hash of its source and name, so it is the same everywhere and says nothing of where in the source
it lies. `--max-per-source N` takes the N first by rank of each source, `--limit N` the N first of all of them together;
so a smaller choice is part of a larger one. Whatever is taken stays in the order of the ids.
"""

import hashlib
import heapq
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from captioning.sources.containers import read_container
from captioning.sources.hub_dataset import is_hub, read_hub
from captioning.sources.registry import looks_like, source_named
from captioning.sources.source import Collection, Source
from workspace.errors import UsageError
from workspace.layout import checked_source


@dataclass(frozen=True)
class Selection:
    """The images of one source that are to be captioned: `ids`, sorted, of `collection`.

    `pinned` is the commit in which the ids are names, for a data set of the Hub.
    """

    source: Source
    collection: Collection
    ids: Sequence[str]
    pinned: str | None = None

    @property
    def digest(self) -> str:
        """sha256 of the ids and the commit: two listings with one digest name the same images in the same order."""
        names = self.ids if self.pinned is None else [self.pinned, *self.ids]
        return hashlib.sha256(b"\x00".join(map(os.fsencode, names))).hexdigest()


def select(option: str, limit: int | None) -> Selection:
    """Open one `--source NAME=PATH` and choose at most `limit` of its images (None: all).

    Raises `UsageError` when the option, the path or the layout below it is wrong, `HubError` when the Hub does not give
    what was asked of it.
    """
    name, equals, path = option.partition("=")
    if not equals or not path:
        raise UsageError(f"--source {option!r} is not of the form NAME=PATH, such as coco=/data/coco")
    source = source_named(checked_source(name))
    try:
        pinned, collection = read_hub(path) if is_hub(path) else (None, _open(source, path))
    except OSError as error:
        raise UsageError(f"--source {name}: {error.filename or path} cannot be read ({error.strerror})") from error
    except UsageError as error:
        raise UsageError(f"--source {name}: {error}{_hint(source, path)}") from error
    return _first(Selection(source, collection, sorted(collection.ids), pinned), limit)


def select_all(options: Iterable[str], limit: int | None, max_per_source: int | None = None) -> list[Selection]:
    """Open all sources, sorted by name, and choose at most `max_per_source` images of each and at most `limit` of all
    together. Raises `UsageError` as `select`, and when a name is given twice."""
    selections = sorted(
        (select(option, max_per_source) for option in options), key=lambda selection: selection.source.name
    )
    for one, next_one in pairwise(selections):
        if one.source.name == next_one.source.name:
            raise UsageError(f"--source {one.source.name} is given twice: a name stands for one folder")
    if limit is None or limit >= sum(len(selection.ids) for selection in selections):
        return selections
    ranks = (_rank(selection.source.name, real_id) for selection in selections for real_id in selection.ids)
    last = heapq.nsmallest(limit, ranks)[-1]
    return [
        replace(selection, ids=[one for one in selection.ids if _rank(selection.source.name, one) <= last])
        for selection in selections
    ]


def _open(source: Source, path: str) -> Collection:
    root = Path(path).expanduser().resolve()
    if not root.exists():
        raise UsageError(f"{root} does not exist; give the folder that holds the data set")
    return source.reader(root) if root.is_dir() else read_container(root)


def _hint(source: Source, path: str) -> str:
    """What else the folder may be, for a known source that it is not."""
    root = Path(path).expanduser().resolve()
    try:
        like = looks_like(root) if source.title is not None and root.is_dir() else None
    except UsageError:  # a folder that cannot be read, of which the error speaks already
        return ""
    return f"; this looks like {like}" if like not in (None, source.title) else ""


def _first(selection: Selection, limit: int | None) -> Selection:
    if limit is None or limit >= len(selection.ids):
        return selection
    name = selection.source.name
    return replace(selection, ids=sorted(heapq.nsmallest(limit, selection.ids, key=lambda one: _rank(name, one))))


def _rank(source: str, real_id: str) -> bytes:
    return hashlib.sha256(os.fsencode(f"{source}/{real_id}")).digest()
