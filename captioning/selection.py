"""Selection: which images of which sources are captioned, and which own prompts, decided before any image is read.

An image's *rank* is a hash of its source and id: the same on every machine, and independent of where in the source the
image is. `--max-per-source N` selects the N lowest ranks of each source, `--limit N` the N lowest of all sources
together; so a smaller selection is part of a larger one. Selected images stay in the order of their ids.
"""

import hashlib
import heapq
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from captioning.sources.columns import Columns
from captioning.sources.containers import read_by_content, read_container
from captioning.sources.hub_dataset import is_hub_dataset, read_hub_dataset
from captioning.sources.own_prompts import OwnPrompts
from captioning.sources.registry import find_source, recognize
from captioning.sources.source import Collection, Source
from workspace.errors import UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.layout import checked_source


@dataclass(frozen=True)
class Selection:
    """The images of one source that are captioned, or the own prompts of one set: `ids`, sorted, of `collection`.

    `hub_root` is hf://datasets/ORG/NAME@COMMIT for a data set of the Hub, in which the ids are paths; `folder` the one
    on this machine, and `root` what locators call it (`named_roots`); None: as the source.
    """

    source: Source
    collection: Collection | OwnPrompts
    ids: Sequence[str]
    hub_root: str | None = None
    folder: Path | None = None
    root: str | None = None

    @property
    def digest(self) -> str:
        """sha256 of the ids and the commit: two selections with one digest are the same images in the same order."""
        names = self.ids if self.hub_root is None else [self.hub_root, *self.ids]
        return hashlib.sha256(b"\x00".join(map(os.fsencode, names))).hexdigest()


def select_all(
    sources: Mapping[str, str | Path],
    limit: int | None = None,
    max_per_source: int | None = None,
    hub: HubAccess = HubAccess(),
    columns: Columns = Columns(),
    own: Iterable[OwnPrompts] = (),
) -> list[Selection]:
    """Open all sources, sorted by name, and select at most `max_per_source` images of each and at most `limit` of all
    together (None: no limit); of the sets of own prompts, all.

    `sources`: the name of each source -> its folder, archive or table, or hf://ORG/NAME. Raises `UsageError` as
    `select`, and when there is neither a source nor a set, or a name is duplicated (`COCO` and `coco` are one).
    """
    selections = [select(name, path, max_per_source, hub, columns) for name, path in sources.items()]
    if limit is not None:
        selections = _limit_all(selections, limit)
    selections += [_of_own(prompts) for prompts in own]
    if not selections:
        raise UsageError(
            "no source of real images is given: name at least one, such as --source coco=/data/coco, or a file of your "
            "own prompts (--prompts FILE)"
        )
    selections.sort(key=lambda selection: selection.source.name)
    for one, next_one in pairwise(selections):
        if one.source.name == next_one.source.name:
            raise UsageError(
                f"--source {one.source.name} is duplicated: give each source, and each set of own prompts, its own name"
            )
    return selections


def select(
    name: str,
    path: str | Path,
    limit: int | None = None,
    hub: HubAccess = HubAccess(),
    columns: Columns = Columns(),
) -> Selection:
    """Open one source and select at most `limit` of its images (None: all).

    Raises `UsageError` when the name or the path is wrong, or the folder has another layout; `HubError` when the Hub
    does not give the data set.
    """
    path = str(path)
    source = find_source(checked_source(name))
    try:
        if is_hub_dataset(path):
            hub_root, collection = read_hub_dataset(path, columns, hub)
            folder = None
        else:
            hub_root, folder, collection = None, *_open(source, path, columns)
    except OSError as error:
        raise UsageError(
            f"--source {name}: {error.filename or path} cannot be read ({error.strerror}): change its permissions, or "
            "name another folder"
        ) from error
    except UsageError as error:
        raise UsageError(f"--source {name}: {error}{_hint(source, path)}") from error
    return _limit(Selection(source, collection, sorted(collection.ids), hub_root, folder), limit)


def _of_own(prompts: OwnPrompts) -> Selection:
    # Its licence is unknown, also where it has the name of a known data set.
    source = Source(name=prompts.name, reader=read_by_content)
    has_images = any(prompt.image is not None for prompt in prompts.prompts.values())
    return Selection(source, prompts, prompts.ids, folder=prompts.root if has_images else None)


def _open(source: Source, path: str, columns: Columns) -> tuple[Path, Collection]:
    """The folder below which the ids are paths, and the collection."""
    root = _resolved(path)
    if not root.exists():
        raise UsageError(f"{root} does not exist: give the folder of the data set")
    if root.is_dir():
        return root, source.reader(root, columns)
    return root.parent, read_container(root, columns)


def _resolved(path: str) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:  # links in a circle, or the home of a user that there is not
        raise UsageError(f"{path} leads nowhere ({in_one_line(error, named=False)}): give the folder itself") from error


def _hint(source: Source, path: str) -> str:
    """Which known data set a folder looks like, if it was refused as another one."""
    try:
        root = _resolved(path)
        title = recognize(root) if source.title is not None and root.is_dir() else None
    except UsageError:  # a folder that cannot be read or found, which is the error already
        return ""
    return f"; this looks like {title}" if title not in (None, source.title) else ""


def _limit_all(selections: list[Selection], limit: int) -> list[Selection]:
    """At most `limit` images of all sources together."""
    if limit >= sum(len(selection.ids) for selection in selections):
        return selections
    ranks = (_rank(selection.source.name, real_id) for selection in selections for real_id in selection.ids)
    last = heapq.nsmallest(limit, ranks)[-1]
    return [
        replace(selection, ids=[real_id for real_id in selection.ids if _rank(selection.source.name, real_id) <= last])
        for selection in selections
    ]


def _limit(selection: Selection, limit: int | None) -> Selection:
    if limit is None or limit >= len(selection.ids):
        return selection
    name = selection.source.name
    return replace(
        selection, ids=sorted(heapq.nsmallest(limit, selection.ids, key=lambda real_id: _rank(name, real_id)))
    )


def _rank(source: str, real_id: str) -> bytes:
    return hashlib.sha256(os.fsencode(f"{source}/{real_id}")).digest()
