"""Joining and checking the rows of a campaign against pandas, and what ten times the rows take.

5,000 parts of 540 tries, 500,000 prompts and a catalogue of 5,000. Ours is what `cf-build-manifest` does but for the
files, for there are none: looking at every part, repeats, the join, the checks of the records and of the manifest that
was written. Theirs is the same table by pandas with the same checks but for those that need more than a line or two:
once with pandas' own nullable types (without any, it would round seeds), once with Arrow's. Each runs in a process of
its own, is measured from start to end, imports included, and the rows are compared. Then the time of ours is held
against that for a tenth of the rows, with CF_SOAK also for tenfold.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import duckdb

from benchmarks.rows import TRIES, write_rows
from benchmarks.timing import Comparison, compare
from workspace.layout import Workspace

GENERATORS = 5_000
#: pandas' `dtype_backend`, and what is claimed beside it.
_TYPES = {"numpy_nullable": "at most a third of pandas' time, at most 1 GB", "pyarrow": "no claim; at most 1 GB"}
#: Megabytes that ours may take at its peak, all of the process, however many rows there are.
MAX_MEMORY = 1_000
#: How many times as long ours may take for ten times the rows.
MAX_GROWTH = 12.0
#: How many times as much memory, where a tenth of the rows is many batches already: no more but for the footer of a
#: file ten times as large, and for what two runs over the same rows differ by.
MAX_MORE_MEMORY = 1.1

_OURS = """
import sys
from pathlib import Path
from crawler.catalog import read_catalog
from manifests.checks import RowChecks, check_manifest, raise_build_failures
from manifests.choices import Choices
from manifests.options import BuildOptions
from manifests.tables.generators import generator_rows
from manifests.joining.join import open_records, write_manifest
from manifests.joining.sample_batches import sampled_generators
from manifests.joining.duplicates import generators_of_equal_images
from workspace.layout import Workspace

workspace, path, choices = Workspace.open(Path(sys.argv[1])), Path(sys.argv[2]), Choices.of(BuildOptions())
catalog = read_catalog(workspace)
with open_records(workspace) as connection:
    assignment = choices.assign(catalog, sampled_generators(connection), generators_of_equal_images(connection))
    checks = RowChecks(connection)
    joined = write_manifest(connection, path, assignment, metadata=choices.metadata(), check=checks.check_batch)
    raise_build_failures(checks.failures())
generators = generator_rows(catalog, joined.results, {}, assignment.splits)
raise_build_failures(check_manifest(workspace, path, None, generators))
"""

_THEIRS = """
import sys
from pathlib import Path
import pandas as pd

workspace, path = Path(sys.argv[1]), Path(sys.argv[2])

def read(paths, columns):
    return pd.read_parquet(paths, columns=columns, dtype_backend=sys.argv[3])

generator = ["model_name", "revision"]
tries = read(sorted(map(str, workspace.glob("samples/*/part-*.parquet"))), [
    *generator, "index", "status", "image.path", "seed", "batch_size", "call_size", "device", "dtype", "scheduler",
    "libraries", "memory", "vae_dtype", "image_name", "sha256", "file_size", "format", "mode", "width", "height",
    "nsfw_flag", "nsfw_score", "prompt_id", "prompt", "negative_prompt", "class_label", "real_source",
    "num_inference_steps", "guidance_scale"])
catalog = read(workspace / "catalog.parquet", [
    *generator, "subset", "architecture", "license", "license_source", "license_family", "license_effective",
    "license_family_effective", "hf_pipeline_tag", "hf_diffusers_tag", "task", "kind", "base_model", "lineage"])
prompts = read(sorted(map(str, workspace.glob("prompts/*/part-*.parquet"))), [
    "prompt_id", "prompt", "real_source", "real_title", "real_id", "real_path", "real_sha256", "real_format",
    "real_mode", "real_width", "real_height", "real_file_size", "real_jpeg_quality", "real_chroma_subsampling",
    "real_progressive", "real_has_exif", "real_has_icc", "caption_origin", "captioner", "license", "license_link",
    "redistributable"])

tries = tries.sort_values(["model_name", "index"])
made = tries["status"] == "ok"
tries["kept"] = made & ~tries[[*generator, "sha256"]].duplicated()
kept = tries[tries["kept"]]

