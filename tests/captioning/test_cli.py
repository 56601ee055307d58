"""cf-caption as people run it: child processes, kills, shards, a Hub."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from captioning.prompt import Prompt, read_prompts
from captioning.skipped import Skipped, skipped_parts
from demo.zoo import captioner
from demo.zoo.building import put
from demo.zoo.captioner.captions import PHOTOGRAPHS
from localhub.process import HubProcess
from localhub.store import Store
from tests.captioning.oddities import all_oddities, write
from tests.scale import scaled
from workspace import records
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

BROKEN = {name: oddity for name, oddity in all_oddities().items() if oddity.reason is not None}

COMMAND = [sys.executable, "-c", "from captioning.cli import main; main()"]


def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    process = start(*arguments, **environment)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def small_parts(source: Path, workspace: Path) -> list[object]:
    """Arguments for parts of five images, so that there are many."""
    return ["--source", f"x={source}", "--workspace", workspace, "--part-size", 5, "--captioner", captioner.REPOSITORY]


def prompts_of(workspace: Path) -> dict[str, bytes]:
    """Every finished file below prompts/, by name."""
    root = workspace / "prompts"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*.parquet")
        if not path.name.startswith(".")
    }


def test_the_demos_two_sources_are_captioned_with_the_default_captioner_from_a_hub(
    tmp_path: Path, digits: Path, photos: Path
) -> None:
    put(Store(tmp_path / "hub"), captioner.repositories()[0])
    with HubProcess(tmp_path / "hub") as hub:
        environment = {**hub.environment(), "HF_HOME": str(tmp_path / "home"), "CF_WORKSPACE": str(tmp_path / "ws")}
        ended = run("--source", f"digits={digits}", "--source", f"photos={photos}", **environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "digits: 200 prompts from 200 images (200 with captions of their own, 0 captioned)\n"
        "photos: 16 prompts from 16 images (0 with captions of their own, 16 captioned)\n"
    )
    prompts = read_prompts(Workspace.open(tmp_path / "ws"))
    assert len({prompt.prompt_id for prompt in prompts}) == 216
    generated = [prompt for prompt in prompts if prompt.real_source == "photos"]
    assert {prompt.real_id: prompt.prompt for prompt in generated} == PHOTOGRAPHS
    assert {prompt.captioner for prompt in generated} == {f"{captioner.REPO_ID}@{captioner.COMMIT_ID}"}
    assert {prompt.caption_origin for prompt in generated} == {"blip"}
    assert {prompt.real_sha256 for prompt in prompts} == {
        sha256_of_file(path)
        for folder in (digits, photos)
        for path in folder.iterdir()
        if path.suffix in (".png", ".jpg")
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, digits: Path, photos: Path) -> Path:
    """200 scans with captions of their own, and between them photographs without and broken files."""
    root = Path(shutil.copytree(digits, tmp_path_factory.mktemp("mixed") / "real"))
    shutil.copytree(photos, root / "digit-0030-photographs")
    write(root / "digit-0050-broken", BROKEN)
    return root


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, mixed: Path) -> Path:
    workspace = tmp_path_factory.mktemp("undisturbed")
    ended = run(*small_parts(mixed, workspace))
    assert ended.returncode == 0, ended.stderr
    return workspace


def test_the_parts_hold_every_image_once(undisturbed: Path, mixed: Path) -> None:
    prompts = read_prompts(Workspace.open(undisturbed))
    skipped = [row for path in skipped_parts(Workspace.open(undisturbed)) for row in records.read(path, Skipped)]
    listed = {str(path.relative_to(mixed)) for path in mixed.rglob("*") if path.suffix not in ("", ".txt", ".json")}
    assert sorted([p.real_id for p in prompts] + [s.real_id for s in skipped]) == sorted(listed)
    assert len(prompts) == 216
    assert Counter(prompt.caption_origin for prompt in prompts) == {"dataset": 200, "blip": 16}
    parts = sorted(path for path in prompts_of(undisturbed) if "part-" in path)
    assert parts == [f"x/part-{number:05d}.parquet" for number in range((len(listed) + 4) // 5)]


@pytest.mark.parametrize("seed", range(scaled(1, 15)))
def test_killed_and_resumed_with_other_shards_it_writes_the_same_files(
    seed: int, tmp_path: Path, mixed: Path, undisturbed: Path
) -> None:
    chance = random.Random(seed)
    arguments = small_parts(mixed, tmp_path)
    ends = []
    for _ in range(2):
        count = chance.randint(1, 4)
        process = start(*arguments, "--shard", f"{chance.randint(1, count)}/{count}")
        wanted = len(list((tmp_path / "prompts").glob("*/part-*"))) + chance.randint(1, 9)
        while process.poll() is None and len(list((tmp_path / "prompts").glob("*/part-*"))) < wanted:
            time.sleep(chance.random() * 0.02)
        time.sleep(chance.random() * 0.2)
        process.kill()
        process.communicate()
        ends.append(process.returncode)
    # On a busy machine the second may have come to its end before it was its turn.
    assert -signal.SIGKILL in ends
    killed = prompts_of(tmp_path)
    count = 3
    running = [start(*arguments, "--shard", f"{index}/{count}") for index in range(1, count + 1)]
    errors = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * count, errors
    assert prompts_of(tmp_path) == prompts_of(undisturbed)
    assert prompts_of(tmp_path).items() >= killed.items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_so_and_keeps_what_is_finished(
    tmp_path: Path, mixed: Path, undisturbed: Path, number: signal.Signals
) -> None:
    arguments = small_parts(mixed, tmp_path)
    process = start(*arguments)
    while process.poll() is None and len(list((tmp_path / "prompts").glob("*/part-*"))) < 3:
        time.sleep(0.001)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted: finished work is kept")
    assert "Traceback" not in err
    assert 0 < len(prompts_of(tmp_path)) < len(prompts_of(undisturbed))
    assert prompts_of(undisturbed).items() >= prompts_of(tmp_path).items()
    assert not list(tmp_path.rglob("*.partial"))


def test_what_is_done_is_not_done_again(tmp_path: Path, undisturbed: Path, mixed: Path) -> None:
    workspace = shutil.copytree(undisturbed, tmp_path / "ws")
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("part-*.parquet")}
    (workspace / "prompts/x/part-00003.parquet").unlink()
    ended = run(*small_parts(mixed, workspace))
    assert ended.returncode == 0, ended.stderr
    after = {path: path.stat().st_mtime_ns for path in workspace.rglob("part-*.parquet")}
    assert {path.name for path in after if after[path] != before[path]} == {"part-00003.parquet"}
    assert prompts_of(workspace) == prompts_of(undisturbed)
    counts = Counter(oddity.reason for oddity in BROKEN.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    assert f"  skipped: {reasons}; see prompts/x/skipped-*.parquet" in ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--captioner", "other"], "captioner was 'repository@sha256-"),
        (["--limit", "50"], "limit was unset, now 50"),
        (["--source", "more={digits}"], "sources was"),
    ],
)
def test_another_recipe_is_refused_with_the_difference(
    tmp_path: Path, undisturbed: Path, mixed: Path, digits: Path, change: list[str], said: str
) -> None:
    other = shutil.copytree(captioner.REPOSITORY, tmp_path / "other")
    (other / "vocab.txt").write_text("another")
    before = prompts_of(undisturbed)
    changed = [str(other) if text == "other" else text.format(digits=digits) for text in change]
    ended = run(*small_parts(mixed, undisturbed), *changed)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert prompts_of(undisturbed) == before


def test_a_captioner_that_nobody_needs_is_not_loaded(tmp_path: Path, digits: Path) -> None:
    broken = shutil.copytree(captioner.REPOSITORY, tmp_path / "broken")
    (broken / "pytorch_model.bin").write_bytes(b"junk")
    own = run("--source", f"d={digits}", "--workspace", tmp_path / "a", "--captioner", broken)
    assert own.returncode == 0, own.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source", "x=/no/such/folder"], "error: --source x: /no/such/folder does not exist"),
        (["--source", "coco={digits}"], "error: --source coco: {digits} does not look like COCO"),
        (["--source", "x={digits}", "--workspace", "{digits}/digit-0000-zero.png"], "error: --workspace"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, digits: Path, arguments: list[str], said: str
) -> None:
    ended = run(*(text.format(digits=digits) for text in arguments), CF_WORKSPACE=str(tmp_path / "ws"))
    assert ended.returncode == 2
    assert ended.stderr.startswith(said.format(digits=digits))
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "ws").exists()


def test_a_back_end_that_is_not_there_is_one_line_that_says_what_to_do(tmp_path: Path, digits: Path) -> None:
    arguments = ["--source", f"x={digits}", "--workspace", tmp_path / "ws", "--backend", "lavis"]
    ended = run(*arguments, CF_LAVIS=str(tmp_path / "no"))
    python = tmp_path / "no/bin/python"
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: --backend lavis: {python} is not there: run `make lavis-env`, or set CF_LAVIS to where it is\n"
    )


def test_a_limit_is_kept(tmp_path: Path, mixed: Path) -> None:
    ended = run("--source", f"x={mixed}", "--workspace", tmp_path, "--limit", 20, "--captioner", captioner.REPOSITORY)
    assert ended.returncode == 0, ended.stderr
    rows = [row for path in (tmp_path / "prompts/x").glob("part-*") for row in records.read(path, Prompt)]
    skipped = [row for path in (tmp_path / "prompts/x").glob("skipped-*") for row in records.read(path, Skipped)]
    assert len(rows) + len(skipped) == 20
