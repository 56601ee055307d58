"""The rows of a workspace's samples, read where they are needed: what an image that is made again must be equal to."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from samplers.remaking.tables import COLUMNS
from samplers.sample import Sample
from samplers.storage.batches import rows_of_batches
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_of, parts_in, sample_files
from workspace.progress import task
from workspace.threads import each

#: Parts read at a time in the search for a sha256, most of which waits for a shared file system.
_PARTS_AT_A_TIME = 8


class SampledRows:
    """The rows of all generators of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[str, dict[int, dict[str, Any]]] = {}
        #: Parts that cannot be read, by generator, in words.
        self.damaged: dict[str, str] = {}

    def of(self, generator: str) -> dict[int, dict[str, Any]]:
        """The rows of a generator by index, with the columns `tables.COLUMNS`; empty before it was sampled."""
        if generator not in self._known:
            rows: dict[int, dict[str, Any]] = {}
            files = sample_files(self._workspace.samples_of(generator))
            try:
                # A row that is in a part too is the part's.
                for path in (*files.journals, *files.batches):
                    # A journal may have become a part a moment ago.
                    with suppress(FileNotFoundError):
                        for batch, _ in rows_of_batches(path, COLUMNS):
                            rows |= {row["index"]: row for row in batch}
            except UsageError as error:
                self.damaged[generator] = str(error)
            for path in files.parts:
                try:
                    table = records.read_table(path, Sample, COLUMNS)
                except UsageError as error:
                    self.damaged[generator] = str(error)
                else:
                    rows |= {row["index"]: row for row in table.to_pylist()}
            self._known[generator] = rows
        return self._known[generator]

    def by_sha256(self, hashes: Collection[str], generators: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Generator and index of the images of these generators with these hashes, as far as there are any; of equal
        images the first."""
        parts = [part for name in generators for part in parts_in(self._workspace.samples_of(name))]
        wanted = pa.array(sorted(hashes), pa.string())

        def look(part: Path) -> list[tuple[str, tuple[str, int]]]:
            try:
                table = records.read_table(part, Sample, ["index", "sha256"])
            except UsageError as error:
                self.damaged[generator_of(part.parent.name)] = str(error)
                return []
            found = table.filter(pc.is_in(table.column("sha256"), wanted))
            return [(row["sha256"], (generator_of(part.parent.name), row["index"])) for row in found.to_pylist()]

        places: dict[str, tuple[str, int]] = {}
        with task("looking for images by their sha256", len(parts)) as bar:
            for found in each(look, parts, _PARTS_AT_A_TIME):
                for sha256, place in found:
                    places[sha256] = min(place, places.get(sha256, place))
                bar.advance()
        return places
