"""What must hold of the manifest itself: looked at when it is built, and again before it is published.

These checks know nothing of how the manifest came to be. So they find what the join did wrong, and what befell the file
since: a row that was changed by hand, a generator that moved from one split to the other.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from manifests.checks.failures import Failure, failing, failing_rules
from manifests.choices import read_choices
from manifests.database import database, parquet_view, record_view
from manifests.manifest import FAKE, REAL, REAL_SUBSET
from manifests.options import BuildOptions
from manifests.tables.generators import GeneratorRow
from manifests.tables.withheld import WithheldRow
from workspace.layout import Workspace

_ROW = "coalesce(model_name || ' #' || \"index\", real_source || ': ' || real_id, path)"

_OF_A_ROW = {
    "have a label or a split that is none": f"label NOT IN ({REAL}, {FAKE}) OR split NOT IN ('train', 'test')",
    "lack what says where they come from": f"""
        label = {FAKE} AND (model_name IS NULL OR revision IS NULL OR "index" IS NULL OR seed IS NULL)
        OR label = {REAL} AND (real_source IS NULL OR real_id IS NULL OR real_sha256 IS NULL)""",
    "have a sha256 that is none": "strlen(sha256) <> 64",
    "are flagged, or were never checked": f"label = {FAKE} AND nsfw_flag IS DISTINCT FROM FALSE",
    "are of a subset that is none": f"""
        label = {FAKE} AND subset NOT IN ('Systematic', 'Manual', 'Commercial')
        OR label = {REAL} AND subset <> '{REAL_SUBSET}'""",
    "are real images that name a generator": f"label = {REAL} AND (model_name IS NOT NULL OR architecture <> 'real')",
    "are real images of another sha256 than their data set's": f"label = {REAL} AND sha256 <> real_sha256",
    "have a licence from nowhere, or none from somewhere": f"""
        label = {FAKE} AND (license IS NULL) IS DISTINCT FROM (license_source = 'none')""",
}

_NOT_PUBLIC = {
    "may not be passed on, or nobody knows that they may: a public edition cannot have them": f"""
        label = {REAL} AND redistributable IS NOT TRUE"""
}

_BETWEEN_ROWS = {
    "stand twice": f"""
        SELECT model_name || ' #' || "index" FROM manifest WHERE label = {FAKE}
        GROUP BY model_name, "index" HAVING count(*) > 1""",
    "are real images that stand twice": f"""
        SELECT real_source || ': ' || real_id FROM manifest WHERE label = {REAL}
        GROUP BY real_source, real_id, sha256 HAVING count(*) > 1""",
    "are real images whose captions were prompts, and that are neither here nor listed": f"""
        SELECT DISTINCT real_source || ': ' || real_id FROM manifest m
        ANTI JOIN (
            SELECT real_source, real_id FROM manifest WHERE label = {REAL} UNION ALL
            SELECT real_source, real_id FROM withheld) USING (real_source, real_id)
        WHERE label = {FAKE} AND real_id IS NOT NULL""",
    "are real images that are listed as left out": f"""
        SELECT real_source || ': ' || real_id FROM manifest
        SEMI JOIN withheld USING (real_source, real_id, real_sha256) WHERE label = {REAL}""",
    # Numbers first: of millions of rows few come twice, and only of those the texts are compared.
    "were made by several generators, and do not say so": f"""
        WITH twice AS (
            SELECT hash(sha256) AS mark FROM manifest WHERE label = {FAKE} GROUP BY mark HAVING count(*) > 1)
        SELECT sha256 FROM manifest WHERE label = {FAKE} AND hash(sha256) IN (FROM twice) GROUP BY sha256
        HAVING count(DISTINCT model_name) > 1
            AND min(coalesce(len(also_by), 0)) <> count(DISTINCT model_name) - 1""",
    "are generators with another number of images than their table counts": f"""
        SELECT coalesce(r.model_name, g.model_name) FROM generators g FULL JOIN (
            SELECT model_name, count(*) AS images FROM manifest WHERE label = {FAKE} GROUP BY model_name) r
        USING (model_name) WHERE coalesce(g.kept, 0) <> coalesce(r.images, 0)""",
    "are generators that are in another split than their table says": f"""
        SELECT DISTINCT model_name FROM manifest JOIN generators g USING (model_name)
        WHERE label = {FAKE} AND manifest.split <> coalesce(g.split, '')""",
    "are ancestors that training and evaluation share": f"""
        WITH lines AS (
            SELECT DISTINCT split, model_name, base_model, lineage FROM manifest
            WHERE label = {FAKE} AND split IN ('train', 'test')),
        kin AS (
            SELECT DISTINCT split, unnest(list_concat([model_name, base_model], lineage)) AS ancestor FROM lines)
        SELECT ancestor FROM kin WHERE ancestor IS NOT NULL GROUP BY ancestor HAVING count(*) > 1""",
    "are images that training and evaluation share": """
        SELECT DISTINCT sha256 FROM manifest
        SEMI JOIN (SELECT sha256 FROM manifest WHERE split = 'test') USING (sha256) WHERE split = 'train'""",
    "are real images that training and evaluation share": """
        SELECT DISTINCT real_sha256 FROM manifest
        SEMI JOIN (SELECT real_sha256 FROM manifest WHERE split = 'test') USING (real_sha256) WHERE split = 'train'""",
}


def check_manifest(
    workspace: Workspace,
    manifest: Path,
    withheld: Path | None,
    generators: Iterable[GeneratorRow],
    memory: str = BuildOptions.memory,
) -> list[Failure]:
    """What is wrong with the rows of the file `manifest`, beside its list of real images that it leaves out and its
    table of generators."""
    with database(workspace, memory) as connection:
        parquet_view(connection, "manifest", [manifest])
        record_view(connection, "withheld", [] if withheld is None else [withheld], WithheldRow)
        _generators(connection, generators)
        public = read_choices(manifest).edition == "public"
        failures = failing_rules(connection, "manifest", _ROW, _OF_A_ROW | (_NOT_PUBLIC if public else {}))
        for what, query in _BETWEEN_ROWS.items():
            failures += failing(connection, what, query)
    return failures


def _generators(connection: duckdb.DuckDBPyConnection, rows: Iterable[GeneratorRow]) -> None:
    made = [(row.model_name, row.split, row.kept) for row in rows]
    names, splits, kept = zip(*made, strict=True) if made else ((), (), ())
    table = pa.table(
        {
            "model_name": pa.array(names, pa.string()),
            "split": pa.array(splits, pa.string()),
            "kept": pa.array(kept, pa.int64()),
        }
    )
    connection.from_arrow(table).create("generators")
