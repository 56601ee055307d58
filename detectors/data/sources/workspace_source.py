"""The manifest of a workspace as a source: its images are where the manifest says."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from crawler.catalog import own_weights, read_catalog
from detectors.data.kin import Kinship
from detectors.data.sources.source import GeneratorFacts
from manifests.database import connected
from manifests.images import ImageReader
from manifests.manifest import existing_manifest
from manifests.tables.generators import read_generators
from workspace.hub_access import HubAccess
from workspace.layout import Workspace

#: Rows that are read at a time.
BATCH_ROWS = 20_000

#: The index's columns from the manifest's, which a published dataset of the viewer's layout has as well. A prompt is
#: known by the lower half of its MD5, which is the same on every machine: two prompts of a million share one with a
#: probability of 1 in 10 million.
MANIFEST_COLUMNS = """
    sha256, label::TINYINT AS label, generator, architecture, coalesce(real_title, real_source) AS real_source,
    real_sha256, md5_number_lower(lower(trim(prompt))) AS prompt_key, split, format, mode, width, height,
    file_size::INTEGER AS file_size, jpeg_quality::TINYINT AS jpeg_quality, chroma_subsampling, progressive, has_exif,
    has_icc, round
"""


class WorkspaceSource:
    """A workspace with a manifest."""

    def __init__(self, workspace: Workspace, hub: HubAccess = HubAccess()) -> None:
        """`hub`: where real images are read whose locators begin with hf://. Raises `UsageError` without a manifest."""
        self.workspace, self._path, self._hub = workspace, existing_manifest(workspace), hub

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.workspace.root.name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The manifest's rows in its order."""
        with connected() as connection:
            connection.execute("SET memory_limit = '100MB'")
            rows = connection.sql(
                f"SELECT {MANIFEST_COLUMNS}, path AS locator FROM read_parquet(?, hive_partitioning = false)",
                params=[str(self._path)],
            )
            yield from rows.to_arrow_reader(BATCH_ROWS)

    def generators(self) -> Mapping[str, GeneratorFacts]:
        """Kin by the ancestors that the manifest names, equal denoisers of the catalogue, and equal images."""
        kinship = Kinship()
        add_manifest_kin(kinship, [self._path])
        if self.workspace.catalog.exists():
            for entry in read_catalog(self.workspace):
                for file in own_weights(entry):
                    if file.sha256 is not None:
                        kinship.unite(entry.generator, f"sha256:{file.sha256}")
        appeared = {row.generator: row.created_at for row in read_generators(self.workspace)}
        return {name: GeneratorFacts(kin, appeared.get(name)) for name, kin in kinship.groups().items()}

    def notes(self) -> Iterator[str]:
        """None."""
        yield from ()

    def read(self, locator: str) -> bytes:
        """An image file, whole; errors as `ImageReader.read`."""
        return self._reader.read(locator)

    @cached_property
    def _reader(self) -> ImageReader:
        return ImageReader(self.workspace, self._hub)


def add_manifest_kin(kinship: Kinship, paths: list[Path]) -> None:
    """Unite the generators of files with the manifest's columns with their ancestors, and those of equal images."""
    with connected() as connection:
        rows = connection.execute(
            """SELECT DISTINCT generator, model_name, base_model, lineage, also_by
            FROM read_parquet(?, hive_partitioning = false) WHERE generator IS NOT NULL""",
            [[str(path) for path in paths]],
        ).fetchall()
    for generator, model_name, base_model, lineage, also_by in rows:
        kinship.add(generator)
        for other in (model_name, base_model, *(lineage or ()), *(also_by or ())):
            if other is not None:
                kinship.unite(generator, other)
