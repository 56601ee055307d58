"""A crawl of a Hub of thousands, against the simplest alternative: the costs for the client.

The alternative is a listing with `full=True`, one `model_info` for each model and its README.md with `hf_hub_download`:
the files and the card, but no licence family, pipeline, scheduler, sizes or base models. Both run in processes of their
own, eight models at a time, on the same Hub. The numbers are smaller than those of a campaign, so that the benchmark
takes two minutes; CF_SOAK=1 uses those of a campaign.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.campaign import build
from benchmarks.timing import Comparison
from localhub.process import HubProcess

REPOSITORIES, RANKED = (20_000, 5_000) if os.environ.get("CF_SOAK") else (5_000, 1_000)
CLAIM_FIRST = "compatibility, licence and settings, too, for at most 1.5 times the CPU"
CLAIM_AGAIN = "at most a fifth of the CPU of requesting everything again"
#: Largest peak of memory of a crawl, in megabytes.
MAX_MEMORY = 500.0
_ALTERNATIVE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from huggingface_hub import HfApi, hf_hub_download

api = HfApi()

def look(model):
    api.model_info(model.id, files_metadata=True)
    with open(hf_hub_download(model.id, "README.md"), encoding="utf-8") as file:
        return len(file.read())

with ThreadPoolExecutor(8) as pool:
    models = list(api.list_models(filter="diffusers", sort="downloads", full=True, limit=int(sys.argv[1])))
    assert len(list(pool.map(look, models))) == int(sys.argv[1])
"""


@dataclass(frozen=True)
class Usage:
    """The CPU time of a process in seconds, and its peak of memory in megabytes."""

    cpu: float
    memory: float


def run() -> Iterator[Comparison]:
    """The client's CPU time of a first and a second crawl; raises `AssertionError` above `MAX_MEMORY`."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        build(folder / "hub", REPOSITORIES)
        with HubProcess(folder / "hub") as hub:
            workspace = ["--workspace", str(folder / "workspace"), "--limit", str(RANKED), "--workers", "8"]
            crawl = [sys.executable, "-m", "crawler.cli", *workspace]
            alternative = [sys.executable, "-c", _ALTERNATIVE, str(RANKED)]
            theirs, ours, again = (
                _measured(command, {**os.environ, **hub.environment(), "HF_HOME": str(folder / "home")})
                for command in (alternative, crawl, crawl)
            )
    assert ours.memory <= MAX_MEMORY, f"a crawl took {ours.memory:.0f} MB"
    what = f"{RANKED:,} of {REPOSITORIES:,} models"
    memory = f"{ours.memory:.0f} MB; theirs {theirs.memory:.0f} MB"
    yield Comparison(f"crawl, {what}: CPU of the client ({memory})", ours.cpu, theirs.cpu, CLAIM_FIRST)
    yield Comparison(f"crawl, {what}: CPU of a second crawl without changes", again.cpu, theirs.cpu, CLAIM_AGAIN)


def _measured(command: list[str], environment: dict[str, str]) -> Usage:
    """Run a command to its end; raises `AssertionError` if it fails."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command[1:3]} ended with {process.returncode}"
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
