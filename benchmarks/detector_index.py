"""The index of detectors over a manifest of 2.7 million rows, and the results of as many scores.

The manifest is that of the study's size: 4,803 generators and 1.35 million images of each label, made by DuckDB in the
manifest's columns. Ours reads it, finds the kin groups and the contents, and divides it by the protocol generator:5.
Theirs reads the same columns with pandas and does nothing else. Each runs in a process of its own, whose time and peak
memory are measured, imports included; time is that of the processors.

Then the scores of all images, which are read, and summed up by generator, with the intervals of the bootstrap.
"""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import Comparison
from manifests.manifest import ManifestRow, manifest_path
from manifests.tables.generators import GeneratorRow, generators_path
from workspace import records
from workspace.layout import Workspace

GENERATORS, IMAGES = 4_803, 2_700_000
#: Seconds and megabytes that the index may take, a fold besides, and the results (of which two minutes are the aim, and
#: are not reached on every machine).
INDEX_SECONDS, INDEX_MEMORY = 30, 1_000
FOLD_MEMORY = 1_200
RESULTS_SECONDS, RESULTS_MEMORY = 180, 1_000

_PEAK = r"""
import re
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]))
"""
_INDEX = """
import sys
from pathlib import Path
from detectors.data.index import Index
from workspace.layout import Workspace
index = Index.open([], Workspace.open(sys.argv[1]))
assert len(index) == int(sys.argv[2])
index.sha256
"""
_FOLDS = """
from detectors.protocols.folds import folds
assert len(folds(index, "generator:5", 0)[0].test)
"""
_PANDAS = """
import sys
from pathlib import Path
import pandas as pd
names = ["sha256", "label", "generator", "architecture", "real_title", "real_sha256", "prompt", "split", "format",
    "mode", "width", "height", "file_size", "path"]
assert len(pd.read_parquet(Path(sys.argv[1]) / "manifest/manifest.parquet", columns=names)) == int(sys.argv[2])
"""
_RESULTS = """
import sys
from pathlib import Path
from detectors.results.table import results_of
from detectors.run import Recipe, Run
about = dict(model="benchmark", protocol="split", fold="split", rows="", data={}, seed=0, steps=0, settings={})
assert len(results_of("benchmark", [Run(Path(sys.argv[1]) / "run", Recipe(**about))])) > 4_803
"""


