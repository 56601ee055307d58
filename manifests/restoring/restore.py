"""Restoring: a downloaded public edition, completed from the reader's own copies of the real data sets.

The list of real images that came with the edition names by sha256 the images that it leaves out. Those that are found,
in the copies or in the shards that were restored before, get the rows of the full edition, and these are packed into
shards as for publishing. The result depends only on the list and on what was found, not on the number of runs.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.database import database, literal, parquet_files
from manifests.joining.real_images import REAL_ROWS
from manifests.joining.relations import REAL_IMAGES
from manifests.joining.row_writer import RowWriter, columns_of
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import PublishOptions
from manifests.publishing.layouts import layout_of_shard
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import plan_shards
from manifests.publishing.published import MIXED_SPLITS
from manifests.restoring.download import RESTORED_FILE, Download
from manifests.restoring.extraction import extract_scattered
from manifests.restoring.search import find_images
from manifests.scratch import scratch_folder
from manifests.tables.withheld import read_listed
from workspace import records
from workspace.containers import ParquetImages
from workspace.errors import CommunityForensicsError, UsageError, disk_error, in_one_line
from workspace.exclusive import alone
from workspace.layout import Workspace
from workspace.locator import row_locator
from workspace.number_text import counted, form
from workspace.progress import task

# Images in no split are not published, and so not restored.
_LISTED = f"""
CREATE TEMP TABLE listed AS
SELECT l.* RENAME (file_row_number AS {REAL_IMAGES.row_number}), f.path AS {REAL_IMAGES.path}
FROM {parquet_files("file_row_number")} l LEFT JOIN found f USING (real_sha256)
WHERE split IS NOT NULL
"""
_FOUND = f"FROM listed WHERE {REAL_IMAGES.path} IS NOT NULL"
_SOURCES = f"""
SELECT {REAL_IMAGES.real_title}, count(*), count({REAL_IMAGES.path}),
    min({REAL_IMAGES.license_link}) FILTER ({REAL_IMAGES.path} IS NULL)
FROM listed GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class RestoredSource:
    """One data set: how many of its real images the edition lists, how many of these it has now, and where the others
    can be found."""

    name: str
    listed: int
    found: int
    link: str | None


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    folder: Path
    verified: int
    """Files of the download."""
    shards: int
    """Restored shards that the folder has now."""
    sources: list[RestoredSource]

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        yield f"{self.folder}: {counted(self.verified, 'file')} verified"
        if not self.sources:
            yield "nothing to restore: this edition lists no real images"
            return
        for source in self.sources:
            yield f"{_printable(source.name)}: {source.found} of {counted(source.listed, 'real image')} restored"
        yield f"{counted(self.shards, 'shard')} of real images in {self.folder / 'data'}, listed in {RESTORED_FILE}"

    def raise_missing(self) -> None:
        """Raise `CommunityForensicsError` when real images are still missing."""
        missing = {source: source.listed - source.found for source in self.sources if source.found < source.listed}
        if missing:
            by_source = (
                f"{_printable(source.name)} {count}" + (f" (see {_printable(source.link)})" if source.link else "")
                for source, count in missing.items()
            )
            number = sum(missing.values())
            raise CommunityForensicsError(
                f"{counted(number, 'real image')} {form(number, 'was', 'were')} not found: "
                f"{', '.join(by_source)}; run the command again with --restore and a folder that has "
                f"{form(number, 'it', 'them')}: restored images are kept"
            )


def restore(folder: Path, copies: Sequence[Path], max_shard: int = PublishOptions().shard_bytes) -> Restored:
    """Complete the edition in `folder` with the images of its list that are in `copies`: folders, or single archives.

    `max_shard`: largest size of a shard, bytes. Raises `UsageError` when a copy does not exist, or `folder` is not a
    downloaded edition of this version; `CommunityForensicsError` when one of its files is damaged (then nothing is
    written) or cannot be written, and while another process completes it.
    """
    for copy in copies:
        if not copy.exists():
            raise UsageError(f"--restore {copy}: no such folder; name one that has a copy of a real data set")
    try:
        download = Download(folder)
        with alone(Workspace(download.folder), "restore"):
            return _complete(download, [copy.resolve() for copy in copies], max_shard)
    except OSError as error:
        raise disk_error(error) or CommunityForensicsError(
            f"{error.filename or folder}: {error.strerror or in_one_line(error)}; correct that, and run the same "
            "command again"
        ) from error


