"""The audit of a manifest: `audit_manifest` looks, writes what it found, and returns it."""

from collections.abc import Callable, Sequence

import duckdb
import numpy as np

from manifests.audit.facts import Facts, read_facts
from manifests.audit.matching import match, matched_path, write_matched
from manifests.audit.pixels import PICTURES, Pixels, columns_of, look_at
from manifests.audit.record import ALL_FACTS, Audit, Findings, MatchedFindings, write_audit
from manifests.audit.scores import Repetitions, Score, score
from manifests.audit.trees import folds_of, judged
from manifests.database import database, parquet_view
from manifests.images import ImageReader
from manifests.manifest import FAKE, REAL, existing_manifest
from manifests.options import BuildOptions
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.progress import task


def audit_manifest(workspace: Workspace, options: BuildOptions) -> Audit:
    """Audit the images of the manifest that are in a split, and with `options.matched` also the matched subset, which
    it writes. The same workspace gives the same numbers.

    Raises `UsageError` where there is no manifest.
    """
    path = existing_manifest(workspace)
    manifest = sha256_of_file(path)
    with database(workspace, options.memory) as connection:
        parquet_view(connection, "manifest", [path])
        connection.execute("CREATE TEMP VIEW audited AS FROM manifest WHERE split IS NOT NULL")
        ((images,),) = connection.execute("SELECT count(*) FROM audited").fetchall()
        seen = Pictures(ImageReader(workspace, options.hub).read)
        with task("auditing file facts"):
            facts = read_facts(connection, "audited", "coalesce(model_name, sha256)", "sha256")
        findings = findings_of(facts, seen)
        matched_path(workspace).unlink(missing_ok=True)
        matched = _matched(connection, workspace, manifest, seen) if options.matched else None
    audit = Audit(manifest, int(images), findings, facts.unknown, matched)
    write_audit(workspace, audit)
    return audit


def _matched(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, manifest: str, seen: "Pictures"
) -> MatchedFindings:
    with task("matching real and generated images"):
        matching = match(connection)
        write_matched(connection, workspace, manifest)
        # Both images of a pair in one fold: otherwise trees that saw one of them judge the other one wrong.
        facts = read_facts(connection, "pairs", "pair_generator", "pair_sha256")
    return MatchedFindings(matching.pairs, matching.possible, findings_of(facts, seen))


class Pictures:
    """Statistics of pixels, each image looked at once."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        """`read`: the image file at a path; raises `OSError`."""
        self._read = read
        self._seen: dict[str, Pixels | None] = {}

    def of(self, paths: Sequence[str]) -> list[Pixels | None]:
        """The statistics of the images at these paths; None for one that cannot be read."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._seen]
        if missing:
            self._seen |= dict.fromkeys(missing) | look_at(self._read, missing)
        return [self._seen[path] for path in paths]


def findings_of(facts: Facts, seen: Pictures) -> Findings:
    """What facts and pixels tell of these images."""
    found = Findings(facts.count(FAKE), facts.count(REAL), facts.generators)
    folds = folds_of(facts.groups, facts.labels)
    texts = [fact.text for fact in facts.facts]

    known: dict[bytes, np.typing.NDArray[np.float64]] = {}

    def repetitions_of(rows: slice | list[int]) -> Repetitions:
        return Repetitions(facts.labels[rows], list(np.asarray(facts.groups, dtype=object)[rows]), folds[rows])

    def scored(
        name: str,
        values: np.typing.NDArray[np.float64],
        names: Sequence[bool],
        rows: slice | list[int],
        repetitions: Repetitions,
    ) -> Score | None:
        # Facts that divide the images alike, such as width and height of squares, are judged once.
        key = b"".join(np.unique(column, return_inverse=True)[1].tobytes() for column in values.T)
        if key not in known:
            known[key] = judged(values, names, facts.labels[rows], folds[rows])
        return score(name, known[key], repetitions)

    everything = slice(None)
    of_all = repetitions_of(everything)
    together = scored(ALL_FACTS, facts.values, texts, everything, of_all)
    if together is None or facts.generators < 2 or found.real < 2:
        return found
    alone = [
        scored(fact.name, facts.values[:, [n]], [fact.text], everything, of_all) for n, fact in enumerate(facts.facts)
    ]
    first = [np.flatnonzero(facts.labels == label)[:PICTURES] for label in (FAKE, REAL)]
    rows = np.concatenate(first).tolist()
    pictures = seen.of([facts.paths[row] for row in rows])
    read = [row for row, picture in zip(rows, pictures, strict=True) if picture is not None]
    columns = columns_of([picture for picture in pictures if picture is not None]) if read else {}
    of_read = repetitions_of(read)
    by_pixels = [scored(name, values, [False] * values.shape[1], read, of_read) for name, values in columns.items()]
    return Findings(
        found.generated,
        found.real,
        found.generators,
        (together, *_ranked(alone)),
        tuple(_ranked(by_pixels)),
        (int((facts.labels[read] == FAKE).sum()), int((facts.labels[read] == REAL).sum())),
        len(rows) - len(read),
    )


def _ranked(scores: Sequence[Score | None]) -> list[Score]:
    return sorted((each for each in scores if each is not None), key=lambda each: -each.auroc)
