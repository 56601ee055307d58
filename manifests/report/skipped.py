"""The real images that captioning skipped, by reason and source."""

from collections import Counter
from dataclasses import dataclass

from captioning.skipped import Skipped, skipped_parts
from manifests.report.charts import Chart, ranked
from workspace import records
from workspace.layout import Workspace

#: Rows of the table; the rest is one row.
_ROWS = 40


@dataclass(frozen=True)
class SkippedRow:
    """Skipped real images of one source with one reason, and one of them in words."""

    reason: str
    source: str
    images: int
    example: str


@dataclass(frozen=True)
class SkippedImages:
    """All of them: a chart by reason, a table, and how many images the table's rows leave out."""

    chart: Chart
    rows: tuple[SkippedRow, ...]
    others: int

    @property
    def images(self) -> int:
        """How many."""
        return sum(row.images for row in self.rows) + self.others


def skipped_images(workspace: Workspace) -> SkippedImages | None:
    """What `prompts/` lists as skipped; None: nothing. Raises `UsageError` for a list that cannot be read."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for part in skipped_parts(workspace):
        for batch in records.read_table(part, Skipped).to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                key = row["reason"], row["real_source"]
                counts[key] += 1
                example = f"{row['real_id']}: {row['detail']}"
                examples[key] = min(example, examples.get(key, example))
    if not counts:
        return None
    ordered = sorted(counts, key=lambda key: (-counts[key], key))
    by_reason: Counter[str] = Counter()
    for (reason, _), number in counts.items():
        by_reason[reason] += number
    return SkippedImages(
        ranked("Skipped real images by reason", by_reason),
        tuple(SkippedRow(*key, counts[key], examples[key]) for key in ordered[:_ROWS]),
        sum(counts[key] for key in ordered[_ROWS:]),
    )
