"""The report's numbers: what the study's figures count, and what was rejected and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from manifests.manifest import FAKE, REAL
from manifests.report.charts import ROWS, Chart, Row, ranked
from manifests.report.rows import Rows
from manifests.tables.generators import REJECTIONS, GeneratorRow

#: Generators that are named as examples for one reason.
EXAMPLES = 4

#: The page's names of the values of `split`.
_SPLITS = {"train": "train", "test": "evaluation", None: "neither", "validation": "validation"}

#: Outcomes whose code does not explain itself.
_OUTCOMES = {"done": "sampled", "exhausted": "sampled, with fewer images than requested"}


@dataclass(frozen=True)
class Reason:
    """Why some generators gave no images."""

    code: str
    examples: tuple[GeneratorRow, ...]
    generators: int


@dataclass(frozen=True)
class Figures:
    """What the page counts. A group has no chart where there is nothing to count."""

    numbers: dict[str, int]
    rejected: dict[str, int]
    generators: tuple[Chart, ...]
    evaluation: tuple[Chart, ...]
    sources: tuple[Chart, ...]
    rejections: tuple[Chart, ...]
    reasons: tuple[Reason, ...]


def count_figures(rows: Rows, generators: list[GeneratorRow]) -> Figures:
    """Count them; `generators` are all of the catalogue."""
    sampled = [row for row in generators if row.kept]
    reasons = _reasons(generators)
    rejected = {name: sum(getattr(row, name) for row in generators) for name in REJECTIONS}
    labels = dict(rows.connection.execute("SELECT label, count(*) FROM manifest GROUP BY 1").fetchall())
    return Figures(
        numbers={
            "generators found": len(generators),
            "compatible": sum(row.status == "compatible" for row in generators),
            "sampled": len(sampled),
            "images sampled": sum(row.tried for row in generators),
            "images kept": labels.get(FAKE, 0),
            "real images": labels.get(REAL, 0),
        },
        rejected=rejected,
        generators=_with_rows(
            ranked("Licences of the generators", Counter(row.license or "none stated" for row in sampled)),
            ranked("Generators by architecture", Counter(row.architecture for row in sampled)),
            ranked("Images by architecture", _images(sampled)),
            ranked("Generators by pipeline", Counter(row.hf_diffusers_tag or "unknown" for row in sampled)),
            ranked("Generators by the Hub's task tag", Counter(row.hf_pipeline_tag or "none" for row in sampled)),
            _appearance(sampled),
        ),
        evaluation=_evaluation(rows, sampled),
        sources=_sources(rows),
        rejections=_with_rows(
            ranked("Rejected images by reason", {name: number for name, number in rejected.items() if number}),
            ranked("Generators without images by reason", {reason.code: reason.generators for reason in reasons}),
        ),
        reasons=reasons,
    )


def ending(row: GeneratorRow) -> tuple[str, str]:
    """How sampling a generator ended: a code or a short text, and the recorded detail, which may be empty."""
    if row.status == "incompatible":
        return row.reason or row.status, row.reason_detail or ""
    if row.kept and row.outcome in _OUTCOMES:
        return _OUTCOMES[row.outcome], ""
    if row.outcome == "done":
        return "sampled, but this edition has none of its images", ""
    code = ": ".join(filter(None, (row.outcome, row.outcome_reason))) or ("sampled" if row.kept else "not sampled yet")
    return code, row.outcome_detail or ""


def _with_rows(*charts: Chart) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart.rows)


def _images(sampled: Iterable[GeneratorRow]) -> Counter[str]:
    images: Counter[str] = Counter()
    for row in sampled:
        images[row.architecture] += row.kept
    return images


def _appearance(sampled: list[GeneratorRow]) -> Chart:
    """Generators by quarter, or by year where that would be too many quarters."""
    months = [row.created_at[:7] for row in sampled if row.created_at and row.created_at[:4].isdecimal()]
    quarters = Counter(f"{month[:4]} Q{(int(month[5:7]) + 2) // 3}" for month in months if month[5:7].isdecimal())
    counts = quarters if len(quarters) <= ROWS else Counter(month[:4] for month in months)
    rows = tuple(Row(name, (number,)) for name, number in sorted(counts.items())[-ROWS:])
    return Chart("Generators by their repository's first appearance", rows, upright=True)


def _evaluation(rows: Rows, sampled: list[GeneratorRow]) -> tuple[Chart, ...]:
    """Generators and images by architecture and split; no chart where no generator is held out."""
    images: dict[str, Counter[str | None]] = {}
    for row in rows.query(
        f"SELECT architecture, split, count(*) AS n FROM manifest WHERE label = {FAKE} GROUP BY ALL ORDER BY ALL"
    ):
        images.setdefault(row["architecture"], Counter())[row["split"]] = row["n"]
    found_splits = {split for counts in images.values() for split in counts}
    if found_splits.isdisjoint({"validation", "test"}):
        return ()
    splits = {split: name for split, name in _SPLITS.items() if split != "validation" or split in found_splits}
    generators: dict[str, Counter[str | None]] = {name: Counter() for name in images}
    for generator in sampled:
        generators.setdefault(generator.architecture, Counter())[generator.split] += 1
    return tuple(
        Chart(
            title,
            tuple(Row(name, tuple(counts[split] for split in splits)) for name, counts in sorted(found.items())),
            tuple(splits.values()),
        )
        for title, found in (
            ("Generators by architecture and split", generators),
            ("Images by architecture and split", images),
        )
    )


def _sources(rows: Rows) -> tuple[Chart, ...]:
    prompted = f"FROM manifest WHERE label = {FAKE} AND real_title IS NOT NULL GROUP BY 1"
    return _with_rows(
        ranked("Prompts used, by real source", rows.counts(f"SELECT real_title, count(DISTINCT prompt) {prompted}")),
        ranked("Generated images, by source of the prompt", rows.counts(f"SELECT real_title, count(*) {prompted}")),
        ranked(
            "Real images, by source",
            rows.counts(
                f"SELECT coalesce(real_title, 'unknown'), count(*) FROM manifest WHERE label = {REAL} GROUP BY 1"
            ),
        ),
    )


def _reasons(generators: Iterable[GeneratorRow]) -> tuple[Reason, ...]:
    """Generators without images, by the reason, most frequent first."""
    found: dict[str, list[GeneratorRow]] = {}
    for row in generators:
        if not row.kept:
            found.setdefault(ending(row)[0], []).append(row)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Reason(code, tuple(rows[:EXAMPLES]), len(rows)) for code, rows in ordered)
