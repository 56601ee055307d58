"""What must hold of the rows: of the joined manifest, and of the records it came from.

Most is looked at while the join goes through the generators, for what can be wrong within some of them needs none of
the others; what concerns all prompts or the whole catalogue is looked at once.
"""

import duckdb

from manifests.checks.failures import NAMED_ROWS, Failure

# What is wrong, and the rows of which that is so. `tries` are all those of some generators, `told` the captions they
# had (`joining`).
_OF_SOME_GENERATORS = {
    "stand twice in samples/": """
        SELECT model_name || ' #' || "index" FROM tries
        GROUP BY model_name, "index" HAVING count(*) > 1""",
    "lie in the folder of another generator": """
        SELECT model_name || ' #' || "index" FROM tries WHERE model_name <> home""",
    "come from a generator that the catalogue does not have at that revision": """
        SELECT DISTINCT model_name || '@' || revision FROM tries
        ANTI JOIN catalog USING (model_name, revision)""",
    "name a prompt that prompts/ does not have": """
        SELECT model_name || ' #' || "index" || ': ' || prompt_id FROM tries
        ANTI JOIN told USING (prompt_id) WHERE prompt_id IS NOT NULL""",
    "share their file with another image": """
        SELECT path FROM tries WHERE fate = 'kept' GROUP BY path HAVING count(*) > 1""",
    "name a file of another generator": """
        SELECT model_name || ' #' || "index" || ': ' || path FROM tries
        WHERE fate = 'kept' AND string_split(path, '/')[2] <> replace(model_name, '/', '--')""",
    "were kept although flagged, or without being checked": """
        SELECT path FROM tries WHERE fate = 'kept' AND nsfw_flag IS DISTINCT FROM FALSE""",
    "were rejected and still have pixels": """
        SELECT model_name || ' #' || "index" FROM tries
        WHERE fate NOT IN ('kept', 'duplicate') AND path IS NOT NULL""",
}

# The same of all prompts and of the catalogue.
_OF_ALL = {
    "are prompts whose id stands twice in prompts/": """
        SELECT prompt_id FROM captions GROUP BY prompt_id HAVING count(*) > 1""",
    "are generators that stand twice in the catalogue": """
        SELECT model_name FROM catalog GROUP BY model_name HAVING count(*) > 1""",
}


class RowChecks:
    """The checks of rows, over a connection of `joining.opened`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._failures: dict[str, Failure] = {}

    def look(self) -> None:
        """Look at the generators that `joining.write_join` is at."""
        for what, query in _OF_SOME_GENERATORS.items():
            self._look(what, query)

    def failures(self) -> list[Failure]:
        """What is wrong; to be asked when the join is done."""
        for what, query in _OF_ALL.items():
            self._look(what, query)
        return list(self._failures.values())

    def _look(self, what: str, query: str) -> None:
        ((count, named),) = self._connection.execute(
            f"SELECT count(*), list(row_name ORDER BY row_name)[:{NAMED_ROWS}] FROM ({query}) AS failing(row_name)"
        ).fetchall()
        if count:
            before = self._failures.get(what, Failure(what, 0, ()))
            self._failures[what] = Failure(what, before.rows + count, (*before.named, *named)[:NAMED_ROWS])
