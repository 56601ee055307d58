"""The table of all generators: rows as plain lists, which the page's script shows, sorts and searches."""

from typing import Any

from manifests.manifest import FAKE
from manifests.report.figures import ending
from manifests.report.rows import Rows
from manifests.report.sampled_with import SampledWith
from manifests.tables.generators import GeneratorRow, license_text

#: Characters of an outcome in a row; generators.csv has all of it.
DETAIL = 120

#: The columns: the heading of each, and whether it is a number.
COLUMNS = (
    ("rank", True),
    ("generator", False),
    ("architecture", False),
    ("licence", False),
    ("real source", False),
    ("kept", True),
    ("sampled", True),
    ("split", False),
    ("round", True),
    ("steps", True),
    ("sizes", False),
    ("HF_pipeline_tag", False),
    ("HF_diffusers_tag", False),
    ("outcome", False),
)


def table_rows(rows: Rows, generators: list[GeneratorRow], settings: dict[str, SampledWith]) -> list[list[Any]]:
    """A row for each generator of the catalogue, by rank, with the values of `COLUMNS`; None: unknown. `settings` are
    those of the sampled ones."""
    sources = dict(
        rows.connection.execute(f"""
            SELECT generator, string_agg(DISTINCT real_title, ', ' ORDER BY real_title) FROM manifest
            WHERE label = {FAKE} AND real_title IS NOT NULL GROUP BY 1""").fetchall()
    )
    return [
        [
            row.rank,
            row.generator,
            row.architecture,
            license_text(row),
            sources.get(row.generator),
            row.kept,
            row.tried,
            row.split or ("neither" if row.kept else None),
            row.round,
            settings[row.generator].steps if row.generator in settings else None,
            settings[row.generator].size_text if row.generator in settings else None,
            row.hf_pipeline_tag,
            row.hf_diffusers_tag,
            _outcome(row),
        ]
        for row in sorted(generators, key=lambda row: (row.rank, row.generator))
    ]


def _outcome(row: GeneratorRow) -> str:
    text = ": ".join(filter(None, ending(row)))
    if row.missing_walls:
        text = f"without {row.missing_walls} of the sandbox; {text}"
    return text if len(text) <= DETAIL else f"{text[: DETAIL - 1]}…"
