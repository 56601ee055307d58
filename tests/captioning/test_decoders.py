"""captioning/decoders.py: images in order whatever their sizes, and a process that ends costs one image at most."""

import ast
import contextlib
import dataclasses
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from captioning.decoders import AHEAD, Decoders, checked_result
from captioning.decoding import Decoded, Job, Unusable, decode, decode_in_process
from captioning.sources.source import RealImage
from captioning.target_size import TargetSize
from tests.captioning.oddities import all_oddities, write
from tests.scale import scaled
from workspace.environment import is_passed_on
from workspace.errors import CommunityForensicsError
from workspace.limited.pool import default_processes
from workspace.limited.process import Limits

SIZE = TargetSize(8, 8, Image.Resampling.BICUBIC)


def job(path: Path, target_size: TargetSize | None = SIZE) -> Job:
    return Job(RealImage(path.name, path), target_size)


@pytest.fixture(scope="module", autouse=True)
def limited_processes_are_forked() -> None:
    """Here they are new interpreters, as users start them."""


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(2) as running:
        yield running


def processes() -> list[psutil.Process]:
    """The decoding processes of this one."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "captioning.decoding_process" in child.cmdline():
                found.append(child)
    return found


def test_results_come_in_order_with_their_keys_whatever_the_sizes(tmp_path: Path, decoders: Decoders) -> None:
    chance, jobs = random.Random(0), []
    for number in range(60):
        path = tmp_path / f"{number}.png"
        side = chance.choice([2, 3, 1200])  # the large ones take a hundred times as long
        Image.new("RGB", (side, side), (number, 0, 0)).save(path)
        jobs.append((number, Unusable("name", str(number)) if number % 7 == 3 else job(path)))
    results = list(decoders.decode(iter(jobs)))
    assert [key for key, _ in results] == list(range(60))
    for number, result in results:
        if number % 7 == 3:
            assert result == Unusable("name", str(number))
        else:
            assert isinstance(result, Decoded)
            assert result.pixels is not None
            assert (result.pixels == [number, 0, 0]).all()


def test_decoding_processes_give_the_same_results_as_this_process(tmp_path: Path, decoders: Decoders) -> None:
    write(tmp_path, all_oddities())
    jobs = [(path.name, job(path, target_size)) for path in sorted(tmp_path.iterdir()) for target_size in (SIZE, None)]
    assert len(jobs) >= 120
    for (name, here), (key, there) in zip(decode_in_process(jobs), decoders.decode(jobs), strict=True):
        assert name == key
        if isinstance(here, Decoded) and here.pixels is not None:
            assert isinstance(there, Decoded)
            assert there.pixels is not None
            assert there.facts == here.facts
            assert np.array_equal(there.pixels, here.pixels)
        else:
            assert there == here


def test_no_more_jobs_are_taken_than_may_wait(tmp_path: Path, decoders: Decoders) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    taken = []

    def jobs() -> Iterator[tuple[int, Job]]:
        for number in range(10_000):
            taken.append(number)
            yield number, job(path)

    results = decoders.decode(jobs())
    for done in range(1, 50):
        next(results)
        assert len(taken) < done + AHEAD * 2
    results.close()
    assert [key for key, _ in decoders.decode([(1, job(path))])] == [1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_processes_killed_by_accident_change_no_result(
    tmp_path: Path, decoders: Decoders, number: signal.Signals
) -> None:
    # An image with which two processes ended is broken: what one kill meets is done before the next one.
    images, between = 50, 15
    assert between > AHEAD * 2
    for level in range(images):
        Image.new("RGB", (300, 300), (level, 0, 0)).save(tmp_path / f"{level:02d}.png")
    jobs = [(path.name, job(path)) for path in sorted(tmp_path.iterdir())]
    killed, seen = 0, []
    for key, result in decoders.decode(jobs):
        assert isinstance(result, Decoded)
        assert result.pixels is not None
        seen.append((key, int(result.pixels[0, 0, 0])))
        if len(seen) % between == 5:
            for process in processes()[:1]:
                process.send_signal(number)
                killed += 1
    assert killed == 4
    assert seen == [(f"{level:02d}.png", level) for level in range(images)]


def test_an_image_that_ends_every_process_is_broken_and_costs_no_other(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(8)]
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    deadly = names[3]
    jobs = [(name, job(tmp_path / name, TargetSize(13, 13, 0) if name == deadly else SIZE)) for name in names]
    with Decoders(2, module="tests.captioning.deadly_decoder") as decoders:
        results = dict(decoders.decode(jobs))
    assert results.pop(deadly) == Unusable("broken", "the process that decodes it was killed by signal 11")
    assert all(isinstance(result, Decoded) for result in results.values())


def test_the_memory_of_a_process_is_limited(tmp_path: Path, decoders: Decoders) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    ((_, result), (_, after)) = decoders.decode([(0, job(path, TargetSize(40_000, 40_000, 0))), (1, job(path))])
    assert result == Unusable("broken", "decoding it takes too much memory")
    assert isinstance(after, Decoded)


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, is repeated: each takes as long as a whole image."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    scan = content[content.rindex(b"\xff\xc4", 0, content.rindex(b"\xff\xda")) : -2]
    return content[:-2] + scan * scans + b"\xff\xd9"


@pytest.mark.attack
def test_an_image_that_takes_too_long_is_broken_and_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_of_many_scans(3000, 3000))
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png")
    assert (tmp_path / "a.jpg").stat().st_size < 200_000
    with Decoders(1, Limits(processor=0.5)) as decoders:
        results = list(decoders.decode([(name, job(tmp_path / name)) for name in ("a.jpg", "b.png")]))
    assert results[0] == (
        "a.jpg",
        Unusable("broken", "the process that decodes it took more than 0.5 seconds of processor time"),
    )
    assert isinstance(results[1][1], Decoded)


@pytest.mark.attack
def test_code_in_a_decoder_reaches_no_file_no_network_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    token = tmp_path / "token"
    token.write_text("hf_secret")
    for name in ("HF_TOKEN", "GITHUB_PAT", "DATABASE_URL", "MYSQL_PWD", "AWS_PROFILE", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "secret")
    probe = Job(RealImage("a.png", tmp_path / "a.png"), None)
    with Decoders(1, module="tests.captioning.probing_decoder") as decoders:
        # The suffix of the name is what the process is told: here the path of the token.
        monkeypatch.setattr("captioning.decoders.PurePath", lambda _: SimpleNamespace(suffix=f".{token}"))
        ((_, result),) = decoders.decode([(0, probe)])
    assert isinstance(result, Unusable)
    allowed, _, environment = result.detail.partition("] [")
    assert allowed == "["
    names = set(ast.literal_eval(f"[{environment}"))
    assert not names & {"HF_TOKEN", "GITHUB_PAT", "DATABASE_URL", "MYSQL_PWD", "AWS_PROFILE", "SSH_AUTH_SOCK"}
    ours = {"HOME", "TMPDIR", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DIFFUSERS_OFFLINE"}
    ours |= {"HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "DISABLE_SAFETENSORS_CONVERSION"}
    ours |= {"TRANSFORMERS_VERBOSITY", "TOKENIZERS_PARALLELISM"}
    assert {name for name in names if not is_passed_on(name)} <= ours


@pytest.mark.attack
def test_a_link_out_of_the_source_is_not_decoded_and_a_pipe_is_not_waited_for(
    tmp_path: Path, decoders: Decoders
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "private.png")
    (source / "a.png").symlink_to("../private.png")
    os.mkfifo(source / "b.png")
    with (source / "c.png").open("wb") as file:
        file.truncate(2 << 30)  # a file of holes: reading it would take seconds
    jobs = [(name, Job(RealImage(name, source / name, within=source), None)) for name in ("a.png", "b.png", "c.png")]
    reasons = [result.reason for _, result in decoders.decode(jobs) if isinstance(result, Unusable)]
    assert reasons == ["outside", "not-a-file", "too-large"]


COMPRESSION: dict[str, Any] = {
    "jpeg_quality": 75,
    "chroma_subsampling": "4:2:0",
    "progressive": False,
    "has_exif": False,
    "has_icc": True,
}
FACTS: dict[str, Any] = {
    "sha256": "0" * 64,
    "format": "JPEG",
    "mode": "RGB",
    "width": 1,
    "height": 1,
    "file_size": 300,
    "compression": COMPRESSION,
}


@pytest.mark.attack
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"unusable": {"reason": "funny", "detail": "x"}},
        {"unusable": {"reason": "broken", "detail": 7}},
        {"unusable": []},
        {"facts": FACTS | {"sha256": "x"}, "shape": None},
        {"facts": FACTS | {"format": "EXE"}, "shape": None},
        {"facts": FACTS | {"width": -1}, "shape": None},
        {"facts": FACTS | {"file_size": 0}, "shape": None},
        {"facts": FACTS | {"file_size": True}, "shape": None},
        {"facts": FACTS | {"compression": COMPRESSION | {"jpeg_quality": 101}}, "shape": None},
        {"facts": FACTS | {"compression": COMPRESSION | {"chroma_subsampling": "=1+1"}}, "shape": None},
        {"facts": FACTS | {"compression": COMPRESSION | {"progressive": "yes"}}, "shape": None},
        {"facts": FACTS | {"compression": COMPRESSION | {"has_icc": None}}, "shape": None},
        {"facts": FACTS | {"compression": []}, "shape": None},
        {"facts": FACTS, "shape": [9, 9, 3]},
        {"facts": FACTS, "shape": [0, 0, 3]},
        {"facts": 3},
    ],
)
def test_an_answer_that_makes_no_sense_is_none(answer: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        checked_result(answer, b"xxx")


def test_an_answer_of_the_right_form_is_taken() -> None:
    result = checked_result({"facts": FACTS, "shape": [1, 1, 3]}, b"xxx")
    assert isinstance(result, Decoded)
    assert dataclasses.asdict(result.facts) == FACTS


PARENT = """
import sys, time
from pathlib import Path
from captioning.decoders import Decoders
from captioning.decoding import Job
from captioning.sources.source import RealImage

