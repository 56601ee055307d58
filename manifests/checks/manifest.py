"""What must hold of the manifest itself: checked when it is built, and again before it is published.

These checks do not know how the manifest was made. So they find defects of the join, and what happened to the file
since: a row that was changed by hand, a generator that moved from one split to the other.
"""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import get_args

import duckdb
import pyarrow as pa

from crawler.holdout import Split
from manifests.checks.failures import Failure, Problem, failing, failing_rules
from manifests.choices import read_choices
from manifests.database import database, parquet_view, record_view
from manifests.manifest import FAKE, REAL, REAL_SUBSET
from manifests.options import BuildOptions, Kin
from manifests.tables.generators import GeneratorRow
from manifests.tables.withheld import WithheldRow
from workspace.layout import COMMIT_DIGITS, Workspace

_ROW = "coalesce(generator || ' #' || \"index\", real_source || ': ' || real_id, path)"

_OF_A_ROW = {
    Problem("[row has|rows have] an unknown label or split"): f"""
        label NOT IN ({REAL}, {FAKE}) OR split NOT IN {get_args(Split)!r}""",
    Problem("[row lacks|rows lack] the columns that say where [its image comes|their images come] from"): f"""
        label = {FAKE} AND (generator IS NULL OR revision IS NULL OR "index" IS NULL OR origin IS NULL
            OR origin = 'sampled' AND seed IS NULL)
        OR label = {REAL} AND (real_source IS NULL OR real_title IS NULL OR real_id IS NULL OR real_sha256 IS NULL)""",
    Problem("[row has|rows have] a generator that is not made from [its|their] repository and commit"): f"""
        generator <> model_name AND generator <> concat(model_name, '@', left(revision, {COMMIT_DIGITS}))""",
    Problem("[row has|rows have] an invalid sha256"): "strlen(sha256) <> 64",
    Problem("[image is|images are] flagged, or not checked"): f"label = {FAKE} AND nsfw_flag IS DISTINCT FROM FALSE",
    Problem("[row has|rows have] an unknown subset"): f"""
        label = {FAKE} AND subset NOT IN ('Systematic', 'Manual', 'Commercial')
        OR label = {REAL} AND subset <> '{REAL_SUBSET}'""",
    Problem("real [image names a generator|images name a generator]"): f"""
        label = {REAL} AND (generator IS NOT NULL OR model_name IS NOT NULL OR architecture <> 'real')""",
    Problem("real [image has|images have] another sha256 than in [its|their] data set"): f"""
        label = {REAL} AND sha256 <> real_sha256""",
    Problem("generated [row has|rows have] columns of real images"): f"""
        label = {FAKE} AND (prompted IS NOT NULL OR also_in IS NOT NULL)""",
    Problem("[row has|rows have] a licence without a source, or a source without a licence"): f"""
        label = {FAKE} AND (license IS NULL) IS DISTINCT FROM (license_source = 'none')""",
}

_NOT_PUBLIC = {
    Problem(
        "real [image|images] of a public edition may not be passed on, or it is unknown whether [it|they] may"
    ): f"label = {REAL} AND redistributable IS NOT TRUE"
}

# Those of the manifest and those that it only lists, and those that generated images were made from. They are compared
# by hashes, for millions of texts take long.
_REAL_IMAGES = f"""
CREATE TEMP VIEW real_images AS
SELECT real_source, real_id, hash(real_sha256) AS hash64, prompted, round FROM manifest WHERE label = {REAL}
UNION ALL SELECT real_source, real_id, hash(real_sha256), prompted, round FROM withheld;
CREATE TEMP TABLE asked_for AS
SELECT hash(real_sha256) AS hash64, min(round) AS first_use FROM manifest
WHERE label = {FAKE} AND real_sha256 IS NOT NULL GROUP BY ALL
"""

