"""The report's numbers, counted from the table of generators and the manifest's real images."""

from collections import Counter
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.generators import REJECTIONS, GeneratorRow, read_generators
from manifests.manifest import REAL, manifest_path
from workspace.layout import Workspace

#: Generators the page's table has rows for; the CSV file has them all.
TABLE_ROWS = 300

#: Bars of a chart; what is beyond them is one bar.
BARS = 12

#: Generators named for one reason why they were not sampled.
EXAMPLES = 6


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: its value and its share of the longest."""

    name: str
    value: int
    share: float


@dataclass(frozen=True)
class Reason:
    """Why some generators gave no images."""

    code: str
    generators: int
    examples: list[GeneratorRow]


@dataclass(frozen=True)
class Figures:
    """Everything the page counts."""

    generators: list[GeneratorRow]
    compatible: int
    sampled: list[GeneratorRow]
    kept: int
    real: int
    tried: int
    rejected: dict[str, int]
    charts: dict[str, list[Bar]]
    reasons: list[Reason]
    table_rows: int


def count_figures(workspace: Workspace) -> Figures:
    """Count; raises `UsageError` when there is no manifest yet."""
    generators = read_generators(workspace)
    sampled = [row for row in generators if row.kept]
    labels = pq.read_table(manifest_path(workspace), columns=["label"])["label"]
    return Figures(
        generators=generators,
        compatible=sum(row.status == "compatible" for row in generators),
        sampled=sampled,
        kept=sum(row.kept for row in generators),
        real=pc.sum(pc.equal(labels, REAL)).as_py() or 0,
        tried=sum(row.tried for row in generators),
        rejected={name: sum(getattr(row, name) for row in generators) for name in REJECTIONS},
        charts={
            "Licences of the sampled generators": bars(Counter(row.license or "none given" for row in sampled)),
            "Sampled generators by architecture": bars(Counter(row.architecture for row in sampled)),
            "Images by architecture": bars(_images_by_architecture(sampled)),
            "Sampled generators by pipeline": bars(Counter(row.hf_diffusers_tag or "unknown" for row in sampled)),
        },
        reasons=_reasons(generators),
        table_rows=TABLE_ROWS,
    )


def bars(counts: Counter[str]) -> list[Bar]:
    """A chart of counts, longest bar first; the smallest ones together where there are too many."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) > BARS:
        rest = ordered[BARS - 1 :]
        ordered = [*ordered[: BARS - 1], (f"{len(rest)} others", sum(value for _, value in rest))]
    longest = max((value for _, value in ordered), default=1)
    return [Bar(name, value, value / longest) for name, value in ordered]


def _images_by_architecture(sampled: list[GeneratorRow]) -> Counter[str]:
    images: Counter[str] = Counter()
    for row in sampled:
        images[row.architecture] += row.kept
    return images


def _reasons(generators: list[GeneratorRow]) -> list[Reason]:
    """Generators without images, by the code that says why, most frequent first."""
    found: dict[str, list[GeneratorRow]] = {}
    for row in generators:
        if not row.kept:
            code = (row.reason if row.status == "incompatible" else row.outcome) or "not sampled yet"
            found.setdefault(code, []).append(row)
    return [
        Reason(code, len(rows), rows[:EXAMPLES])
        for code, rows in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
