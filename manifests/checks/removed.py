"""What was removed from the workspace must not be there again, such as from a copy that somebody restored."""

from collections.abc import Iterable, Iterator

from captioning.prompt import Prompt, prompt_parts
from crawler.catalog import CatalogEntry
from manifests.checks.failures import NAMED_ROWS, Failure, Problem
from manifests.manifest import REAL, iterate_manifest
from manifests.tables.generators import GeneratorRow
from workspace import records
from workspace.layout import Workspace
from workspace.removed import read_removals

_AGAIN = "run `cf-remove` for [it|them] again, which takes out what was restored from a copy"
_GENERATORS = Problem("[generator was|generators were] removed from this workspace, and [is|are] there again", _AGAIN)
_REAL_IMAGES = Problem(
    "real [image was|images were] removed from this workspace, and [is|are] there again (sha256)", _AGAIN
)


def check_removed(workspace: Workspace, generators: Iterable[CatalogEntry | GeneratorRow]) -> list[Failure]:
    """Whether a generator of a table, or a real image of prompts/, was removed. Errors as `records.read_table`."""
    removals = read_removals(workspace)
    if not removals.rows:
        return []
    names = [row.model_name for row in generators if removals.generator(row.model_name, row.revision) is not None]
    real = ((sha256, licence) for sha256, licence in _real_images(workspace) if sha256 is not None)
    images = [sha256 for sha256, licence in real if removals.real_image(sha256, licence) is not None]
    return _failures(_GENERATORS, names) + _failures(_REAL_IMAGES, images)


def check_removed_rows(workspace: Workspace) -> list[Failure]:
    """Whether a generator or a real image of the manifest was removed since it was built."""
    removals = read_removals(workspace)
    generators: set[str] = set()
    images: set[str] = set()
    for batch in iterate_manifest(workspace) if removals.rows else ():
        columns = batch.select(["label", "model_name", "revision", "real_sha256", "license"])
        for row in columns.to_pylist():
            licence = row["license"] if row["label"] == REAL else ""
            if row["model_name"] is not None and removals.generator(row["model_name"], row["revision"]) is not None:
                generators.add(row["model_name"])
            if removals.real_image(row["real_sha256"], licence) is not None:
                images.add(row["real_sha256"])
    return _failures(_GENERATORS, generators) + _failures(_REAL_IMAGES, images)


def _real_images(workspace: Workspace) -> Iterator[tuple[str | None, str | None]]:
    for part in prompt_parts(workspace):
        table = records.read_table(part, Prompt, ["real_sha256", "license"])
        yield from zip(*(column.to_pylist() for column in table.columns), strict=True)


def _failures(problem: Problem, names: Iterable[str]) -> list[Failure]:
    found = sorted(set(names))
    return [Failure(problem, len(found), tuple(found[:NAMED_ROWS]))] if found else []