_BETWEEN_ROWS = {
    Problem("generated [image is|images are] duplicated"): f"""
        SELECT generator || ' #' || "index" FROM manifest WHERE label = {FAKE}
        GROUP BY generator, "index" HAVING count(*) > 1""",
    Problem("real [image is|images are] duplicated"): f"""
        SELECT min(real_source || ': ' || real_id) FROM manifest WHERE label = {REAL}
        GROUP BY sha256 HAVING count(*) > 1""",
    Problem("real [image|images] of prompts [is|are] neither in the manifest nor in the list of withheld ones"): f"""
        SELECT DISTINCT real_source || ': ' || real_id FROM manifest
        WHERE label = {FAKE} AND real_sha256 IS NOT NULL
            AND hash(real_sha256) NOT IN (SELECT hash64 FROM real_images)""",
    Problem("real [image is|images are] wrongly said to be prompted, or not to be"): """
        SELECT real_source || ': ' || real_id FROM real_images LEFT JOIN asked_for USING (hash64)
        WHERE prompted IS DISTINCT FROM coalesce(first_use <= round, false)""",
    Problem("real [image joins|images join] after the round of the first image that was made from [it|them]"): """
        SELECT real_source || ': ' || real_id FROM real_images JOIN asked_for USING (hash64) WHERE round > first_use""",
    Problem("real [image is|images are] in the manifest and in the list of withheld ones"): f"""
        SELECT real_source || ': ' || real_id FROM manifest
        SEMI JOIN withheld USING (real_sha256) WHERE label = {REAL}""",
    # Hashes first: of millions of rows few are repeated, and only of those the texts are compared.
    Problem("[image was|images were] made by several generators, but also_by does not name them"): f"""
        WITH repeated AS (
            SELECT hash(sha256) AS hash64 FROM manifest WHERE label = {FAKE} GROUP BY hash64 HAVING count(*) > 1)
        SELECT DISTINCT sha256 FROM (
            SELECT sha256, coalesce(len(also_by), 0) AS named,
                rank() OVER (PARTITION BY sha256 ORDER BY round) AS place,
                count(*) OVER (PARTITION BY sha256, round) AS beside
            FROM manifest WHERE label = {FAKE} AND hash(sha256) IN (FROM repeated))
        WHERE named <> place + beside - 2""",
    Problem("[generator has|generators have] another number of images than generators.parquet says"): f"""
        SELECT coalesce(r.generator, g.generator) FROM generators g FULL JOIN (
            SELECT generator, count(*) AS images FROM manifest WHERE label = {FAKE} GROUP BY generator) r
        USING (generator) WHERE coalesce(g.kept, 0) <> coalesce(r.images, 0)""",
    Problem("[generator is|generators are] in another split than generators.parquet says"): f"""
        SELECT generator FROM (
            SELECT DISTINCT generator FROM manifest WHERE label = {FAKE} AND split IS NOT NULL
                AND hash(generator, split) NOT IN (SELECT hash(generator, coalesce(split, '')) FROM generators))
        SEMI JOIN generators USING (generator)""",
}


def check_manifest(
    workspace: Workspace,
    manifest: Path,
    withheld: Path | None,
    generators: Iterable[GeneratorRow],
    memory: str = BuildOptions.memory,
) -> list[Failure]:
    """What is wrong with the rows of the file `manifest`, beside its list of withheld real images and its table of
    generators. The problems have no remedy of their own."""
    with database(workspace, memory) as connection:
        parquet_view(connection, "manifest", [manifest])
        record_view(connection, "withheld", [] if withheld is None else [withheld], WithheldRow)
        connection.execute(_REAL_IMAGES)
        _create_generators(connection, generators)
        choices = read_choices(manifest)
        rules = _OF_A_ROW | (_NOT_PUBLIC if choices.edition == "public" else {})
        failures = failing_rules(connection, "manifest", _ROW, rules)
        splits = {split for (split,) in connection.execute("SELECT DISTINCT split FROM manifest").fetchall()}
        queries = dict(_BETWEEN_ROWS)
        for one, other in combinations(sorted(splits.intersection(get_args(Split)), key=get_args(Split).index), 2):
            queries |= _between_splits(one, other, choices.kin)
        for problem, query in queries.items():
            failures += failing(connection, problem, query)
    return failures


def _between_splits(one: Split, other: Split, kin: Kin) -> dict[Problem, str]:
    """What two splits must not have in common; `other` has fewer rows."""
    related = f"""
        WITH lines AS (
            SELECT DISTINCT split, model_name, base_model, lineage FROM manifest
            WHERE label = {FAKE} AND split IN ('{one}', '{other}')),
        related AS (
            SELECT DISTINCT split, unnest(list_concat([model_name, base_model], lineage)) AS ancestor FROM lines)
        SELECT ancestor FROM related WHERE ancestor IS NOT NULL GROUP BY ancestor HAVING count(*) > 1"""

    def in_both(column: str) -> str:
        return f"""
            SELECT DISTINCT {column} FROM manifest
            SEMI JOIN (SELECT {column} FROM manifest WHERE split = '{other}') USING ({column}) WHERE split = '{one}'"""

    of_generators = {Problem(f"[ancestor is|ancestors are] shared by {one} and {other}"): related}
    return (of_generators if kin == "separate" else {}) | {
        Problem(f"[image is|images are] in both {one} and {other}"): in_both("sha256"),
        Problem(f"real [image is|images are] used in both {one} and {other}"): in_both("real_sha256"),
    }


def _create_generators(connection: duckdb.DuckDBPyConnection, rows: Iterable[GeneratorRow]) -> None:
    values = [(row.generator, row.split, row.kept) for row in rows]
    names, splits, kept = zip(*values, strict=True) if values else ((), (), ())
    table = pa.table(
        {
            "generator": pa.array(names, pa.string()),
            "split": pa.array(splits, pa.string()),
            "kept": pa.array(kept, pa.int64()),
        }
    )
    connection.from_arrow(table).create("generators")
