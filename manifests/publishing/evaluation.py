"""Evaluation sets by generator: each generator with as many real images as it has generated ones, under its name.

The study's code computes the average precision of each `model_name`, so a real image has the name of a generator there,
and stands once for each generator that it is paired with (`pairing`), in the round of the generated image. The rows of
a pinned manifest are replaced, so that everything that is planned, packed and counted later has them. Training images
stay as they are.

The rows of the evaluation sets are held in memory, some hundred bytes for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.manifest import FAKE, REAL, ManifestRow, iterate_manifest, manifest_path
from manifests.pairing import GENERATED_COLUMNS, pair
from manifests.publishing.published import MIXED_SPLITS
from manifests.staged import StagedWorkspace
from workspace import records
from workspace.atomic import atomic_path
from workspace.number_text import counted, form


@dataclass(frozen=True)
class EvaluationSet:
    """One evaluation set: its generated images, how many of its real rows repeat an image under the same generator, and
    its real images."""

    split: str
    generated: int
    repeated: int
    real: int

    def lines(self) -> Iterator[str]:
        """What its reader must know, for the terminal."""
        more = "`cf-build-manifest --real-per-generated` adds real images"
        if self.generated and not self.real:
            yield f"{self.split} has no real image, so no evaluation by generator is possible: {more}"
        elif self.repeated:
            yield (
                f"{self.split}: {counted(self.repeated, 'real row')} {form(self.repeated, 'repeats', 'repeat')} an "
                f"image under the same generator, because there {form(self.real, 'is', 'are')} only "
                f"{counted(self.real, 'real image')} to pair: {more}"
            )


def evaluate_by_generator(workspace: StagedWorkspace) -> list[EvaluationSet]:
    """Give each generator of the pinned manifest's evaluation sets real images of its own; returns what was made."""
    made, tables = [], []
    rows = _evaluation_rows(workspace)
    for split, published in MIXED_SPLITS.items():
        generated, real = rows[split, FAKE], rows[split, REAL]
        names, rounds = generated.column("generator"), generated.column("round")
        pairs, repeated = _filled(names.to_pylist(), rounds.to_pylist(), pair(names, generated, real))
        order = _by_generator_and_real_image(names, pairs)
        beside = real.take(pairs[order])
        for name in ("generator", "round"):
            position = real.schema.get_field_index(name)
            beside = beside.set_column(position, real.schema.field(position), generated.column(name).take(order))
        tables.append(beside)
        made.append(EvaluationSet(published, len(generated), repeated, len(real)))
    _replace_real_rows(workspace, tables)
    return made


def _evaluation_rows(workspace: StagedWorkspace) -> dict[tuple[str, int], pa.Table]:
    """The rows of each evaluation set by split and label, in their order; of generated ones the columns for pairing."""
    schema = records.schema(ManifestRow)
    kept = {REAL: schema, FAKE: pa.schema([schema.field(name) for name in ("generator", *GENERATED_COLUMNS)])}
    found: dict[tuple[str, int], list[pa.RecordBatch]] = {
        (split, label): [] for split in MIXED_SPLITS for label in kept
    }
    for batch in iterate_manifest(workspace):
        for (split, label), batches in found.items():
            chosen = pc.and_(pc.equal(batch.column("split"), split), pc.equal(batch.column("label"), label))
            if pc.any(chosen).as_py():
                batches.append(batch.filter(chosen).select(kept[label].names))
    return {(split, label): pa.Table.from_batches(found[split, label], kept[label]) for split, label in found}


def _filled(names: list[str], rounds: list[int], pairs: np.ndarray) -> tuple[np.ndarray, int]:
    """The pairs with those of the same generator and round again, in turn, where it ran out of real images; where there
    are none, with those of its rounds before. And how many."""
    filled = pairs.copy()
    of_generator: dict[str, dict[int, list[int]]] = {}
    for name, this, row in zip(names, rounds, pairs.tolist(), strict=True):
        if row >= 0:
            of_generator.setdefault(name, {}).setdefault(this, []).append(row)
    repeated = 0
    for at in np.flatnonzero(pairs < 0).tolist():
        of_rounds = of_generator.get(names[at], {})
        if before := [this for this in of_rounds if this <= rounds[at]]:
            known = of_rounds[max(before)]
            filled[at] = known[0]
            known.append(known.pop(0))
            repeated += 1
    return filled, repeated


def _by_generator_and_real_image(names: pa.ChunkedArray, pairs: np.ndarray) -> np.ndarray:
    """The rows with a pair, by generator; of one in the order of the real images, as they are read fastest."""
    generators = pc.dictionary_encode(names).combine_chunks().indices.to_numpy()
    order = np.lexsort((pairs, generators))
    return order[pairs[order] >= 0]


def _replace_real_rows(workspace: StagedWorkspace, tables: list[pa.Table]) -> None:
    """Write the manifest again with these real rows for evaluation in place of its own."""
    path = manifest_path(workspace)
    schema = records.schema(ManifestRow).with_metadata(pq.read_schema(path).metadata)
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in iterate_manifest(workspace):
            mixed = pc.is_in(batch.column("split"), value_set=pa.array([*MIXED_SPLITS]))
            kept = batch.filter(pc.invert(pc.and_(mixed, pc.equal(batch.column("label"), REAL))))
            writer.write_batch(kept.replace_schema_metadata(schema.metadata))
        for table in tables:
            writer.write_table(table.replace_schema_metadata(schema.metadata))
