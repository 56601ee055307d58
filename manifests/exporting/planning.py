"""Planning: which images are exported, and where each one goes, before anything is written.

Every group (a generator, or all generators of a split together where the layout says so) gets as many real images as it
has generated ones, by the same pairs as in the published evaluation set (`manifests.pairing`). What is left without a
pair is not exported, and counted. The plan is a table in memory, some hundred bytes for each image.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.exporting.folder_names import folder_names
from manifests.exporting.trees import EXTENSIONS, Tree, tree_of
from manifests.manifest import FAKE, REAL, ManifestRow, iterate_manifest
from manifests.options import ExportOptions
from manifests.pairing import GENERATED_COLUMNS, pair
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.number_text import counted, form

_COLUMNS = (
    *("path", "sha256", "file_size", "format", "mode", "label", "split", "generator", "index"),
    *GENERATED_COLUMNS,
)


@dataclass(frozen=True)
class SplitPlan:
    """What is exported of one split, and what is not and why."""

    split: str
    generators: int
    generated: int
    real: int
    unpaired: int
    """Generated images for which there is no real one."""
    unreadable: dict[str, int]
    """Real images by format, of formats that the layout's readers ignore."""
    modes: dict[str, int]
    """Exported images by mode, of modes other than RGB."""

    def lines(self) -> Iterator[str]:
        """The same, for the terminal."""
        yield (
            f"{self.split}: {counted(self.generated, 'generated image')} of {counted(self.generators, 'generator')} "
            f"and {counted(self.real, 'real image')}"
        )
        if self.unpaired:
            yield (
                f"{self.split}: {counted(self.unpaired, 'generated image')} {form(self.unpaired, 'was', 'were')} left "
                "out, because there are too few real images to pair: `cf-build-manifest --real-per-generated` adds some"
            )
        if self.unreadable:
            number = sum(self.unreadable.values())
            yield (
                f"{self.split}: {counted(number, 'real image')} {form(number, 'was', 'were')} left out, of formats "
                f"that readers of this layout ignore ({_by_number(self.unreadable)})"
            )
        if self.modes:
            yield f"{self.split}: not all images are RGB ({_by_number(self.modes)}); readers convert them"


@dataclass(frozen=True)
class Plan:
    """The files of an export: a row each, those of one source image are neighbours.

    Columns: source (the manifest's `path`), sha256, file_size (null: unknown), stem (the path in the tree without the
    extension), extension, label, generator (null: a real image beside all of them), split.
    """

    files: pa.Table
    splits: list[SplitPlan] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What is exported, for the terminal."""
        for split in self.splits:
            yield from split.lines()


def plan_export(workspace: Workspace, options: ExportOptions) -> Plan:
    """The plan for a workspace's manifest.

    Raises `UsageError` without a manifest, and where a split that was asked for, or all, have no image to export.
    """
    rows = _rows(workspace)
    present = [
        split for split in ("train", "validation", "test") if split in pc.unique(rows.column("split")).to_pylist()
    ]
    for split in options.split:
        if split not in present:
            raise UsageError(
                f"--split {split}: the manifest has no such images, only {' and '.join(present) or 'none in a split'}; "
                "`cf-build-manifest --holdout` keeps generators for evaluation"
            )
    wanted = [split for split in present if split in options.split] or present
    tree = tree_of(options.layout)
    tree = tree.in_one_split() if len(wanted) == 1 else tree
    made = [_of_split(rows.filter(pc.equal(rows.column("split"), split)), split, tree) for split in wanted]
    chosen = pa.concat_tables([table for table, _ in made]) if made else None
    if chosen is None or not len(chosen):
        unreadable = "".join(f"; {line}" for _, plan in made for line in plan.lines() if plan.unreadable)
        raise UsageError(
            f"{workspace.manifest} has no generated image with a real one beside it in a split{unreadable}: give "
            "cf-caption real images, or use another --layout, and run `cf-build-manifest` again"
        )
    # Of all generators, so that one has the same folder in every tree of this manifest.
    names = folder_names(sorted(pc.unique(rows.column("generator").drop_null()).to_pylist()))
    files = chosen.append_column("stem", pa.array(_stems(chosen, tree, names), pa.string())).append_column(
        "extension", pc.cast([EXTENSIONS[name] for name in chosen.column("format").to_pylist()], pa.string())
    )
    _require_different(files)
    return Plan(files, [plan for _, plan in made])


def _rows(workspace: Workspace) -> pa.Table:
    """The manifest's rows that are in a split."""
    schema = pa.schema([records.schema(ManifestRow).field(name) for name in dict.fromkeys(_COLUMNS)])
    found = [
        batch.filter(pc.is_valid(batch.column("split"))).select(schema.names) for batch in iterate_manifest(workspace)
    ]
    return pa.Table.from_batches(found, schema=schema)


