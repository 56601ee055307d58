"""Makes random rows of a manifest again, and fails where one is not equal.

Images are made by `cf-sample --remake`, as a process of its own that is given a table of rows and leaves a table of
results. So this room knows nothing of sampling, and what is checked is what everybody can check who has the dataset:
the same command, in another process, from the columns that are published.
"""

import csv
import heapq
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.checks.failures import NAMED_ROWS, Failure, Problem, raise_build_failures
from manifests.manifest import FAKE, manifest_path
from manifests.options import BuildOptions
from manifests.reproduction.record import Reproduction, write_reproduction
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.identity import number_of, sha256_of_file
from workspace.layout import Workspace
from workspace.removed import is_pseudonym

#: Starts the command from where this process imports it, whatever the working directory holds (-P).
_COMMAND = (sys.executable, "-P", "-c", "from samplers.cli import main; main()")
#: Rows of the manifest that are in memory at a time.
_AT_A_TIME = 100_000
#: Seconds that the command has to end after an interrupt: it sends the batch in hand.
_GRACE = 30.0

_NOT_EQUAL = Problem(
    "generated [image is|images are] not made again equal",
    "see docs/reproducing.md for what images depend on; make them again on the kind of device and with the versions "
    "that their rows name, or build without --verify reproduce",
)


#: Columns that rows are chosen by.
_COLUMNS = ["label", "model_name", "revision", "index", "task", "prompt", "kind", "base_model", "origin"]


def reproduce(workspace: Workspace, options: BuildOptions) -> Reproduction:
    """Make `options.reproduce` random images of the manifest again, and write what was found beside it.

    The same manifest and seed give the same images. Raises `CommunityForensicsError` where one is not equal, and where
    they could not be made; `UsageError` where none of its images was sampled.
    """
    manifest = manifest_path(workspace)
    with tempfile.TemporaryDirectory(prefix="cf-reproduce-") as name:
        table, into = Path(name, "rows.csv"), Path(name, "again")
        rows = chosen_rows(manifest, options.reproduce, options.reproduce_seed)
        _write(table, rows)
        results = _remade(workspace, table, into, options)
    unequal = [row for row in results if row["result"] != "equal"]
    raise_build_failures(
        [Failure(_NOT_EQUAL, len(unequal), tuple(_named(row) for row in unequal[:NAMED_ROWS]))] if unequal else []
    )
    found = Reproduction(
        manifest=sha256_of_file(manifest),
        seed=options.reproduce_seed,
        rows=tuple(f"{row['model_name']}@{row['revision']}#{row['index']}" for row in results),
        made_with=tuple(sorted({f"{row['device']}, {row['libraries']}" for row in results})),
    )
    write_reproduction(workspace, found)
    return found


def chosen_rows(manifest: Path, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` rows of sampled images, in the manifest's order: those with the least hashes of seed, generator and
    index. Fewer, where it has fewer; raises `UsageError` where it has none."""
    least: list[tuple[int, int]] = []
    at = 0
    with records.reading(manifest), pq.ParquetFile(manifest, page_checksum_verification=True) as file:
        for batch in file.iter_batches(_AT_A_TIME, columns=_COLUMNS):
            keys = (
                (number_of("reproduce", seed, row["model_name"], row["revision"], row["index"]), at + place)
                for place, row in enumerate(batch.to_pylist())
                if row["label"] == FAKE and row["origin"] == "sampled" and not _lacks_what_was_removed(row)
            )
            least = heapq.nsmallest(count, [*least, *keys])
            at += batch.num_rows
        if not least:
            raise UsageError(f"--verify reproduce={count}: the manifest has no image that was sampled")
        return [row for rows in _at(file, sorted(place for _, place in least)) for row in rows]


def _lacks_what_was_removed(row: Mapping[str, Any]) -> bool:
    """Whether the prompt of an image, or the base model of its adapter, was removed (`cf-remove`), so that it cannot be
    made again."""
    without_prompt = row["task"] == "text-to-image" and row["prompt"] is None
    return without_prompt or (row["kind"] != "checkpoint" and is_pseudonym(row["base_model"] or ""))


def _at(file: pq.ParquetFile, places: Sequence[int]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file at these places, in the columns that CSV can have."""
    columns = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
    at = 0
    for batch in file.iter_batches(_AT_A_TIME, columns=columns):
        here = [place - at for place in places if at <= place < at + batch.num_rows]
        yield batch.take(pa.array(here, pa.int64())).to_pylist()
        at += batch.num_rows


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _remade(workspace: Workspace, table: Path, into: Path, options: BuildOptions) -> list[dict[str, Any]]:
    """The results of the command, a row each."""
    command = [*_COMMAND, "--workspace", str(workspace.root), "--remake", str(table), "--into", str(into)]
    exit_code = _run(command, _environment(options))
    try:
        written: dict[str, Any] = json.loads((into / "results.json").read_bytes())
        rows: list[dict[str, Any]] = written["rows"] if written["finished"] else []
    except (OSError, ValueError, KeyError, TypeError):
        rows = []
    if not rows:
        raise CommunityForensicsError(
            f"no manifest was written: --verify reproduce={options.reproduce} could not make its images (`cf-sample "
            f"--remake` ended with exit code {exit_code}); see its message above"
        )
    return rows


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end, with its progress and errors on this terminal; an interrupt ends it too."""
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise


def _environment(options: BuildOptions) -> dict[str, str]:
    """That of this process, with its modules, and the Hub and token of the options where they name one."""
    given = {"HF_ENDPOINT": options.endpoint, "HF_TOKEN": options.token}
    named = {name: value for name, value in given.items() if value is not None}
    return {**os.environ, **named, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _named(row: Mapping[str, Any]) -> str:
    why = "; ".join(filter(None, (row["differences"], row["detail"])))
    return f"{row['generator'] or row['given']}#{row['index']} {row['result']} ({why})"
