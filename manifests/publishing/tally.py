"""The dataset card's numbers, counted from what is published: rows that are in no split count nowhere."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from captioning.prompt import Prompt, prompt_parts
from manifests.database import database, parquet_view, record_view
from manifests.manifest import manifest_path
from manifests.publishing.published import EVALUATION, withheld_images
from manifests.tables.generators import generators_path
from workspace.layout import Workspace

#: Combinations of libraries and device that are named; a campaign on many nodes has more.
_MAKERS = 10

_PUBLISHED = f"""
CREATE TEMP VIEW published AS
SELECT *, CASE split WHEN 'test' THEN '{EVALUATION}' ELSE subset END AS part FROM manifest WHERE split IS NOT NULL
"""

_REAL_SOURCES = """
WITH counted AS (
    SELECT real_title, license, count(*) AS here, 0 AS listed FROM published WHERE label = 0 GROUP BY ALL
    UNION ALL SELECT real_title, license, 0, count(*) FROM withheld GROUP BY ALL),
links AS (SELECT real_title, license, min(license_link) AS link FROM prompts GROUP BY ALL)
SELECT counted.real_title, coalesce(counted.license, 'not known'), link, sum(here)::BIGINT, sum(listed)::BIGINT
FROM counted LEFT JOIN links
ON links.real_title = counted.real_title AND links.license IS NOT DISTINCT FROM counted.license
GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Split:
    """A published split: its rows, how many of them are real images, and the generators of the others."""

    name: str
    rows: int
    real: int
    generators: int


@dataclass(frozen=True)
class Tally:
    """What the card counts; each table's rows in the order in which they are shown."""

    generated: int
    generators: int
    real: int
    listed: int
    splits: list[Split]
    architectures: list[tuple[Any, ...]]
    """Name, generators, images."""
    licenses: list[tuple[Any, ...]]
    """Licence, the author's name for it, link, generators, images."""
    real_sources: list[tuple[Any, ...]]
    """Source, licence, link, images here, images that are listed only."""
    makers: list[tuple[Any, ...]]
    """Libraries, device, type, images."""


def tally(workspace: Workspace) -> Tally:
    """Count the manifest's published rows and what belongs to them."""
    with database(workspace) as connection:
        parquet_view(connection, "manifest", [manifest_path(workspace)])
        parquet_view(connection, "catalogue", [generators_path(workspace)])
        connection.execute(_PUBLISHED)
        withheld = withheld_images(workspace)
        connection.register("withheld", _columns() if withheld is None else withheld.select(["real_title", "license"]))
        record_view(connection, "prompts", prompt_parts(workspace), Prompt)

        def asked(query: str) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
            return rows

        ((generated, generators, real, listed),) = asked(
            """SELECT count(*) FILTER (label = 1), count(DISTINCT model_name), count(*) FILTER (label = 0),
            (SELECT count(*) FROM withheld) FROM published"""
        )
        return Tally(
            generated=generated,
            generators=generators,
            real=real,
            listed=listed,
            splits=[
                Split(*row)
                for row in asked(
                    """SELECT part, count(*), count(*) FILTER (label = 0), count(DISTINCT model_name)
                    FROM published GROUP BY part ORDER BY part"""
                )
            ],
            architectures=asked(
                """SELECT architecture, count(DISTINCT model_name), count(*) FROM published WHERE label = 1
                GROUP BY architecture ORDER BY 2 DESC, 1"""
            ),
            licenses=asked(
                """SELECT coalesce(g.license, 'none given'), g.license_name, g.license_link,
                count(DISTINCT model_name), count(*)
                FROM published JOIN catalogue g USING (model_name, revision)
                GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"""
            ),
            real_sources=asked(_REAL_SOURCES),
            makers=asked(
                f"""SELECT libraries, device, dtype, count(*) FROM published WHERE label = 1
                GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3 LIMIT {_MAKERS}"""
            ),
        )


def _columns() -> pa.Table:
    return pa.table({"real_title": pa.array([], pa.string()), "license": pa.array([], pa.string())})
