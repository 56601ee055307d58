"""The table of all generators: rows as plain lists, which the page's script pages, sorts and searches."""

from typing import Any

from manifests.manifest import FAKE
from manifests.report.figures import ending
from manifests.report.rows import Rows
from manifests.tables.generators import GeneratorRow

#: Longest detail in a row, characters; generators.csv has all of it.
DETAIL = 120

#: The columns: what stands above each, and whether it is a number.
COLUMNS = (
    ("rank", True),
    ("generator", False),
    ("architecture", False),
    ("licence", False),
    ("real source", False),
    ("kept", True),
    ("tried", True),
    ("split", False),
    ("HF_pipeline_tag", False),
    ("HF_diffusers_tag", False),
    ("outcome", False),
)


def table_rows(rows: Rows, generators: list[GeneratorRow]) -> list[list[Any]]:
    """A row a generator of the catalogue, by rank, in the order of `COLUMNS`; None: not known."""
    sources = dict(
        rows.connection.execute(f"""
            SELECT model_name, string_agg(DISTINCT real_title, ', ' ORDER BY real_title) FROM manifest
            WHERE label = {FAKE} AND real_title IS NOT NULL GROUP BY 1""").fetchall()
    )
    return [
        [
            row.rank,
            row.model_name,
            row.architecture,
            row.license,
            sources.get(row.model_name),
            row.kept,
            row.tried,
            row.split or ("neither" if row.kept else None),
            row.hf_pipeline_tag,
            row.hf_diffusers_tag,
            _outcome(row),
        ]
        for row in sorted(generators, key=lambda row: (row.rank, row.model_name))
    ]


def _outcome(row: GeneratorRow) -> str:
    said = ": ".join(filter(None, ending(row)))
    return said if len(said) <= DETAIL else f"{said[: DETAIL - 1]}…"
