"""Known data sets as folder trees: which of the files are their images.

A layout has patterns for the paths of the images below the root. A pattern matches at any depth, so both the unpacked
folder and a folder above it can be given. If a data set offers the same images in several forms (full size and reduced,
aligned and original), only the first form that exists is read, so that no image is read twice.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from captioning.sources.columns import Columns
from captioning.sources.folder import Folder, list_folder, open_folder
from captioning.sources.source import Collection
from workspace.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """How one data set is stored in a folder.

    `example` shows it in words; `patterns` are regular expressions for the ids of its images, of which the first one
    that matches any file is used. A pattern must match to the end of the id, from the start of any folder or file name.
    `add_metadata` makes the collection from the folder tree, for a data set that states something about each image.
    """

    example: str
    patterns: Sequence[str]
    add_metadata: Callable[[Folder], Collection] | None = None

    def __call__(self, root: Path, columns: Columns = Columns()) -> Collection:
        """Open a folder with this layout. Raises `UsageError` for any other."""
        listing = list_folder(root)
        ids = self.matching(listing.ids)
        if not ids:
            found = sorted(entry.name for entry in root.iterdir())[:5]
            raise UsageError(f"{root} holds {', '.join(found) or 'nothing'}; this data set has {self.example}")
        folder = open_folder(root, replace(listing, ids=ids), columns)
        return self.add_metadata(folder) if self.add_metadata is not None else folder

    def matching(self, found: Sequence[str]) -> list[str]:
        """Those of some ids that match the first pattern which any of them matches."""
        for form in self.patterns:
            pattern = re.compile(rf"(?:.*/)?(?:{form})", re.DOTALL)
            ids = [real_id for real_id in found if pattern.fullmatch(real_id)]
            if ids:
                return ids
        return []