with Decoders(2) as decoders:
    jobs = ((number, Job(RealImage("a", Path(sys.argv[1])), None)) for number in range(100_000))
    for number, _ in decoders.decode(jobs):
        if number == 20:
            print("working", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_processes_do_not_outlive_the_one_that_started_them(tmp_path: Path, number: signal.Signals) -> None:
    Image.new("RGB", (400, 400)).save(tmp_path / "a.png")
    environment = {**os.environ, "HF_TOKEN": "hf_secret"}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "a.png")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "working\n"
            children = psutil.Process(parent.pid).children()
            assert len(children) == 2
            assert not any("HF_TOKEN" in child.environ() for child in children)
            parent.send_signal(number)
            parent.wait(timeout=20)
        finally:
            parent.kill()
    deadline = time.monotonic() + 20
    while any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_processes_that_do_not_start_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Decoders(1) as decoders, pytest.raises(CommunityForensicsError, match="did not start: it ended with exit"):
        list(decoders.decode([(0, job(tmp_path / "a.png"))]))


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, decoders: Decoders) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 50).save(path)
    target_size = TargetSize(384, 384, Image.Resampling.NEAREST)  # 442 kB each

    def resident() -> int:
        return sum(process.memory_info().rss for process in [psutil.Process(), *processes()])

    count, before = scaled(600, 100_000), 0
    for number, _ in decoders.decode((number, job(path, target_size)) for number in range(count)):
        if number == 200:
            before = resident()
    assert resident() - before < 100e6


def test_there_is_a_process_for_each_core_up_to_a_limit() -> None:
    assert 1 <= default_processes() <= 16


def test_an_image_with_a_caption_is_still_decoded_completely(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((640, 480), 50).save(path)
    assert isinstance(decode(job(path, None)), Decoded)
    path.write_bytes(path.read_bytes()[:-2000])
    assert decode(job(path, None)) == decode(job(path)) != decode(job(tmp_path / "absent.jpg"))
