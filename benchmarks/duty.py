"""The share of the time in which a device samples, while its generators are downloaded over a slow line.

Two dozen fine-tunes that share all files but their UNet are downloaded over a line on which a UNet takes as long as its
images. Three ways in one run, each a process on one thread: ours; a plain loop (download the repository, load, sample,
save); and the limit, with all pipelines in memory and nothing but calls of pipelines. Ours is measured from the start
of `cf-sample` to its end, with imports and the first download; the other two without their imports.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.finetunes import BATCH, GENERATORS, IMAGES, build, name_of, write_prompts
from benchmarks.timing import Comparison
from crawler.catalog import read_catalog
from localhub.process import HubProcess
from samplers.outcomes import read_outcome
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from samplers.sample import read_samples
from workspace.layout import Workspace

#: Share of the wall time, after the first generator, in which the child samples, decodes or checks.
MIN_DUTY = 0.90
_AT_WORK = ("sample", "decode", "check")


def run() -> Iterator[Comparison]:
    """Ours against the plain loop and against the limit; raises `AssertionError` below `MIN_DUTY`, and if any file was
    downloaded twice."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        build(folder / "hub")
        workspace = Workspace.open(folder / "workspace")
        write_prompts(workspace)
        with HubProcess(folder / "hub") as hub:
            environment = {**os.environ, **hub.environment(), "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
            run_python(["-m", "crawler.cli", "--workspace", str(workspace.root)], environment)
            _download_all(hub, folder / "all")
            limit = run_python(
                ["-m", "benchmarks.sampling_limit", str(workspace.root), str(folder / "all")], environment
            )
            own = _own_bytes(workspace)
            hub.fail("throttle", path=r"/resolve/", bytes_per_second=own / (limit["seconds"] / GENERATORS))
            hub.clear_requests()
            sample = [
                "-c",
                "from samplers.cli import main; main()",
                "--workspace",
                str(workspace.root),
                "--device",
                "cpu",
            ]
            sample += ["--images", str(IMAGES), "--batch-size", str(BATCH), "--weights-dir", str(folder / "weights")]
            started = time.perf_counter()
            run_python(sample, environment)
            ours = time.perf_counter() - started
            fetched = _fetches(hub)
            plain = run_python(["-m", "benchmarks.plain_loop", str(folder / "plain")], environment)
        _check(workspace, limit["first"], fetched)
        duty = _duty(workspace)
    assert duty >= MIN_DUTY, f"the device worked {duty:.0%} of the time"
    what = f"{GENERATORS} fine-tunes of {IMAGES} images over a line as slow as sampling (duty {duty:.1%})"
    yield Comparison(f"{what}: a plain loop", ours, plain["seconds"], "at least 2 times as fast")
    yield Comparison(f"{what}: all pipelines in memory", ours, limit["seconds"], "at least 0.91: 1.10 of the limit")


def recipe(prompts: PromptPool) -> Recipe:
    """The recipe of `run`."""
    return Recipe(
        images=IMAGES,
        batch_size=BATCH,
        max_tries=2 * IMAGES,
        seed=0,
        steps=None,
        safety_checker="",
        prompts=prompts.digest,
    )


def run_python(arguments: list[str], environment: dict[str, str]) -> Any:
    """Run a Python process; returns its last line of output, if that is JSON. Raises `AssertionError` if it fails."""
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}"
    last = done.stdout.strip().splitlines()[-1:]
    return json.loads(last[0]) if last and last[0].startswith("{") else None


def _download_all(hub: HubProcess, folder: Path) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    api = HfApi(endpoint=hub.endpoint, token=False)
    for number in range(GENERATORS):
        api.snapshot_download(name_of(number), local_dir=folder / name_of(number), ignore_patterns=["*.bin"])


def _own_bytes(workspace: Workspace) -> int:
    """Bytes of the first generator's files that no other generator has."""
    entries = [entry for entry in read_catalog(workspace) if entry.status == "compatible"]
    assert len(entries) == GENERATORS
    shared = Counter(file.sha256 for entry in entries for file in entry.files)
    return sum(file.size for file in entries[0].files if file.sha256 and shared[file.sha256] == 1)


def _fetches(hub: HubProcess) -> Counter[str]:
    """How often each file was downloaded, by repository and path."""
    downloads = [row for row in hub.requests() if row["method"] == "GET" and "/resolve/" in row["path"]]
    return Counter(str(row["path"]) for row in downloads)


def _check(workspace: Workspace, first: dict[str, str], fetched: Counter[str]) -> None:
    """All images were sampled, they equal those of the limit's run, and no content was downloaded twice."""
    contents: Counter[str] = Counter()
    for entry in read_catalog(workspace):
        if entry.status != "compatible":
            continue
        rows = read_samples(workspace, entry.model_name)
        assert len([row for row in rows if row.status == "ok"]) == IMAGES, entry.model_name
        assert rows[0].sha256 == first[entry.model_name], f"{entry.model_name}: another image than in the limit's run"
        for file in entry.files:
            path = f"/{entry.model_name}/resolve/{entry.revision}/{file.path}"
            contents[file.sha256 or str(file.git_oid)] += fetched[path]
    assert set(contents.values()) == {1}, contents


def _duty(workspace: Workspace) -> float:
    log = next(workspace.logs.glob("sample-*.jsonl")).read_text(encoding="utf-8").splitlines()
    ended = [event for event in map(json.loads, log) if event["event"] == "generator_ended"]
    assert len(ended) == GENERATORS
    times = [datetime.fromisoformat(event["time"]) for event in ended]
    seconds = 0.0
    for event in ended[1:]:
        outcome = read_outcome(workspace, event["model_name"])
        assert outcome is not None
        seconds += sum(outcome.seconds.get(phase, 0.0) for phase in _AT_WORK)
    return seconds / (times[-1] - times[0]).total_seconds()
