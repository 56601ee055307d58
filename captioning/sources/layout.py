"""Known data sets as folder trees: which of the files are its images, and which lie beside them.

A layout names the images by patterns of their paths below the root, wherever in it they lie, so that the folder
somebody unpacked is right as well as the one above. Where a data set offers the same pictures in several forms (full
and reduced, aligned and in the wild), only the first form that is there is taken: no picture twice.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from captioning.sources.folder import Folder, image_ids, read_licenses
from captioning.sources.source import Collection
from workspace.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """How one data set lies in a folder.

    `needs` says it for people; `forms` are regular expressions for the ids of its images, of which the first one that
    matches any file is used; a form ends at the end of the id and starts at the start of a folder or file name.
    `described` turns the folder tree into the collection where the data set says something of each image.
    """

    needs: str
    forms: Sequence[str]
    described: Callable[[Folder], Collection] | None = None

    def __call__(self, root: Path) -> Collection:
        """Open a folder that is laid out like this. Raises `UsageError` for any other."""
        ids = self.chosen(sorted(image_ids(root)))
        if not ids:
            seen = sorted(entry.name for entry in root.iterdir())[:5]
            raise UsageError(f"{root} holds {', '.join(seen) or 'nothing'}, where this data set has {self.needs}")
        folder = Folder(root, ids, read_licenses(root))
        return self.described(folder) if self.described is not None else folder

    def chosen(self, found: Sequence[str]) -> list[str]:
        """Those of some ids that are images of this data set, in the first form that any of them has."""
        for form in self.forms:
            pattern = re.compile(rf"(?:.*/)?(?:{form})", re.DOTALL)
            ids = [real_id for real_id in found if pattern.fullmatch(real_id)]
            if ids:
                return ids
        return []