# The records.
assert tries["status"].isin(["ok", "nsfw", "blank", "nan"]).all()
assert kept[["image_name", "path", "sha256", "format", "mode", "width", "height", "file_size"]].notna().all(axis=None)
assert kept["sha256"].str.len().eq(64).all()
assert kept["image_name"].eq(kept["index"].astype("string[pyarrow]").str.zfill(8) + ".png").all()
assert kept["path"].eq("images/" + kept["model_name"].str.replace("/", "--") + "/" + kept["image_name"]).all()
assert kept["format"].eq("PNG").all() and kept["mode"].isin(["RGB", "L"]).all()
assert kept[["width", "height"]].ge(1).all(axis=None) and kept[["width", "height"]].le(16384).all(axis=None)
assert kept["file_size"].ge(1).all() and kept["nsfw_flag"].eq(False).all()
assert tries.loc[~made, "path"].isna().all()
assert not tries.duplicated(["model_name", "index"]).any() and not tries.duplicated(["model_name", "seed"]).any()
numbers = tries.groupby("model_name")["index"].agg(["min", "max", "count"])
assert numbers["min"].eq(0).all() and numbers["max"].lt(numbers["count"]).all()
pinned = tries[generator].drop_duplicates().merge(catalog, on=generator, how="left", indicator=True)
assert pinned["_merge"].eq("both").all()
asked = tries["model_name"].isin(catalog.loc[catalog["task"] == "text-to-image", "model_name"])
assert tries.loc[asked, ["prompt_id", "prompt"]].notna().all(axis=None)
assert tries["prompt_id"].dropna().isin(prompts["prompt_id"]).all()
assert prompts["prompt_id"].is_unique and catalog["model_name"].is_unique
images = prompts[["real_source", "real_id", "real_sha256"]].drop_duplicates()
assert not images.duplicated(["real_source", "real_id"]).any()
assert catalog["license"].isna().eq(catalog["license_source"] == "none").all()

shared = kept.loc[kept.duplicated("sha256", keep=False), ["sha256", "model_name"]]
also_by = shared.merge(shared, on="sha256", suffixes=("", "_other")).query("model_name != model_name_other")
also_by = also_by.groupby(["sha256", "model_name"])["model_name_other"].agg(sorted).rename("also_by").reset_index()

captions = prompts[[
    "prompt_id", "real_source", "real_title", "real_id", "real_sha256", "caption_origin", "captioner"]]
captions = captions.rename(columns={"real_source": "source_of_prompt"})
fake = kept.drop(columns=["status", "kept"]).merge(catalog, on=generator, how="left")
fake = fake.merge(captions, on="prompt_id", how="left").merge(also_by, on=["sha256", "model_name"], how="left")
assert fake["real_source"].eq(fake["source_of_prompt"]).all()
fake["scheduler"] = fake["scheduler"].replace("", None)
fake = fake.assign(label=1, split="train", has_exif=False, has_icc=False).sort_values(["model_name", "index"])

# There are fewer real images than generated ones, so all are in it, also those that were no prompts.
real = prompts.assign(prompted=prompts["prompt_id"].isin(kept["prompt_id"]))
real = real.sort_values(["prompted", "prompt_id"], ascending=[False, True]).drop_duplicates("real_sha256")
real = real.sort_values(["real_title", "real_id", "real_source"])
real["sha256"], real["image_name"] = real["real_sha256"], real["real_id"].str.replace(r".*/", "", regex=True)
real = real.rename(columns={
    "real_path": "path", "real_format": "format", "real_mode": "mode", "real_width": "width", "real_height": "height",
    **{f"real_{fact}": fact for fact in (
        "file_size", "jpeg_quality", "chroma_subsampling", "progressive", "has_exif", "has_icc")}})
real = real.assign(
    label=0, subset="Real", split="train", architecture="real", license_family="unknown",
    license_family_effective="unknown")

# The manifest.
assert fake[[*generator, "index", "seed"]].notna().all(axis=None)
assert real[["real_source", "real_title", "real_id", "real_sha256"]].notna().all(axis=None)
assert real["sha256"].str.len().eq(64).all() and real["sha256"].eq(real["real_sha256"]).all()
assert fake["subset"].isin(["Systematic", "Manual", "Commercial"]).all()
assert fake["license"].isna().eq(fake["license_source"] == "none").all()
assert not fake.duplicated(["model_name", "index"]).any()
assert not real.duplicated("sha256").any()
assert real["prompted"].eq(real["real_sha256"].isin(fake["real_sha256"])).all()
assert fake["real_sha256"].dropna().isin(real["real_sha256"]).all()
assert not fake.duplicated(["model_name", "sha256"]).any()
assert fake.loc[fake.duplicated("sha256", keep=False), "also_by"].notna().all()
assert fake.groupby("model_name").size().eq(tries.groupby("model_name")["kept"].sum()).all()
test = fake["split"] == "test"
assert not fake.loc[~test, "sha256"].isin(fake.loc[test, "sha256"]).any()