def _complete(download: Download, copies: Sequence[Path], max_shard: int) -> Restored:
    download.verify()
    list_file = download.real_images
    listed = read_listed(list_file) if list_file else {}
    sources: list[RestoredSource] = []
    shards: list[str] = []
    if list_file and listed:
        layout = layout_of_shard(download.shards[0])
        with scratch_folder(download.folder / ".cf-restore") as scratch:
            found = _find(download, copies, listed, scratch)
            workspace = Workspace(scratch)
            sources = _write_rows(workspace, list_file, found, _generators(download) if layout.by_generator else {})
            planned, before = plan_shards(workspace, layout, max_shard), download.restored
            missing = [shard for shard in planned if shard.path not in before]
            with task("restoring images", total=sum(shard.rows for shard in missing)) as progress:
                for shard, file in pack_shards(workspace, layout, missing, scratch / "shards"):
                    download.add(shard.path, file)
                    progress.advance(shard.rows, shard.path)
            shards = [shard.path for shard in planned]
    download.keep_only(shards)
    return Restored(download.folder, download.files, len(shards), sources)


def _find(download: Download, copies: Sequence[Path], listed: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The locators of the listed images by sha256. Images that were restored before count, so their copies need not
    exist any more."""
    with task("finding real images", total=len(listed)) as progress:
        before = _in_shards(download.restored.values(), listed)
        progress.advance(len(before))
        others = {sha256: real_id for sha256, real_id in listed.items() if sha256 not in before}
        found = find_images(copies, others, progress.advance)
    (scratch / "images").mkdir()
    with task("copying scattered images") as progress:
        in_order = {sha256: found[sha256] for sha256 in listed if sha256 in found}
        return before | extract_scattered(in_order, scratch / "images", progress.advance)


def _in_shards(shards: Iterable[Path], listed: Mapping[str, str]) -> dict[str, str]:
    """The same, in verified shards: one that cannot be read is an error here, because it may be the last copy."""
    found: dict[str, str] = {}
    for path in shards:
        shard = ParquetImages(str(path))
        try:
            for row in range(shard.rows):
                sha256 = hashlib.sha256(shard.read(row)).hexdigest()
                if sha256 in listed:
                    found.setdefault(sha256, f"{path}#{row_locator(row)}")
        finally:
            shard.close()
    return found


def _generators(download: Download) -> dict[str, list[str]]:
    """The generators of the evaluation sets that came with the download, by split."""
    names: dict[str, set[str]] = {split: set() for split in MIXED_SPLITS}
    for split, published in MIXED_SPLITS.items():
        for path in download.shards:
            if path.name.startswith(f"{published}-"):
                with records.reading(path):
                    names[split] |= set(pq.read_table(path, columns=["model_name"], partitioning=None)[0].to_pylist())
    return {split: sorted(found) for split, found in names.items() if found}


def _write_rows(
    workspace: Workspace, list_file: Path, found: Mapping[str, str], generators: Mapping[str, list[str]]
) -> list[RestoredSource]:
    """Write the manifest's rows of the found images; returns the numbers of each data set.

    `generators`: those of a layout whose readers evaluate each one alone, by split. There a real image is beside the
    generator that its sha256 chooses, whatever else was found.
    """
    locators = pa.table(
        {"real_sha256": pa.array(found.keys(), pa.string()), "path": pa.array(found.values(), pa.string())}
    )
    with database(workspace) as connection:
        connection.register("found", locators)
        connection.execute(_LISTED, [literal(list_file)])
        REAL_IMAGES.create(connection, _FOUND, kind="TEMP VIEW")
        with RowWriter(manifest_path(workspace), ManifestRow) as manifest:
            query = connection.sql(f"{REAL_ROWS} ORDER BY {REAL_IMAGES.row_number}")
            manifest.write(query, lambda batch: columns_of(_beside(batch, generators)))
        return [RestoredSource(*row) for row in connection.execute(_SOURCES).fetchall()]


def _beside(batch: pa.RecordBatch, generators: Mapping[str, list[str]]) -> pa.RecordBatch:
    """Rows of real images with the generator beside which each is evaluated; null where it is beside none."""
    names = [
        known[int(sha256[:16], 16) % len(known)] if (known := generators.get(split, [])) else None
        for split, sha256 in zip(batch.column("split").to_pylist(), batch.column("sha256").to_pylist(), strict=True)
    ]
    return batch.append_column("generator", pa.array(names, pa.string()))


def _printable(text: str) -> str:
    """A text of an unknown author for the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
