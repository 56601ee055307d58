"""The shortcut audit of an index: what file facts and simple statistics of pixels tell, as in the manifest's audit.

With `matched`, also the matched subset: pairs of a generated and a real image whose files are alike. Every detector's
scores are measured on it too (`table`). Both are kept in `detect/audits/`, by the digest of the index.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detectors.data.hashes import Hashes, hashes_of
from detectors.data.index import Index
from detectors.results.table import Matched
from manifests.audit.audit import Pictures, findings_of
from manifests.audit.facts import read_facts
from manifests.audit.matching import match
from manifests.audit.record import Audit, MatchedFindings, parse_audit
from manifests.database import connected
from manifests.manifest import FAKE, REAL
from workspace import records
from workspace.atomic import write_json
from workspace.layout import Workspace
from workspace.progress import task
from workspace.records import column

_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class MatchedImage:
    """One image of the matched subset. Every pair has two rows, and no image is in two pairs."""

    pair: int = column(pa.int64(), "number of the pair, from 0: one generated and one real image with like files")
    label: int = column(pa.int8(), "1: generated, 0: real")
    sha256: str = column(pa.string(), "of the image file")
    generator: str | None = column(pa.string(), "the generator's name; null for real images", default=None)


@dataclass(frozen=True)
class DataAudit:
    """The audit of an index; `Audit.manifest` is the digest of the index."""

    data: dict[str, str]
    """The digest of each source by its name."""
    audit: Audit

    @property
    def name(self) -> str:
        """The names of the sources."""
        return ", ".join(self.data)


def audit_index(workspace: Workspace, index: Index, matched: bool = False) -> DataAudit:
    """Audit the images of an index, write what was found, and return it. The same images give the same numbers."""
    folder = audits_folder(workspace)
    pictures = Pictures(lambda row: index.source_of(int(row)).read(index.table.column("locator")[int(row)].as_py()))
    with connected() as connection:
        connection.register("images", _relation(index))
        connection.execute("CREATE TEMP VIEW audited AS FROM images")
        with task("auditing file facts"):
            facts = read_facts(connection, "audited", "coalesce(model_name, sha256)", "sha256")
        findings = findings_of(facts, pictures)
        found = _matched(connection, pictures, _matched_path(folder, index)) if matched else None
    audit = DataAudit(index.digests, Audit(index.sha256, len(index), findings, facts.unknown, found))
    write_json(folder / f"{index.sha256[:_DIGITS]}.json", {"data": audit.data, "audit": asdict(audit.audit)})
    if not matched:
        _matched_path(folder, index).unlink(missing_ok=True)
    return audit


def audits_folder(workspace: Workspace) -> Path:
    """The folder of what audits found."""
    return workspace.detect / "audits"


def read_audits(workspace: Workspace) -> list[DataAudit]:
    """All audits, by the names of their sources; one that is damaged is not among them."""
    found = []
    for path in sorted(audits_folder(workspace).glob("*.json")):
        try:
            written: Any = json.loads(path.read_bytes())
            data = {str(name): str(digest) for name, digest in written["data"].items()}
            found.append(DataAudit(data, parse_audit(written["audit"])))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return sorted(found, key=lambda audit: audit.name)


def read_matched(workspace: Workspace) -> Matched | None:
    """The pairs of all matched subsets; None: there is none. Raises `DamagedFileError`."""
    tables = [records.read_table(path, MatchedImage) for path in sorted(audits_folder(workspace).glob("*.parquet"))]
    if not tables:
        return None
    generated: list[Hashes] = []
    real: list[Hashes] = []
    for table in tables:
        for label, hashes in ((FAKE, generated), (REAL, real)):
            rows = table.filter(pc.equal(table.column("label"), label)).sort_by("pair")
            hashes.append(hashes_of(rows.column("sha256")))
    all_generated = np.concatenate(generated)
    first = np.unique(all_generated, return_index=True)[1]
    return Matched(all_generated[first], np.concatenate(real)[first])


def _matched_path(folder: Path, index: Index) -> Path:
    return folder / f"{index.sha256[:_DIGITS]}.parquet"


def _relation(index: Index) -> pa.Table:
    """The index with the names of the manifest's columns; an image is known by its row."""
    rows = pa.array(np.arange(len(index)))
    names = {"sha256": "sha256", "real_id": "sha256", "generator": "generator", "model_name": "generator"}
    names |= {name: name for name in ("label", "real_source", "split", *_FACTS)}
    columns = {name: _plain(index.table.column(column)) for name, column in names.items()}
    return pa.table({**columns, "index": rows, "path": rows.cast(pa.string())})


_FACTS = (
    *("format", "mode", "width", "height", "file_size", "jpeg_quality", "chroma_subsampling", "progressive"),
    *("has_exif", "has_icc"),
)


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values


def _matched(connection: duckdb.DuckDBPyConnection, pictures: Pictures, path: Path) -> MatchedFindings:
    with task("matching real and generated images"):
        matching = match(connection)
        rows = connection.sql(
            "SELECT pair, label::TINYINT AS label, sha256, generator FROM pairs ORDER BY pair, label DESC"
        ).to_arrow_table()
        records.write_table(path, rows.cast(records.schema(MatchedImage)))
        facts = read_facts(connection, "pairs", "pair_generator", "pair_sha256")
    return MatchedFindings(matching.pairs, matching.possible, findings_of(facts, pictures))


def lines_of(audit: DataAudit) -> Iterator[str]:
    """What was found, for the terminal."""
    for line in audit.audit.lines():
        yield f"{audit.name}: {line}"
