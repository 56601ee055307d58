"""What must hold of the files of the records: that they can be read, and are what was written.

Each page of such a file has a checksum, because a byte that changed may otherwise go unnoticed: a letter of a prompt
becomes another one. DuckDB does not compare them, so all files are read here before they are joined; that takes about
a tenth of the time of the join. The images inside of parts are not read here: their sha256 is compared when they are.

A part that is damaged or missing costs its generator, which is left out; without the catalogue or the prompts nothing
can be joined.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry
from engines.engine import Engine
from manifests.checks.failures import NAMED_ROWS, Failure, Problem
from manifests.checks.remedies import CAPTION_SAME, RESTORE_CATALOG, SAMPLE_AGAIN
from manifests.database import connected, parquet_relation
from samplers.sample import Sample, sample_parts
from workspace import records
from workspace.layout import Workspace, generator_of, part_name

_THREADS = 4
#: Files that a process of an engine reads for one call: some seconds.
_FILES_A_CALL = 100

_CATALOG = Problem("[file is|files are] damaged", RESTORE_CATALOG)
_PROMPTS = Problem("[file is|files are] damaged", CAPTION_SAME)
_PARTS = Problem("[file is|files are] damaged", SAMPLE_AGAIN)
_MISSING_PARTS = Problem("[file is|files are] missing", SAMPLE_AGAIN)
_REVISION = Problem(
    "[generator was|generators were] sampled at a revision that the catalogue does not have",
    "restore the catalogue with which [it was|they were] sampled, or remove [its|their] folders in samples/ and "
    "images/, then run `cf-sample` again",
)


def check_catalog(workspace: Workspace) -> list[Failure]:
    """Read the catalogue whole. Raises `UsageError` when another version wrote it."""
    return _failures(_CATALOG, _damaged([workspace.catalog], CatalogEntry)) if workspace.catalog.exists() else []


def check_prompts(workspace: Workspace, engine: Engine | None = None) -> list[Failure]:
    """Read all prompts, in the processes of an engine where there is one. Raises `UsageError` when another version
    wrote a part."""
    return _failures(_PROMPTS, _damaged(prompt_parts(workspace), Prompt, engine=engine))


def damaged_generators(
    workspace: Workspace, catalog: Iterable[CatalogEntry], engine: Engine | None = None
) -> dict[str, Failure]:
    """Generators of which no rows can be joined, by name, and why: a part is damaged or missing, or they were sampled
    at a revision that is not the catalogue's. Their parts are read in the processes of an engine where there is one.

    Raises `UsageError` when another version wrote a part.
    """
    parts: dict[str, list[Path]] = defaultdict(list)
    for path in sample_parts(workspace):
        parts[generator_of(path.parent.name)].append(path)
    all_parts = [path for paths in parts.values() for path in paths]
    damaged = set(_damaged(all_parts, Sample, without=("image.bytes",), engine=engine))
    revisions = {entry.generator: entry.revision for entry in catalog}
    found = {name: _problem_of(name, paths, damaged, revisions.get(name)) for name, paths in parts.items()}
    return {name: failure for name, failure in found.items() if failure is not None}


def unreadable_generators(workspace: Workspace) -> dict[str, Failure]:
    """Generators with a part that DuckDB alone cannot read, by name: it is stricter with the tables at a file's end."""
    found: dict[str, list[Path]] = defaultdict(list)
    with connected() as connection:
        for path in sample_parts(workspace):
            try:
                parquet_relation(connection, [path]).project("* EXCLUDE (image)").to_arrow_table()
            except duckdb.Error:
                found[generator_of(path.parent.name)].append(path)
    return {name: _failures(_PARTS, paths)[0] for name, paths in found.items()}


def _problem_of(name: str, paths: Sequence[Path], damaged: set[Path], revision: str | None) -> Failure | None:
    if wrong := [path for path in paths if path in damaged]:
        return _failures(_PARTS, wrong)[0]
    expected = [paths[0].with_name(part_name(number)) for number in range(len(paths))]
    if missing := sorted({*expected} - {*paths}):
        return _failures(_MISSING_PARTS, missing)[0]
    sampled = records.read_table(paths[0], Sample, ["revision"]).column("revision")
    if len(sampled) and sampled[0].as_py() != revision:
        return Failure(_REVISION, 1, (f"{name}@{sampled[0]}",))
    return None


def _damaged(
    paths: Sequence[Path], record: type, without: Sequence[str] = (), engine: Engine | None = None
) -> list[Path]:
    if engine is None:
        return damaged_of(_Files(paths, record, without))
    calls = [
        _Files([path.absolute() for path in paths[start : start + _FILES_A_CALL]], record, without)
        for start in range(0, len(paths), _FILES_A_CALL)
    ]
    found = {path for _, damaged in engine.run(damaged_of, calls) for path in damaged}
    return [path for path in paths if path.absolute() in found]


@dataclass(frozen=True)
class _Files:
    """Files with rows of one record; `without`: columns that are not read."""

    paths: Sequence[Path]
    record: type
    without: Sequence[str]


def damaged_of(files: _Files) -> list[Path]:
    """Those of some files that are damaged."""

    def is_damaged(path: Path) -> bool:
        try:
            records.verify(path, files.record, files.without)
        except records.DamagedFileError:
            return True
        return False

    with ThreadPoolExecutor(_THREADS) as threads:
        return [
            path for path, damaged in zip(files.paths, threads.map(is_damaged, files.paths), strict=True) if damaged
        ]


def _failures(problem: Problem, paths: Sequence[Path]) -> list[Failure]:
    return [Failure(problem, len(paths), tuple(map(str, paths[:NAMED_ROWS])))] if paths else []