def _of_split(rows: pa.Table, split: str, tree: Tree) -> tuple[pa.Table, SplitPlan]:
    """The exported rows of a split, those of one real image as neighbours, each with its generator."""
    generated = rows.filter(pc.equal(rows.column("label"), FAKE))
    real = rows.filter(pc.equal(rows.column("label"), REAL))
    readable = pc.is_in(real.column("format"), value_set=pa.array(sorted(tree.formats)))
    unreadable = real.filter(pc.invert(readable))
    real = _different(real.filter(readable))
    if tree.pooled:
        # By index: where real images run out, every generator loses the same number.
        generated = _different(generated.sort_by([("index", "ascending"), ("generator", "ascending")]))
        groups = pa.array([split] * len(generated), pa.string())
    else:
        groups = generated.column("generator")
    pairs = pair(groups, generated, real, by_round=not tree.pooled)
    paired = pairs >= 0
    order = np.flatnonzero(paired)[np.argsort(pairs[paired], kind="stable")]
    beside = generated.column("generator").take(pa.array(order))
    names = pa.nulls(len(order), pa.string()) if tree.pooled else beside
    chosen = pa.concat_tables(
        [
            _with_generator(generated.filter(pa.array(paired)), generated.column("generator").filter(pa.array(paired))),
            _with_generator(real.take(pa.array(pairs[order])), names),
        ]
    )
    return chosen, SplitPlan(
        split=split,
        generators=len(pc.unique(beside)),
        generated=int(paired.sum()),
        real=len(np.unique(pairs[order])),
        unpaired=int((~paired).sum()),
        unreadable=_counts(unreadable.column("format")),
        modes={mode: number for mode, number in _counts(chosen.column("mode")).items() if mode not in ("RGB", None)},
    )


def _with_generator(rows: pa.Table, names: pa.Array | pa.ChunkedArray) -> pa.Table:
    columns = ["path", "sha256", "file_size", "format", "mode", "label", "split"]
    table = rows.select(columns).rename_columns(["source", *columns[1:]])
    return table.append_column("generator", names).replace_schema_metadata()


def _different(rows: pa.Table) -> pa.Table:
    """The rows without those whose file an earlier row has."""
    codes = pc.dictionary_encode(rows.column("sha256").combine_chunks()).indices.to_numpy()
    return rows.take(pa.array(np.sort(np.unique(codes, return_index=True)[1])))


def _stems(chosen: pa.Table, tree: Tree, names: dict[str, str]) -> list[str]:
    folders: dict[tuple[str, str | None, int], str] = {}
    stems = []
    for split, generator, label, sha256 in zip(
        *(chosen.column(name).to_pylist() for name in ("split", "generator", "label", "sha256")), strict=True
    ):
        key = (split, generator, label)
        if key not in folders:
            folders[key] = tree.folder(split, names.get(generator, ""), label)
        stems.append(f"{folders[key]}/{sha256[:16]}")
    return stems


def _require_different(files: pa.Table) -> None:
    """Raise `UsageError` where two files would have one name: two real images may be made so."""
    counts = pc.value_counts(files.column("stem"))
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if twice:
        raise UsageError(
            f"two images would have the name {twice[0]}, because their sha256 begin alike: remove one of them from its "
            "real source, and run `cf-caption` and `cf-build-manifest` again"
        )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()}


def _by_number(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in sorted(numbers, key=lambda name: (-numbers[name], name)))