def run() -> Iterator[Comparison]:
    """The index against pandas; then what the folds and the results take, against what they may. Raises
    `AssertionError` above a limit."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        workspace = Workspace.open(Path(name) / "workspace")
        _write_manifest(workspace)
        seconds, memory = _measured(_INDEX, workspace)
        theirs, their_memory = _measured(_PANDAS, workspace)
        claim = f"at most {INDEX_SECONDS} s and {INDEX_MEMORY:,} MB"
        what = f"index of {IMAGES:,} rows ({memory} MB; pandas reads them in {their_memory} MB)"
        yield Comparison(what, seconds, theirs, claim)
        assert seconds <= INDEX_SECONDS, f"the index took {seconds:.0f} s"
        assert memory <= INDEX_MEMORY, f"the index took {memory} MB"
        with_folds, memory = _measured(_INDEX + _FOLDS, workspace)
        claim = f"at most {FOLD_MEMORY:,} MB"
        yield Comparison(f"the same and a fold of generator:5 ({memory} MB)", with_folds, theirs, claim)
        assert memory <= FOLD_MEMORY, f"the index and a fold took {memory} MB"
        _write_scores(workspace)
        seconds, memory = _measured(_RESULTS, workspace)
        claim = f"at most {RESULTS_SECONDS} s and {RESULTS_MEMORY:,} MB"
        yield Comparison(f"results of {IMAGES:,} scores ({memory} MB)", seconds, RESULTS_SECONDS, claim)
        assert seconds <= RESULTS_SECONDS, f"the results took {seconds:.0f} s"
        assert memory <= RESULTS_MEMORY, f"the results took {memory} MB"


def _measured(script: str, workspace: Workspace) -> tuple[float, int]:
    """Processor seconds of a process, all its threads together, and its peak memory in megabytes. What else the machine
    does changes neither."""
    command = [sys.executable, "-c", script + _PEAK, str(workspace.root), str(IMAGES)]
    before = _processor_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return _processor_seconds() - before, int(done.stdout) * 1024 // 10**6


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


#: Of the n-th row, n from 0: generated ones first, by generator.
_HALF = IMAGES // 2
_GENERATOR = f"(n * {GENERATORS} // {_HALF})"
_REAL_OF = f"(hash(n % {_HALF}, 7) % {_HALF})"
_VALUES = {
    "image_name": "lpad(n::VARCHAR, 8, '0') || '.png'",
    "label": f"(n < {_HALF})::BIGINT",
    "subset": f"if(n < {_HALF}, 'Systematic', 'Real')",
    "split": "'train'",
    "round": "1",
    "generator": f"if(n < {_HALF}, 'org/generator-' || {_GENERATOR}, NULL)",
    "model_name": f"if(n < {_HALF}, 'org/generator-' || {_GENERATOR}, NULL)",
    "base_model": f"if(n < {_HALF}, 'org/base-' || {_GENERATOR} % 1000, NULL)",
    "lineage": f"if(n < {_HALF}, ['org/base-' || {_GENERATOR} % 1000], NULL)",
    "index": f"if(n < {_HALF}, n % 281, NULL)",
    "architecture": f"if(n < {_HALF}, 'LatDiff', 'real')",
    "license_family": "'unknown'",
    "license_family_effective": "'unknown'",
    "prompt": f"'a photograph of ' || if(n < {_HALF}, {_REAL_OF}, n - {_HALF})",
    "real_source": "'coco'",
    "real_title": "'COCO'",
    "real_id": f"(n % {_HALF})::VARCHAR",
    "real_sha256": f"sha256(if(n < {_HALF}, 'real' || {_REAL_OF}, 'real' || (n - {_HALF})))",
    "format": f"if(n < {_HALF}, 'PNG', 'JPEG')",
    "mode": "'RGB'",
    "width": "512",
    "height": "512",
    "file_size": "100000 + n % 99991",
    "has_exif": "false",
    "has_icc": "false",
    "sha256": f"sha256(if(n < {_HALF}, 'generated' || n, 'real' || (n - {_HALF})))",
    "path": f"'images/org--generator-' || {_GENERATOR} || '/' || lpad((n % 281)::VARCHAR, 8, '0') || '.png'",
}


def _write_manifest(workspace: Workspace) -> None:
    schema = records.schema(ManifestRow)
    names = ", ".join(f'{_VALUES.get(name, "NULL")} AS "{name}"' for name in schema.names)
    path = manifest_path(workspace)
    path.parent.mkdir(parents=True)
    with duckdb.connect() as connection, pq.ParquetWriter(path, schema, compression="zstd") as writer:
        rows = connection.sql(f"SELECT {names} FROM range({IMAGES}) AS numbers(n)").to_arrow_reader(50_000)
        for batch in rows:
            writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    records.write_table(generators_path(workspace), records.to_table(GeneratorRow, []))


def _write_scores(workspace: Workspace) -> None:
    """The scores of all images, each generated one paired with the real image of its prompt."""
    from detectors.results.scores import Score

    values = {
        "evaluation": "'benchmark'",
        "sha256": _VALUES["sha256"],
        "dataset": "'workspace'",
        "label": _VALUES["label"],
        "generator": _VALUES["generator"],
        "architecture": _VALUES["architecture"],
        "pair": f"if(n < {_HALF}, sha256('real' || {_REAL_OF}), NULL)",
        "part": "'test'",
        "protocol": "'split'",
        "fold": "'split'",
        "transform": "'none'",
        "logit": "(hash(n) % 1000) / 250 - 2 + (n < " + str(_HALF) + ")::INTEGER",
    }
    schema = records.schema(Score)
    names = ", ".join(f'{values.get(name, "NULL")} AS "{name}"' for name in schema.names)
    folder = workspace.root / "run/scores/benchmark"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {names} FROM range({IMAGES}) AS numbers(n)").to_arrow_reader(100_000)
        for number, batch in enumerate(rows):
            records.write_table(folder / f"{number:09d}.parquet", pa.Table.from_batches([batch]).cast(schema))
