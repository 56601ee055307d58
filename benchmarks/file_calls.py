"""How often sampling calls the file system that has the workspace: what a file server of many workers has to serve.

`cf-sample` runs under strace (`apt-get install strace`), with tiny generators and 400 images of each, once for each way
to store images. Every system call of any of its processes that names a path in the workspace, or a descriptor of one,
counts: also reading, writing, and looking for what is not there. Then the same of one more look of `cf-status --watch`
at a workspace in which nothing has changed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Comparison
from demo.zoo import safety
from demo.zoo.building import put, quiet_libraries
from demo.zoo.repository import Repository, generator, seeded
from demo.zoo.unconditional import ddim
from localhub.process import HubProcess
from localhub.store import Store
from workspace.layout import Workspace

#: Generators, and images of each.
GENERATORS, IMAGES = 5, 400
#: Calls an image at most, everything included: the start and the end of the run, claims, outcomes and logs.
MOST = {"files": 5.0, "parquet": 0.5}
#: Calls of another look at a workspace in which nothing has changed.
MOST_A_LOOK = 40
_LOOK = """
import sys, time
from pathlib import Path
from samplers.status.run import Watcher
from workspace.layout import Workspace
for root in map(Path, sys.argv[1:]):
    watcher = Watcher(Workspace(root))
    watcher.look(time.time())
    (root / "between-two-looks").exists()
    watcher.look(time.time())
"""
_CARD = "---\nlicense: mit\n---\n# Pixels\n\n```python\npipe(num_inference_steps=2)\n```\n"
#: A line of strace's output: process, call, and what it was given.
_CALL = re.compile(rb"^(\d+)\s+(\w+)\(")


def run() -> Iterator[Comparison]:
    """Count the calls of both stores; raises `AssertionError` above `MOST`."""
    if shutil.which("strace") is None:
        print("file_calls: strace is not installed (apt-get install strace); nothing is counted")
        return
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        folder = Path(name)
        with quiet_libraries():
            for repository in (*safety.repositories(), *map(_generator, range(GENERATORS))):
                put(Store(folder / "hub"), repository)
        with HubProcess(folder / "hub") as hub:
            environment = {**os.environ, **hub.environment(), "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
            for store, most in MOST.items():
                workspace = Workspace.open(folder / store)
                crawl = [sys.executable, "-m", "crawler.cli", "--workspace", str(workspace.root)]
                subprocess.run(crawl, env=environment, capture_output=True, check=True)
                sample = [sys.executable, "-c", "from samplers.cli import main; main()", "--store", store]
                sample += ["--workspace", str(workspace.root), "--images", str(IMAGES), "--device", "cpu"]
                calls = count_calls([*sample, "--weights-dir", str(folder / "weights")], workspace.root, environment)
                each = calls.total() / (GENERATORS * IMAGES)
                print(f"--store {store}: {each:.2f} calls an image; {dict(calls.most_common(12))}")
                assert each <= most, f"--store {store}: {each:.2f} calls an image, more than {most}"
                yield Comparison(f"--store {store}: calls an image, of those allowed", each, most, f"at most {most}")
                look = count_calls_of_a_look([workspace.root], environment)[0].total()
                print(f"--store {store}: {look} calls of another look at it")
                assert look <= MOST_A_LOOK, f"{look} calls of a look at what has not changed, more than {MOST_A_LOOK}"
                what = f"{GENERATORS} generators in {store}: calls of another look, of those allowed"
                yield Comparison(what, look, MOST_A_LOOK, f"at most {MOST_A_LOOK}, however many images there are")


def count_calls(command: list[str], root: Path, environment: Mapping[str, str]) -> Counter[str]:
    """Run a command under strace; the calls that name a path below `root` or a descriptor of one, by name. Raises
    `AssertionError` where the command fails."""
    return calls_in(_traced(command, environment), root)


def count_calls_of_a_look(roots: Sequence[Path], environment: Mapping[str, str]) -> list[Counter[str]]:
    """The calls of a second look of `cf-status --watch` at each workspace, in which nothing changes."""
    lines = _traced([sys.executable, "-c", _LOOK, *map(str, roots)], environment)
    found = []
    for root in roots:
        between = os.fsencode(root / "between-two-looks")
        (first,) = [number for number, line in enumerate(lines) if between in line and b"execve" not in line]
        found.append(calls_in(lines[first + 1 :], root))
    return found


def _traced(command: list[str], environment: Mapping[str, str]) -> list[bytes]:
    """What strace writes about a command."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        traced = ["strace", "-f", "-qq", "-y", "--seccomp-bpf", "-s", "4096", "-e", "trace=%file,%desc", "-o", str(log)]
        done = subprocess.run([*traced, *command], env=dict(environment), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return log.read_bytes().splitlines()


def calls_in(lines: Iterable[bytes], root: Path) -> Counter[str]:
    """The calls in the output of strace that concern `root` or what is below it."""
    concerns = re.compile(re.escape(os.fsencode(root)) + rb'(?=[/">])')
    found: Counter[str] = Counter()
    for line in lines:
        # The second half of a call that another one interrupted begins with dots.
        if (call := _CALL.match(line)) is not None and concerns.search(line):
            found[call[2].decode()] += 1
    return found


def _generator(number: int) -> Repository:
    name = f"bench/pixels-{number:02}"

    def make() -> Any:
        with seeded(name):
            return ddim()

    return generator(name, make, _CARD, downloads=1000 - number)


if __name__ == "__main__":
    for _ in run():
        pass
