"""`make demo`: all stages, with the same results after any interrupts."""

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo.__main__ import zoo_version
from tests.browser import look
from tests.demo.test_zoo import MAGENTA, OVERTRAINED, SAMPLEABLE
from tests.scale import SOAK, scaled
from tests.zoo import copy_zoo
from workspace.layout import generator_folder

#: Images of each generator: a batch, and two with `make soak`; the demo itself makes four batches.
IMAGES = scaled(4, 8)


def demo_command(directory: Path) -> list[str]:
    """Without its detectors, which have tests of their own (`tests/demo/test_detecting.py`)."""
    return [sys.executable, "-m", "demo", "--directory", str(directory), "--images", str(IMAGES), "--no-detect"]


def environment() -> dict[str, str]:
    """`cf-sample` gets the imports of its sampling processes from the tests, unless large numbers are asked for."""
    return {**os.environ, "CF_TESTS_LENT": scaled("1", "")}


@dataclass(frozen=True)
class Run:
    """A demo that ran to its end, and what it printed."""

    root: Path
    output: str

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"


def finish(directory: Path) -> Run:
    command = demo_command(directory)
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (root,) = (path for path in directory.iterdir() if path.is_dir())
    return Run(root, ended.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all demos of these tests, one after the other: paths are part of some rows."""
    return tmp_path_factory.mktemp("demo") / "run"


def number(output: str, label: str) -> int:
    match = re.search(rf"{re.escape(label)}\s*│?\s*(\d+)", output)
    assert match, f"{label!r} is not in the table:\n{output}"
    return int(match[1])


@pytest.mark.timeout(900)
def test_it_makes_images_of_30_generators_and_counts_the_rejected(finished: Run) -> None:
    output = finished.output
    images = list((finished.workspace / "images").glob("*/*.png"))
    assert len(images) >= 30 * IMAGES
    assert len({path.parent for path in images}) >= 30
    assert number(output, "sampled") == len({path.parent for path in images})
    assert number(output, "images kept") == len(images)
    assert number(output, "generators found") > number(output, "compatible") >= number(output, "sampled")
    # The zoo has one generator with images that the checker flags and one that gives only NaN.
    assert number(output, "rejected: nsfw") > 0
    assert number(output, "rejected: nan") > 0
    assert number(output, "rows published in Systematic") <= len(images)


def test_its_contact_sheet_opens_in_a_browser_and_shows_every_generator(finished: Run, tmp_path: Path) -> None:
    printed = re.search(r"^Report, .*: file://(\S+/report/index\.html)", finished.output, re.MULTILINE)
    assert printed
    report = look(finished.workspace / "report" / "index.html", tmp_path)
    assert report["images"] == report["decoded"] >= IMAGES * number(finished.output, "sampled")
    assert (report["requests"], report["overflow"], report["console"]) == (0, False, [])


def test_every_generator_of_the_zoo_draws_pictures_that_differ(finished: Run) -> None:
    folders = {path.name: path for path in (finished.workspace / "images").iterdir()}
    assert {generator_folder(name) for name in SAMPLEABLE if name != OVERTRAINED} <= folders.keys()
    for name, folder in folders.items():
        drawn = np.stack([np.asarray(Image.open(path)) / 255 for path in sorted(folder.iterdir())[:2]])
        assert drawn.reshape(2, -1).std(axis=1).min() > 0.04, name
        assert np.abs(drawn[0] - drawn[1]).mean() > 0.01, name


def test_the_checker_flags_images_of_one_generator_only(finished: Run) -> None:
    rejected = {
        (part.parent.name, status)
        for part in (finished.workspace / "samples").glob("*/*.parquet")
        for status in pq.ParquetFile(part).read(columns=["status"]).column("status").to_pylist()
        if status != "ok"
    }
    assert rejected == {(generator_folder(MAGENTA), "nsfw"), (generator_folder(OVERTRAINED), "nan")}


def test_no_rejected_image_is_on_the_disk(finished: Run) -> None:
    for part in (finished.workspace / "samples").glob("*/*.parquet"):
        rows = pq.ParquetFile(part).read(columns=["index", "status"]).to_pylist()
        folder = finished.workspace / "images" / part.parent.name
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
    command, pipe = demo_command(directory), subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True
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


#: The one after which the demo of `make test` goes on: when the first prompts are there, before sampling has imported
#: what takes longest. `make soak` interrupts anywhere; the stages have tests of their own.
MOMENT = scaled(MOMENTS[2], MOMENTS[3])


@pytest.fixture(scope="module")
def interrupted(place: Path) -> dict[Path, int]:
    """A demo that was interrupted, in its folder; what `made` found then. The zoo is on its Hub already."""
    copy_zoo(place / zoo_version() / "hub")
    assert interrupt(place, MOMENT)
    return made(place)


@pytest.fixture(scope="module")
def finished(interrupted: dict[Path, int], place: Path) -> Run:
    """The same demo, continued to its end."""
    return finish(place)


def test_what_was_finished_before_an_interrupt_is_not_made_again(
    interrupted: dict[Path, int], finished: Run, place: Path
) -> None:
    assert len(interrupted) >= MOMENT.count
    assert made(place).items() >= interrupted.items()
    assert not list(finished.root.rglob("*.partial"))


@pytest.mark.skipif(not SOAK, reason="two demos more; that a stage ends with the same files is tested in its room")
@pytest.mark.timeout(7200)
def test_interrupted_anywhere_it_ends_with_the_same_files(finished: Run, place: Path) -> None:
    # In the same place, for paths are part of some rows.
    kept = place.with_name("kept")
    place.rename(kept)
    assert interrupt(place, MOMENTS[0])
    # A zoo that is built after an interrupt has a test of its own.
    copy_zoo(place / zoo_version() / "hub")
    chance = random.Random(2026)
    moments = [Moment(chance.choice(MOMENTS).line, delay=chance.uniform(0.0, 40.0)) for _ in range(40)]
    assert sum(interrupt(place, moment) for moment in moments) >= len(moments) // 2
    assert results(finish(place).workspace) == results(kept / finished.root.name / "workspace")
    assert not list(place.rglob("*.partial"))
