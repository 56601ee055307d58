"""Restoring: a downloaded public edition completed by its reader's own copies of the real data sets.

The list of real images that came with the edition says by sha256 what it leaves out. What of it is found, in the copies
or in the shards that were restored before, gets the rows that the full edition has, and these are packed to shards as
for publishing. What lies there in the end hangs on the list and on what was found alone, not on how many runs it took.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from manifests.database import database, literal
from manifests.joining.real_images import REAL_ROWS
from manifests.joining.relations import REAL_IMAGES
from manifests.joining.row_writer import RowWriter
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import PublishOptions
from manifests.publishing.layouts import layout_of_shard
from manifests.publishing.packing import pack_shards
from manifests.publishing.planning import plan_shards
from manifests.restoring.download import RESTORED_SUMS_FILE, Download
from manifests.restoring.finding import find_images
from manifests.restoring.gathering import gather
from manifests.scratch import scratch_folder
from manifests.tables.withheld import read_wanted
from workspace.containers import ParquetImages
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace
from workspace.locator import row_locator
from workspace.progress import task

# Images in no split are not published, and so not restored.
_LISTED = f"""
CREATE TEMP TABLE listed AS
SELECT l.* RENAME (file_row_number AS {REAL_IMAGES.row_number}), f.path AS {REAL_IMAGES.path}
FROM read_parquet(?, file_row_number = true) l LEFT JOIN found f USING (real_sha256)
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
    """Real images of one data set: how many the edition lists, how many of them it has by now, and where one gets the
    others."""

    name: str
    listed: int
    found: int
    link: str | None


@dataclass(frozen=True)
class Restored:
    """What restoring came to."""

    folder: Path
    verified: int
    shards: int
    sources: list[RestoredSource]

    def lines(self) -> Iterator[str]:
        """The same, for the reader."""
        yield f"{self.folder}: {self.verified} files verified"
        if not self.sources:
            yield "nothing to restore: no real image was left out"
            return
        for source in self.sources:
            yield f"{_plain(source.name)}: {source.found} of {source.listed} real images restored"
        yield f"{self.shards} shards of them in {self.folder / 'data'}, named in {RESTORED_SUMS_FILE}"

    def refuse_missing(self) -> None:
        """Raise `CommunityForensicsError` when real images are still missing."""
        missing = {source: source.listed - source.found for source in self.sources if source.found < source.listed}
        if missing:
            told = (
                f"{_plain(source.name)} {count}" + (f" (see {_plain(source.link)})" if source.link else "")
                for source, count in missing.items()
            )
            raise CommunityForensicsError(
                f"{sum(missing.values())} real images were not found: {', '.join(told)}; run it again with "
                "--restore and a folder that has them: what is restored stays"
            )


def restore(folder: Path, copies: Sequence[Path], max_shard: int = PublishOptions().shard_bytes) -> Restored:
    """Complete the edition in `folder` with what of its list is in `copies`: folders, or single archives.

    Raises `UsageError` when a copy is not there, or `folder` is no downloaded edition of this version;
    `CommunityForensicsError` when a file of it is damaged (then nothing is written) or cannot be written.
    """
    for copy in copies:
        if not copy.exists():
            raise UsageError(f"--restore {copy}: no such folder; name the one that holds a real data set")
    try:
        download = Download(folder)
        download.verify()
        listed = download.real_images
        wanted = read_wanted(listed) if listed else {}
        sources: list[RestoredSource] = []
        shards: list[str] = []
        if listed and wanted:
            layout = layout_of_shard(download.shards[0])
            with scratch_folder(download.folder / ".cf-restore") as scratch:
                found = _found(download, [copy.resolve() for copy in copies], wanted, scratch)
                workspace = Workspace(scratch)
                sources = _write_manifest(workspace, listed, found)
                planned, before = plan_shards(workspace, layout, max_shard), download.restored
                missing = [shard for shard in planned if shard.path not in before]
                with task("restoring images", total=sum(shard.rows for shard in missing)) as progress:
                    for shard, file in pack_shards(workspace, layout, missing, scratch / "shards"):
                        download.add(shard.path, file)
                        progress.advance(shard.rows, shard.path)
                shards = [shard.path for shard in planned]
        download.keep_only(shards)
    except OSError as error:
        raise CommunityForensicsError(
            f"{error.filename or folder}: {error.strerror or error}; mend that, and run the same command again"
        ) from error
    return Restored(download.folder, download.files, len(shards), sources)


def _found(download: Download, copies: Sequence[Path], wanted: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Where the wanted images are: a locator by sha256. What was restored before counts, so copies may be gone."""
    with task("finding real images", total=len(wanted)) as progress:
        before = _in_shards(download.restored.values(), wanted)
        progress.advance(len(before))
        others = {sha256: real_id for sha256, real_id in wanted.items() if sha256 not in before}
        found = find_images(copies, others, progress.advance)
    (scratch / "images").mkdir()
    with task("copying scattered images") as progress:
        in_order = {sha256: found[sha256] for sha256 in wanted if sha256 in found}
        return before | gather(in_order, scratch / "images", progress.advance)


def _in_shards(shards: Iterable[Path], wanted: Mapping[str, str]) -> dict[str, str]:
    """The same, in shards that were verified: one that cannot be read is an error here, for it may be the last copy."""
    found: dict[str, str] = {}
    for path in shards:
        shard = ParquetImages(str(path))
        try:
            for row in range(shard.rows):
                sha256 = hashlib.sha256(shard.read(row)).hexdigest()
                if sha256 in wanted:
                    found.setdefault(sha256, f"{path}#{row_locator(row)}")
        finally:
            shard.close()
    return found


def _write_manifest(workspace: Workspace, listed: Path, found: Mapping[str, str]) -> list[RestoredSource]:
    """Write the manifest of the found images; returns what came of each source."""
    places = pa.table(
        {"real_sha256": pa.array(found.keys(), pa.string()), "path": pa.array(found.values(), pa.string())}
    )
    with database(workspace) as connection:
        connection.register("found", places)
        connection.execute(_LISTED, [literal(listed)])
        REAL_IMAGES.create(connection, _FOUND, kind="TEMP VIEW")
        with RowWriter(manifest_path(workspace), ManifestRow) as manifest:
            manifest.write(connection.sql(f"{REAL_ROWS} ORDER BY {REAL_IMAGES.row_number}"))
        return [RestoredSource(*row) for row in connection.execute(_SOURCES).fetchall()]


def _plain(text: str) -> str:
    """Text of strangers for the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
