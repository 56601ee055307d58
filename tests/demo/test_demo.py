"""`make demo`: all stages, with the same results after any interrupts."""

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from demo.__main__ import zoo_version
from tests.browser import look
from tests.scale import SOAK, scaled
from tests.zoo import copy_zoo

#: Images of each generator: two batches; the demo itself makes four.
IMAGES = 8


def demo_command(directory: Path) -> list[str]:
    return [sys.executable, "-m", "demo", "--directory", str(directory), "--images", str(IMAGES)]


@dataclass(frozen=True)
class Run:
    """A demo that ran to its end, and what it printed."""

    root: Path
    output: str

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"


def finish(directory: Path) -> Run:
    ended = subprocess.run(demo_command(directory), capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (root,) = (path for path in directory.iterdir() if path.is_dir())
    return Run(root, ended.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all demos of these tests, one after the other: paths are part of some rows."""
    return tmp_path_factory.mktemp("demo") / "run"


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Run:
    """A demo without interrupts. The zoo is on its Hub already; the interrupted demo below begins to build its own."""
    copy_zoo(place / zoo_version() / "hub")
    run = finish(place)
    kept = place.with_name("undisturbed")
    place.rename(kept)
    return Run(kept / run.root.name, run.output)


def number(output: str, label: str) -> int:
    match = re.search(rf"{re.escape(label)}\s*│?\s*(\d+)", output)
    assert match, f"{label!r} is not in the table:\n{output}"
    return int(match[1])


@pytest.mark.timeout(900)
def test_it_makes_300_images_of_20_generators_and_counts_the_rejected(undisturbed: Run) -> None:
    output = undisturbed.output
    images = list((undisturbed.workspace / "images").glob("*/*.png"))
    assert len(images) >= 300
    assert len({path.parent for path in images}) >= 20
    assert number(output, "sampled") == len({path.parent for path in images})
    assert number(output, "images kept") == len(images)
    assert number(output, "generators found") > number(output, "compatible") >= number(output, "sampled")
    # The zoo has one generator with images that the checker flags and one that gives only NaN.
    assert number(output, "rejected: nsfw") > 0
    assert number(output, "rejected: nan") > 0
    assert number(output, "rows published in Systematic") <= len(images)


def test_its_contact_sheet_opens_in_a_browser_and_shows_every_generator(undisturbed: Run, tmp_path: Path) -> None:
    printed = re.search(r"^Report, .*: file://(\S+/report/index\.html)", undisturbed.output, re.MULTILINE)
    assert printed
    # The run has been moved since.
    report = look(undisturbed.workspace / "report" / "index.html", tmp_path)
    assert report["images"] == report["decoded"] >= 6 * number(undisturbed.output, "sampled")
    assert (report["requests"], report["overflow"], report["console"]) == (0, False, [])


def test_no_rejected_image_is_on_the_disk(undisturbed: Run) -> None:
    for part in (undisturbed.workspace / "samples").glob("*/*.parquet"):
        rows = pq.ParquetFile(part).read(columns=["index", "status"]).to_pylist()
        folder = undisturbed.workspace / "images" / part.parent.name
        for row in rows:
            assert (folder / f"{row['index']:08d}.png").exists() == (row["status"] == "ok")


def made(directory: Path) -> dict[Path, int]:
    """When each file of the prompts, samples and images was written."""
    folders = ("prompts", "samples", "images")
    files = [path for folder in folders for path in directory.glob(f"*/workspace/{folder}/*/*.p*")]
    return {path: path.stat().st_mtime_ns for path in files}


def results(workspace: Path) -> dict[str, str]:
    """The hash of every file of the result. The catalogue has the time of the crawl, so it is not compared."""
    folders = ("images", "samples", "prompts", "manifest")
    files = [path for folder in folders for path in (workspace / folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(workspace)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@dataclass(frozen=True)
class Moment:
    """When to interrupt: `delay` seconds after the demo printed `line` and, below its folder, `count` files exist."""

    line: str
    delay: float = 0.0
    pattern: str = ""
    count: int = 0

    def has_come(self, directory: Path) -> bool:
        return not self.pattern or sum(1 for _ in directory.glob(self.pattern)) >= self.count


def interrupt(directory: Path, moment: Moment) -> bool:
    """Start the demo and press Ctrl-C at a moment; False when it ended before."""
    printed: list[str] = []
    with subprocess.Popen(
        demo_command(directory), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if moment.line in line:
                break
        # The output must be read, or a full pipe stops the demo before the interrupt does.
        reader = threading.Thread(target=printed.extend, args=(process.stdout,))
        reader.start()
        while process.poll() is None and not moment.has_come(directory):
            time.sleep(0.05)
        time.sleep(moment.delay)
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        reader.join()
    output = "".join(printed)
    assert process.returncode in ((130,) if alive else (0, 130)), output
    assert "Traceback" not in output, output
    return alive


MOMENTS = (
    Moment("The embedded Hub", pattern="*/hub/models/*/*/repo.json", count=2),
    Moment("$ cf-crawl", delay=1.5),
    Moment("$ cf-caption", pattern="*/workspace/prompts/*/part-*.parquet", count=1),
    Moment("$ cf-sample", pattern="*/workspace/samples/*/part-*.parquet", count=12),
    Moment("$ cf-build-manifest", delay=1.0),
    Moment("$ cf-publish", delay=0.7),
)


@dataclass(frozen=True)
class Continued:
    """A demo that was interrupted several times, and then ran to its end."""

    run: Run
    moments: int
    interrupted: int
    before: dict[Path, int]
    """What `made` found before the last run, which came after sampling had ended."""


@pytest.fixture(scope="module")
def continued(undisturbed: Run, place: Path) -> Iterator[Continued]:
    # A crawl, captioning and publishing that are interrupted have tests of their own.
    chosen = ("The embedded Hub", "$ cf-sample", "$ cf-build-manifest")
    moments = [moment for moment in MOMENTS if moment.line in chosen]
    if SOAK:
        chance = random.Random(2026)
        moments = [Moment(chance.choice(MOMENTS).line, delay=chance.uniform(0.0, 40.0)) for _ in range(40)]
    interrupted = int(interrupt(place, moments[0]))
    # A zoo that is built after an interrupt has a test of its own.
    copy_zoo(place / zoo_version() / "hub")
    interrupted += sum(interrupt(place, moment) for moment in moments[1:])
    before = made(place)
    yield Continued(finish(place), len(moments), interrupted, before)
    shutil.rmtree(place)


@pytest.mark.timeout(scaled(900, 7200))
def test_interrupted_anywhere_it_ends_with_the_same_files(undisturbed: Run, continued: Continued) -> None:
    assert continued.interrupted >= continued.moments // 2
    assert results(continued.run.workspace) == results(undisturbed.workspace)
    assert not list(continued.run.root.rglob("*.partial"))


@pytest.mark.skipif(SOAK, reason="the last interrupt may come before the end of sampling")
def test_another_run_skips_finished_work(undisturbed: Run, continued: Continued, place: Path) -> None:
    assert continued.before
    assert made(place) == continued.before
    assert number(continued.run.output, "images kept") == number(undisturbed.output, "images kept")
