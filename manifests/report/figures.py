"""The report's numbers: what the study's figures count, and what was left out and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from manifests.manifest import FAKE, REAL
from manifests.report.charts import ROWS, Chart, Row, ranked
from manifests.report.rows import Rows
from manifests.tables.generators import REJECTIONS, GeneratorRow

#: Generators named for one reason why they gave no images.
EXAMPLES = 4

#: What an image may be for, as the page calls it, by `split`.
_SPLITS = {"train": "train", "test": "evaluation", None: "neither"}

#: Outcomes in words, where the code needs any.
_OUTCOMES = {"done": "sampled", "exhausted": "tries ran out"}


@dataclass(frozen=True)
class Reason:
    """Why some generators gave no images."""

    code: str
    examples: tuple[GeneratorRow, ...]
    generators: int


@dataclass(frozen=True)
class Figures:
    """What the page counts. A group of charts is empty where there is nothing to count."""

    numbers: dict[str, int]
    rejected: dict[str, int]
    generators: tuple[Chart, ...]
    evaluation: tuple[Chart, ...]
    sources: tuple[Chart, ...]
    left_out: tuple[Chart, ...]
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
            "images tried": sum(row.tried for row in generators),
            "images kept": labels.get(FAKE, 0),
            "real images": labels.get(REAL, 0),
        },
        rejected=rejected,
        generators=_shown(
            ranked("Licences of the generators", Counter(row.license or "none given" for row in sampled)),
            ranked("Generators by architecture", Counter(row.architecture for row in sampled)),
            ranked("Images by architecture", _images(sampled)),
            ranked("Generators by pipeline", Counter(row.hf_diffusers_tag or "unknown" for row in sampled)),
            ranked("Generators by the Hub's task tag", Counter(row.hf_pipeline_tag or "none given" for row in sampled)),
            _appearance(sampled),
        ),
        evaluation=_evaluation(rows, sampled),
        sources=_sources(rows),
        left_out=_shown(
            ranked("Rejected images by reason", {name: tries for name, tries in rejected.items() if tries}),
            ranked("Generators without images by reason", {reason.code: reason.generators for reason in reasons}),
        ),
        reasons=reasons,
    )


def ending(row: GeneratorRow) -> tuple[str, str]:
    """How it ended with a generator: a code or a word, and the detail that was recorded, or nothing."""
    if row.status == "incompatible":
        return row.reason or row.status, row.reason_detail or ""
    if row.kept and row.outcome in _OUTCOMES:
        return _OUTCOMES[row.outcome], ""
    if row.outcome == "done":
        return "sampled, but no image is in this dataset", ""
    code = ": ".join(filter(None, (row.outcome, row.outcome_reason))) or ("sampled" if row.kept else "not sampled yet")
    return code, row.outcome_detail or ""


def _shown(*charts: Chart) -> tuple[Chart, ...]:
    return tuple(chart for chart in charts if chart.rows)


def _images(sampled: Iterable[GeneratorRow]) -> Counter[str]:
    images: Counter[str] = Counter()
    for row in sampled:
        images[row.architecture] += row.kept
    return images


def _appearance(sampled: list[GeneratorRow]) -> Chart:
    """Generators by quarter, or by year where there are too many quarters."""
    months = [row.created_at[:7] for row in sampled if row.created_at and row.created_at[:4].isdecimal()]
    quarters = Counter(f"{month[:4]} Q{(int(month[5:7]) + 2) // 3}" for month in months if month[5:7].isdecimal())
    counts = quarters if len(quarters) <= ROWS else Counter(month[:4] for month in months)
    rows = tuple(Row(name, (number,)) for name, number in sorted(counts.items())[-ROWS:])
    return Chart("Generators by their repository's first appearance", rows, upright=True)


def _evaluation(rows: Rows, sampled: list[GeneratorRow]) -> tuple[Chart, ...]:
    """Images and generators by architecture and split; nothing where no image is for evaluation."""
    images: dict[str, Counter[str | None]] = {}
    for row in rows.ask(
        f"SELECT architecture, split, count(*) AS n FROM manifest WHERE label = {FAKE} GROUP BY ALL ORDER BY ALL"
    ):
        images.setdefault(row["architecture"], Counter())[row["split"]] = row["n"]
    if not any(counts["test"] for counts in images.values()):
        return ()
    generators: dict[str, Counter[str | None]] = {name: Counter() for name in images}
    for generator in sampled:
        generators.setdefault(generator.architecture, Counter())[generator.split] += 1
    return tuple(
        Chart(
            title,
            tuple(Row(name, tuple(counts[split] for split in _SPLITS)) for name, counts in sorted(found.items())),
            tuple(_SPLITS.values()),
        )
        for title, found in (
            ("Generators by architecture and split", generators),
            ("Images by architecture and split", images),
        )
    )


def _sources(rows: Rows) -> tuple[Chart, ...]:
    asked = f"FROM manifest WHERE label = {FAKE} AND real_title IS NOT NULL GROUP BY 1"
    return _shown(
        ranked("Prompts used, by real source", rows.counts(f"SELECT real_title, count(DISTINCT prompt) {asked}")),
        ranked("Generated images, by source of the prompt", rows.counts(f"SELECT real_title, count(*) {asked}")),
        ranked(
            "Real images, by source",
            rows.counts(
                f"SELECT coalesce(real_title, 'unknown'), count(*) FROM manifest WHERE label = {REAL} GROUP BY 1"
            ),
        ),
    )


def _reasons(generators: Iterable[GeneratorRow]) -> tuple[Reason, ...]:
    """Generators without images, by the code that says why, most frequent first."""
    found: dict[str, list[GeneratorRow]] = {}
    for row in generators:
        if not row.kept:
            found.setdefault(ending(row)[0], []).append(row)
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Reason(code, tuple(rows[:EXAMPLES]), len(rows)) for code, rows in ordered)
