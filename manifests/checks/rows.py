"""What must hold of the rows: of the joined manifest, and of the records it came from."""

import duckdb

from manifests.checks.failures import NAMED_ROWS, Failure
from manifests.manifest import FAKE

# What is wrong, and the rows of which that is so. `manifest` is the joined table.
_QUERIES = {
    "stand twice in samples/": """
        SELECT model_name || ' #' || "index" FROM samples
        GROUP BY model_name, "index" HAVING count(*) > 1 ORDER BY ALL""",
    "come from a generator that the catalogue does not have at that revision": """
        SELECT DISTINCT s.model_name || '@' || s.revision FROM samples s
        ANTI JOIN catalog c ON c.model_name = s.model_name AND c.revision = s.revision ORDER BY ALL""",
    "name a prompt that prompts/ does not have": """
        SELECT s.model_name || ' #' || s."index" || ': ' || s.prompt_id FROM samples s
        ANTI JOIN prompts p ON p.prompt_id = s.prompt_id WHERE s.prompt_id IS NOT NULL ORDER BY ALL""",
    "are prompts whose id stands twice in prompts/": """
        SELECT prompt_id FROM prompts GROUP BY prompt_id HAVING count(*) > 1 ORDER BY ALL""",
    "are generators that stand twice in the catalogue": """
        SELECT model_name FROM catalog GROUP BY model_name HAVING count(*) > 1 ORDER BY ALL""",
    "share their file with another image": f"""
        SELECT path FROM manifest WHERE label = {FAKE} GROUP BY path HAVING count(*) > 1 ORDER BY ALL""",
    "were kept although flagged, or without being checked": f"""
        SELECT path FROM manifest WHERE label = {FAKE} AND nsfw_flag IS DISTINCT FROM FALSE ORDER BY ALL""",
    "were rejected and still have pixels": """
        SELECT model_name || ' #' || "index" FROM samples
        WHERE status <> 'ok' AND (image.path IS NOT NULL OR image.bytes IS NOT NULL) ORDER BY ALL""",
}


def check_rows(connection: duckdb.DuckDBPyConnection) -> list[Failure]:
    """What is wrong with the rows; `connection` sees the records (`joining.opened`) and the joined `manifest`."""
    failures = []
    for what, query in _QUERIES.items():
        count, named = connection.execute(
            f"SELECT count(*), list(row_name)[:{NAMED_ROWS}] FROM ({query}) AS failing(row_name)"
        ).fetchone() or (0, [])
        if count:
            failures.append(Failure(what, count, tuple(named)))
    return failures
