"""What must hold of the records before they are joined: of samples, prompts and catalogue.

Most is looked at while the join goes through the generators, for what can be wrong within some of them needs none of
the others; what concerns all prompts or the whole catalogue is looked at once. `tries` are all tries of some
generators, `told` the captions they had; a try's `generator` is its place in the `catalog`, its `caption` in `told`
(`joining`).
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.checks.failures import NAMED_ROWS, Failure, failing, failing_rules, refuse_workspace
from manifests.tables.generators import REJECTIONS

_TRY = "model_name || ' #' || \"index\""

#: An image's own file is where the sampler puts it, or in a part of its own generator.
_ELSEWHERE = """CASE WHEN path = concat('images/', folder, '/', image_name) THEN false
    ELSE NOT starts_with(path, concat('samples/', folder, '/part-')) OR contains(path, '..')
        OR NOT ends_with(path, concat('.parquet#', image_name)) END"""

_INCOMPLETE = "lack a part of what every image has (name, place, sha256, format, mode, size)"

#: What may be wrong with a single try.
_OF_A_TRY = {
    "have a status that is none": f"fate NOT IN ('kept', {', '.join(repr(status) for status in REJECTIONS)})",
    _INCOMPLETE: """fate = 'kept' AND (
        image_name IS NULL OR path IS NULL OR sha256 IS NULL OR format IS NULL OR mode IS NULL
        OR width IS NULL OR height IS NULL OR file_size IS NULL)""",
    # Whether it is one at all, the files tell.
    "have a sha256 that is none": "strlen(sha256) <> 64",
    "have another file name than their index says": "image_name <> printf('%08d.png', \"index\")",
    "name a file that is not their own": f"image_name IS NOT NULL AND {_ELSEWHERE}",
    "are no PNG of mode RGB or L, or have a size that no image has": """format <> 'PNG' OR mode NOT IN ('RGB', 'L')
        OR fate = 'kept' AND (width NOT BETWEEN 1 AND 16384 OR height NOT BETWEEN 1 AND 16384 OR file_size < 1)""",
    "were kept although flagged, or without being checked": "fate = 'kept' AND nsfw_flag IS DISTINCT FROM FALSE",
    "were rejected and still have pixels": "fate NOT IN ('kept', 'duplicate') AND path IS NOT NULL",
    "lie in the folder of another generator": "replace(model_name, '/', '--') <> folder",
}

#: What may be wrong with the numbers and seeds of a generator's tries (`_numbered`).
_OF_NUMBERS = {
    "stand twice in samples/": f"""
        SELECT {_TRY} FROM (SELECT generator, "index" FROM tries GROUP BY ALL HAVING count(*) > 1)
        JOIN catalog ON place = generator""",
    "are generators that lack tries: theirs are not numbered 0, 1, 2, ...": """
        SELECT model_name FROM (
            SELECT generator FROM tries GROUP BY ALL HAVING min("index") <> 0 OR max("index") >= count(*))
        JOIN catalog ON place = generator""",
    "were sampled with the seed of another of their generator": f"""
        SELECT {_TRY} FROM (
            SELECT generator, max("index") AS "index" FROM tries GROUP BY generator, seed
            HAVING min("index") <> max("index"))
        JOIN catalog ON place = generator""",
}

#: What may be wrong with tries beside the catalogue and the captions.
_OF_SOME_GENERATORS = {
    "come from a generator that the catalogue does not have at that revision": """
        SELECT DISTINCT model_name || '@' || revision FROM tries WHERE generator IS NULL""",
    "name a prompt that prompts/ does not have": f"""
        SELECT {_TRY} || ': ' || prompt_id FROM tries WHERE prompt_id IS NOT NULL AND caption IS NULL""",
    "have another real source than their prompt": f"""
        SELECT {_TRY} || ': ' || coalesce(t.real_source, 'none') FROM tries t JOIN told p ON p.place = t.caption
        WHERE t.real_source IS DISTINCT FROM p.real_source""",
    "lack the prompt that their generator needs": f"""
        SELECT {_TRY} FROM tries t
        SEMI JOIN (FROM catalog WHERE task = 'text-to-image') c ON c.place = t.generator
        WHERE prompt_id IS NULL OR unprompted""",
}

#: The same of all prompts and of the catalogue.
_OF_ALL = {
    "are prompts whose id stands twice in prompts/": """
        SELECT prompt_id FROM captions GROUP BY prompt_id HAVING count(*) > 1""",
    "are real images with several sha256": """
        SELECT real_source || '/' || real_id FROM captions GROUP BY real_source, real_id
        HAVING min(real_sha256) <> max(real_sha256)""",
    "are generators that stand twice in the catalogue": """
        SELECT model_name FROM catalog GROUP BY model_name HAVING count(*) > 1""",
    "are generators with a licence from nowhere, or none from somewhere": """
        SELECT model_name FROM catalog WHERE (license IS NULL) <> (license_source = 'none')""",
}


class RowChecks:
    """The checks of records, over a connection of `joining.opened`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._failures: dict[str, Failure] = {}

    def look(self, tries: pa.Table) -> None:
        """Look at the generators that `joining.write_join` is at, and at their `tries`, which the connection has too.

        Raises `CommunityForensicsError` at once where rows are so incomplete that they cannot be written.
        """
        self._add(failing_rules(self._connection, "tries", _TRY, _OF_A_TRY))
        for what, query in (_OF_SOME_GENERATORS if _numbered(tries) else _OF_NUMBERS | _OF_SOME_GENERATORS).items():
            self._add(failing(self._connection, what, query))
        if _INCOMPLETE in self._failures:
            refuse_workspace(self.failures())

    def failures(self) -> list[Failure]:
        """What is wrong; to be asked when the join is done."""
        for what, query in _OF_ALL.items():
            self._add(failing(self._connection, what, query))
        return list(self._failures.values())

    def _add(self, failures: list[Failure]) -> None:
        for new in failures:
            before = self._failures.get(new.what, Failure(new.what, 0, ()))
            named = (*before.named, *new.named)[:NAMED_ROWS]
            self._failures[new.what] = Failure(new.what, before.rows + new.rows, named)


def _numbered(tries: pa.Table) -> bool:
    """Whether the tries of each generator are numbered 0, 1, 2, ..., and no two of all have one seed: then nothing is
    wrong with their numbers, and no query needs to ask what.
    """
    known = tries.select(["generator", "index", "seed"]).filter(pc.is_valid(tries["generator"]))
    generator, index, seed = (column.to_numpy() for column in known.columns)
    count = np.bincount(generator)
    if not ((index >= 0) & (index < count[generator])).all():
        return False
    # Another number for each pair of a generator and a number of its tries.
    place = (np.cumsum(count) - count)[generator] + index
    return bool(np.bincount(place).max(initial=0) <= 1) and np.unique(seed).size == seed.size
