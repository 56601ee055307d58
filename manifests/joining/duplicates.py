"""Images that were made more than once: by one generator again, or by several.

Equality is that of sha256. Bounded memory finds it: by the eight bytes of each image that are known of it (`marks`,
`parts`), and then by the rows of those whose eight bytes came twice. They are few, and so are the parts that have them,
which alone are read again.
"""

import duckdb

from manifests.joining.sample_batches import batches

_TWICE = """
CREATE TEMP TABLE repeated_marks AS
SELECT mark FROM marks WHERE mark IS NOT NULL GROUP BY mark HAVING count(*) > 1
"""
_REPEATED = """
INSERT INTO repeated
SELECT model_name, revision, "index", sha256 FROM read_parquet(?)
WHERE status = 'ok' AND hash(sha256) IN (FROM repeated_marks)
"""

# Of equal images of a generator, the one of the lowest index is kept. Not temporary, or a cursor would not see it.
_DUPLICATES = """
CREATE TABLE duplicates AS SELECT model_name, revision, "index" FROM repeated
QUALIFY row_number() OVER (PARTITION BY model_name, revision, sha256 ORDER BY "index") > 1
"""
_SHARED = """
CREATE TEMP TABLE shared AS SELECT sha256, list(DISTINCT model_name ORDER BY model_name) AS makers
FROM repeated GROUP BY sha256 HAVING count(DISTINCT model_name) > 1
"""


def find_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables `duplicates` (model_name, revision, index: tries that count no more) and `shared` (sha256,
    makers: who made it, by name) of a connection that has `parts` and `marks`; of these there is no more need."""
    connection.execute(
        'CREATE TEMP TABLE repeated (model_name VARCHAR, revision VARCHAR, "index" BIGINT, sha256 VARCHAR)'
    )
    connection.execute(_TWICE)
    again = connection.execute(
        "SELECT path FROM parts WHERE part IN (SELECT part FROM marks SEMI JOIN repeated_marks USING (mark))"
    ).fetchall()
    connection.execute("DROP TABLE marks")
    with_repeats = {path for (path,) in again}
    for paths in batches(connection):
        if some := [path for path in paths if path in with_repeats]:
            connection.execute(_REPEATED, [some])
    connection.execute(_DUPLICATES)
    connection.execute(_SHARED)


def twins(connection: duckdb.DuckDBPyConnection) -> list[frozenset[str]]:
    """The sets of generators that made one and the same image; `connection` is one of `joining.opened`."""
    rows = connection.execute("SELECT DISTINCT makers FROM shared ORDER BY makers").fetchall()
    return [frozenset(makers) for (makers,) in rows]
