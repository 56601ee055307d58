"""The time that a dry run with `--calibrate` foretells, and the time that the run then takes.

All generators of the demo's zoo that can be sampled: three of them are measured with one batch each, before there is a
prompt. The estimate covers what it says it covers: loading, sampling, decoding and checking.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import community_forensics as cf
from benchmarks.finetunes import write_prompts
from benchmarks.timing import Comparison
from demo.zoo.building import fill
from localhub.process import HubProcess
from samplers.outcomes import BUSY


def run() -> Iterator[Comparison]:
    """The estimate against the run; also says whether the run was in the estimate's range."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        fill(folder / "hub")
        workspace = cf.Workspace.open(folder / "workspace")
        with HubProcess(folder / "hub") as hub:
            cf.crawl(workspace, cf.CrawlOptions(endpoint=hub.endpoint))
            options = cf.SampleOptions(images=16, device="cpu", endpoint=hub.endpoint, weights_dir=folder / "weights")
            estimate = cf.forecast(workspace, options, calibrate=True)
            write_prompts(workspace)
            outcomes = [outcome for outcome in cf.sample(workspace, options).outcomes if not outcome.failed]
    seconds = sum(value for outcome in outcomes for phase, value in outcome.seconds.items() if phase in {*BUSY, "load"})
    low, high = estimate.seconds.low, estimate.seconds.high
    where = "inside" if low < seconds < high else "outside"
    what = f"time of {len(outcomes)} generators, estimated from 3 (range {low:.0f} to {high:.0f} s: {where})"
    yield Comparison(what, estimate.seconds.middle, seconds, "inside in 8 of 10 runs")
