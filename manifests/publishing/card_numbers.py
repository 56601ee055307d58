"""The numbers of the dataset card, counted from what is published: rows that are in no split are not counted."""

from dataclasses import dataclass
from typing import Any

import duckdb

from captioning.prompt import Prompt, prompt_parts
from manifests.database import parquet_view, record_view
from manifests.manifest import FAKE, REAL
from manifests.publishing.published import withheld_images
from manifests.tables.generators import generators_path
from manifests.tables.withheld import WithheldRow
from workspace import records
from workspace.layout import Workspace

#: Combinations of libraries and device that are shown; a campaign on many nodes has more.
_ENVIRONMENTS = 10

_TOTALS = f"""
SELECT count(*) FILTER (label = {FAKE}), count(DISTINCT generator), count(DISTINCT sha256) FILTER (label = {REAL}),
    count(DISTINCT sha256) FILTER (label = {REAL} AND prompted), (SELECT count(*) FROM withheld)
FROM published
"""
_SPLITS = f"""
SELECT published_split, count(*), count(*) FILTER (label = {REAL}), count(DISTINCT sha256) FILTER (label = {REAL}),
    count(DISTINCT generator)
FROM published GROUP BY published_split ORDER BY published_split
"""
_ARCHITECTURES = f"""
SELECT architecture, count(DISTINCT generator), count(*) FROM published WHERE label = {FAKE}
GROUP BY architecture ORDER BY 2 DESC, 1
"""
_LICENSES = """
SELECT coalesce(g.license, 'none given'), g.license_name, g.license_link, count(DISTINCT generator), count(*)
FROM published JOIN generators g USING (generator)
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
"""
_REAL_SOURCES = f"""
WITH counted AS (
    SELECT real_title, license, count(DISTINCT sha256) AS included, 0 AS listed FROM published
    WHERE label = {REAL} GROUP BY ALL
    UNION ALL SELECT real_title, license, 0, count(*) FROM withheld GROUP BY ALL),
links AS (SELECT real_title, license, min(license_link) AS link FROM prompts GROUP BY ALL)
SELECT counted.real_title, coalesce(counted.license, 'unknown'), link, sum(included)::BIGINT, sum(listed)::BIGINT
FROM counted LEFT JOIN links
ON links.real_title = counted.real_title AND links.license IS NOT DISTINCT FROM counted.license
GROUP BY ALL ORDER BY ALL
"""
_SAMPLED_WITH = f"""
SELECT libraries, device, dtype, count(*) FROM published WHERE label = {FAKE}
GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3 LIMIT {_ENVIRONMENTS}
"""


@dataclass(frozen=True)
class PublishedSplit:
    """A published split: its rows, how many of them are of real images, of how many real images (one may be beside
    several generators), and the generators of the others."""

    name: str
    rows: int = 0
    real: int = 0
    real_images: int = 0
    generators: int = 0


@dataclass(frozen=True)
class CardNumbers:
    """What the card counts; the rows of each table are in the order in which they are shown."""

    generated: int
    generators: int
    real: int
    """Real images, each once."""
    prompted: int
    """Those of them whose captions were prompts."""
    listed: int
    """Real images that are listed without their pixels."""
    splits: list[PublishedSplit]
    architectures: list[tuple[Any, ...]]
    """Name, generators, images."""
    licenses: list[tuple[Any, ...]]
    """Licence, the author's name for it, link, generators, images."""
    real_sources: list[tuple[Any, ...]]
    """Title, licence, link, images in the dataset, images that are listed only."""
    environments: list[tuple[Any, ...]]
    """Libraries, device, type, images."""


def count_for_card(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> CardNumbers:
    """Count the published rows of the manifest and what belongs to them; `connection` is one of `published_rows`."""
    parquet_view(connection, "generators", [generators_path(workspace)])
    withheld = withheld_images(workspace)
    connection.register("withheld", records.to_table(WithheldRow, []) if withheld is None else withheld)
    record_view(connection, "prompts", prompt_parts(workspace), Prompt)

    def rows_of(query: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return rows

    ((generated, generators, real, prompted, listed),) = rows_of(_TOTALS)
    return CardNumbers(
        generated=generated,
        generators=generators,
        real=real,
        prompted=prompted,
        listed=listed,
        splits=[PublishedSplit(*row) for row in rows_of(_SPLITS)],
        architectures=rows_of(_ARCHITECTURES),
        licenses=rows_of(_LICENSES),
        real_sources=rows_of(_REAL_SOURCES),
        environments=rows_of(_SAMPLED_WITH),
    )
