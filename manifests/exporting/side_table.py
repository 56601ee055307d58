"""The side table: which image each exported file is, and how it was changed. `export.parquet`, and `export.csv`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from manifests.exporting.destination import SIDE_TABLES
from manifests.exporting.variants import UNCHANGED, Variant
from manifests.tables.csv_text import write_csv
from workspace import records
from workspace.atomic import atomic_path
from workspace.records import column


@dataclass(frozen=True, kw_only=True)
class ExportRow:
    """One exported file."""

    path: str = column(pa.string(), "in the folder of the export")
    sha256: str = column(pa.string(), "of the file")
    source_sha256: str = column(pa.string(), "of the image it was made from: the manifest's sha256")
    label: int = column(pa.int64(), "1: generated, 0: real")
    generator: str | None = column(
        pa.string(),
        "repository id of the generator that made it, or beside which a real image is; null: a real image beside all "
        "generators of the split",
        default=None,
    )
    split: str = column(pa.string(), "train | validation | test")
    transform: str | None = column(
        pa.string(), "how it was encoded anew, such as resize256-jpeg75; null: unchanged bytes", default=None
    )


class SideTable:
    """The rows of an export: `files` is that of its plan, `trees` the folders of its trees (none: the folder itself),
    `hashes` the sha256 of the variants by that of their source."""

    def __init__(
        self, files: pa.Table, trees: Sequence[str], variants: Sequence[Variant], hashes: Mapping[str, list[str]]
    ) -> None:
        sources = files.column("sha256").to_pylist()
        tables = [self._of_tree(files, f"{UNCHANGED}/" if trees else "", files.column("extension"), sources, None)]
        for number, variant in enumerate(variants):
            made = [hashes[source][number] for source in sources]
            tables.append(self._of_tree(files, f"{variant.name}/", variant.extension, made, variant.name))
        self._rows = pa.concat_tables(tables).sort_by("path")

    def write(self, folder: Path) -> None:
        """Write both files."""
        path = folder / SIDE_TABLES[0]
        records.write_table(path, self._rows)
        with atomic_path(path.with_name(SIDE_TABLES[1])) as temporary:
            write_csv(temporary, self._rows)

    @staticmethod
    def _of_tree(
        files: pa.Table, prefix: str, extension: pa.ChunkedArray | str, hashes: list[str], transform: str | None
    ) -> pa.Table:
        name = pc.binary_join_element_wise(files.column("stem"), extension, ".")
        columns = {
            "path": pc.binary_join_element_wise(prefix, name, ""),
            "sha256": pa.array(hashes, pa.string()),
            "source_sha256": files.column("sha256"),
            "label": files.column("label"),
            "generator": files.column("generator"),
            "split": files.column("split"),
            "transform": pa.array([transform] * len(files), pa.string()),
        }
        return pa.table(columns, schema=records.schema(ExportRow))
