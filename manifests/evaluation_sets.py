"""The evaluation sets of a manifest: which real image stands beside each generated one that is for evaluation.

There are two, as in the study. `PublicEval` pairs each generated image with a real one that may be passed on, such as
one of COCO or FFHQ; so it can be published as a whole. `comprehensive` pairs it with the real image whose caption was
its prompt, whatever the terms of that one are; where a public edition only lists it, who has its data set can rebuild
the set from the hashes. Pairs are made by `pairing`: by the prompt's own image where there is one, else by source and
size, and the same each time.

`manifest/evaluation.parquet` has a row for each pair. It is a list, and no image is only there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.manifest import FAKE, REAL
from manifests.pairing import GENERATED_COLUMNS, REAL_COLUMNS, pair
from manifests.tables.withheld import WithheldRow
from workspace import records
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.records import column

SetName = Literal["PublicEval", "comprehensive"]
PairedBy: TypeAlias = Literal["prompt", "source", "size"]

#: What is read of a real image, by the names of the manifest.
_REAL = (
    "round",
    "real_source",
    "real_title",
    "real_id",
    "real_sha256",
    "width",
    "height",
    "license",
    "redistributable",
)


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """A generated image that is for evaluation, and the real image beside it."""

    evaluation_set: SetName = column(pa.string(), "PublicEval | comprehensive")
    generator: str = column(pa.string(), "the generator's name, as in the manifest")
    architecture: str = column(pa.string(), "as in the manifest")
    index: int = column(pa.int64(), "number of the sample within its generator")
    sha256: str = column(pa.string(), "of the generated image's file")
    paired_by: PairedBy = column(
        pa.string(),
        "prompt: the real image whose caption was the prompt | source: another one of the same source, the nearest in "
        "size | size: one of another source",
    )
    real_source: str = column(pa.string(), "data set of the real image, by its name in prompts/")
    real_title: str = column(pa.string(), "published name of that data set")
    real_id: str = column(pa.string(), "its id in its data set")
    real_sha256: str = column(pa.string(), "of its file")
    license: str | None = column(pa.string(), "of the real image; null: unknown", default=None)
    redistributable: bool | None = column(pa.bool_(), "whether it may be passed on; null: unknown", default=None)
    in_manifest: bool = column(
        pa.bool_(), "whether the manifest has the real image; otherwise it is to be taken from its data set"
    )


@dataclass(frozen=True)
class EvaluationSets:
    """How many pairs each set has, of `generated` images, and how many by what they were paired by."""

    generated: int
    pairs: Mapping[SetName, Mapping[PairedBy, int]]
    to_fetch: int = 0
    """Real images of the comprehensive set that the manifest only lists."""

    def lines(self) -> Iterator[str]:
        """What there is, for the terminal; nothing where no image is for evaluation."""
        if not self.generated:
            return
        for name, by in self.pairs.items():
            found = sum(by.values())
            ways = ", ".join(f"{number:,} by {way}" for way, number in by.items() if number)
            line = (
                f"{name}: {found:,} of {counted(self.generated, 'generated image')} with a real one ({ways or 'none'})"
            )
            if found < self.generated and name == "PublicEval":
                line += (
                    "; caption more images that may be passed on, such as COCO's, and build with --public-evaluation"
                )
            yield line
        if self.to_fetch:
            yield (
                f"comprehensive: {counted(self.to_fetch, 'real image')} to be taken from their data sets, by their "
                "sha256 in manifest/evaluation.parquet"
            )


def evaluation_path(workspace: Workspace) -> Path:
    """The list of the evaluation sets' pairs."""
    return workspace.manifest / "evaluation.parquet"


def write_evaluation_sets(workspace: Workspace, manifest: Path, withheld: Path | None) -> EvaluationSets:
    """Pair the images of the split `test` of a manifest's file, and write the list; without such images there is none.

    The rows of that split are held in memory. Errors as `records.read_table`.
    """
    path = evaluation_path(workspace)
    generated, real = _generated(manifest), _real(manifest, withheld)
    if not len(generated):
        path.unlink(missing_ok=True)
        return EvaluationSets(0, {})
    public = real.filter(pc.fill_null(real.column("redistributable"), False))
    sets: dict[SetName, pa.Table] = {"PublicEval": public, "comprehensive": real}
    tables = [_paired(name, generated, rows) for name, rows in sets.items()]
    table = pa.concat_tables(tables)
    records.write_table(path, table.cast(records.schema(EvaluationRow)))
    ways: dict[SetName, dict[PairedBy, int]] = {
        name: {way: pc.sum(pc.equal(one.column("paired_by"), way)).as_py() or 0 for way in ("prompt", "source", "size")}
        for name, one in zip(sets, tables, strict=True)
    }
    listed = tables[1].filter(pc.invert(tables[1].column("in_manifest"))).column("real_sha256")
    return EvaluationSets(len(generated), ways, len(pc.unique(listed)))


def _generated(manifest: Path) -> pa.Table:
    """The generated images that are for evaluation, by generator and index."""
    names = ["generator", "architecture", "index", "sha256", *GENERATED_COLUMNS]
    return _rows(manifest, FAKE, names)


def _real(manifest: Path, withheld: Path | None) -> pa.Table:
    """The real images that are for evaluation, those that a public edition only lists too; with `in_manifest`."""
    there = _rows(manifest, REAL, list(_REAL))
    tables = [there.append_column("in_manifest", pa.repeat(pa.scalar(True), len(there)))]
    if withheld is not None:
        listed = records.read_table(withheld, WithheldRow, [*_REAL, "split"])
        listed = listed.filter(pc.fill_null(pc.equal(listed.column("split"), "test"), False)).select(list(_REAL))
        tables.append(listed.append_column("in_manifest", pa.repeat(pa.scalar(False), len(listed))))
    return pa.concat_tables([table.cast(tables[0].schema) for table in tables])


def _rows(manifest: Path, label: int, names: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    chosen = (pc.field("split") == "test") & (pc.field("label") == label)
    with records.reading(manifest):
        table = pq.read_table(
            manifest, columns=names, filters=chosen, partitioning=None, page_checksum_verification=True
        )
    plain = pa.schema(
        pa.field(one.name, pa.string() if pa.types.is_dictionary(one.type) else one.type) for one in table.schema
    )
    return table.cast(plain)


def _paired(name: SetName, generated: pa.Table, real: pa.Table) -> pa.Table:
    """The pairs of one set, as rows of `EvaluationRow`."""
    images = pa.table({each: real.column("real_sha256" if each == "sha256" else each) for each in REAL_COLUMNS})
    pairs = pair(generated.column("generator"), generated, images)
    found = np.flatnonzero(pairs >= 0)
    beside, made = real.take(pairs[found]), generated.take(found)
    own = pc.fill_null(pc.equal(made.column("real_sha256"), beside.column("real_sha256")), False)
    same = pc.fill_null(pc.equal(made.column("real_source"), beside.column("real_source")), False)
    columns = {
        "evaluation_set": pa.repeat(pa.scalar(name), len(found)),
        **{each: made.column(each) for each in ("generator", "architecture", "index", "sha256")},
        "paired_by": pc.if_else(own, "prompt", pc.if_else(same, "source", "size")),
        **{each: beside.column(each) for each in ("real_source", "real_title", "real_id", "real_sha256", "license")},
        **{each: beside.column(each) for each in ("redistributable", "in_manifest")},
    }
    return pa.table(columns).cast(records.schema(EvaluationRow))