rows = pd.concat([fake, real], ignore_index=True).drop(columns=["prompt_id", "source_of_prompt"])
rows.to_parquet(path, compression="zstd", index=False)
"""

# Not ru_maxrss, which a process inherits from the one that started it.
_PEAK = r"""
import re
print(int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]))
"""

# Independent of the order of rows; what pandas lists it sorts, as we do.
_CONTENT = """
SELECT count(*), count(*) FILTER (label = 1), sum(hash(
    label, image_name, split, model_name, revision, "index", license, lineage, prompt, real_source, real_title,
    real_id, real_sha256, prompted, seed, width::INTEGER, file_size, jpeg_quality::INTEGER, has_exif, sha256, also_by,
    nsfw_score::FLOAT, path)) FROM read_parquet(?)
"""


def run() -> Iterator[Comparison]:
    """The times of both, then the time for ten times the rows against ten times the time. Raises `AssertionError` above
    `MAX_MEMORY`, above `MAX_GROWTH` and `MAX_MORE_MEMORY`, and where the two did not write the same rows."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        sizes = [GENERATORS // 10, GENERATORS]
        workspaces = {generators: _workspace(Path(name), generators) for generators in sizes}
        written = {script: Path(name) / f"{number}.parquet" for number, script in enumerate((_OURS, _THEIRS))}
        peaks: dict[str, list[int]] = {_OURS: [], _THEIRS: []}

        def joined_by(script: str, generators: int = GENERATORS, types: str = "") -> None:
            peaks[script].append(_joined(script, workspaces[generators], written[script], types))

        for types, claim in _TYPES.items():
            theirs = partial(joined_by, _THEIRS, types=types)
            compared = compare(_what(GENERATORS), partial(joined_by, _OURS), theirs, claim, rounds=3)
            content = {_content(path) for path in written.values()}
            assert len(content) == 1, f"the rows differ: {content}"
            memory = f"{max(peaks[_OURS])} MB; pandas, {types}: {max(peaks[_THEIRS])} MB"
            yield replace(compared, what=f"{_what(GENERATORS)} ({memory})")

        seconds: dict[int, float] = {}
        claim = f"ten times the rows in at most {MAX_GROWTH:g} times the time, and in 1 GB"
        if os.environ.get("CF_SOAK"):
            # Of as many generators: a longer catalogue takes memory of its own.
            workspaces[GENERATORS * 10] = _workspace(Path(name), GENERATORS, parts=10)
            claim += f", at most {MAX_MORE_MEMORY:g} times that of {GENERATORS * TRIES:,}"
        usual = max(peaks[_OURS])
        for parts in workspaces:
            start = time.perf_counter()
            joined_by(_OURS, parts)
            seconds[parts] = time.perf_counter() - start
        for (fewer, more), peak in zip(pairwise(seconds), peaks[_OURS][1 - len(seconds) :], strict=True):
            assert seconds[more] <= MAX_GROWTH * seconds[fewer], f"{claim}: {seconds}"
            what = f"{_what(more)} ({peak} MB), and ten times a tenth of them"
            yield Comparison(what, seconds[more], 10 * seconds[fewer], claim)
        assert max(peaks[_OURS]) <= MAX_MORE_MEMORY * usual, f"the join took {peaks[_OURS]} MB"
    assert max(peaks[_OURS]) <= MAX_MEMORY, f"the join took {peaks[_OURS]} MB"


def _what(parts: int) -> str:
    return f"joining and checking {parts * TRIES:,} rows of {parts:,} parts, without files"


def _workspace(folder: Path, generators: int, parts: int = 1) -> Workspace:
    workspace = Workspace.open(folder / f"workspace-{generators}-{parts}")
    write_rows(workspace, generators, parts)
    return workspace


def _joined(script: str, workspace: Workspace, path: Path, types: str) -> int:
    """Run one of both; its peak memory in megabytes."""
    command = [sys.executable, "-c", script + _PEAK, str(workspace.root), str(path), types]
    # Where the Makefile holds torch to one thread, pandas' reader would be held to it, too.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return int(done.stdout) * 1024 // 10**6


def _content(path: Path) -> tuple[int, ...]:
    """How many rows, how many of them generated, and a sum over their values."""
    with duckdb.connect() as connection:
        (content,) = connection.execute(_CONTENT, [str(path)]).fetchall()
    return tuple(content)
