"""cf-caption as people run it: child processes, kills, shards, a Hub."""

import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import torch

from captioning.cli import parse_pairs
from captioning.options import DEFAULT_CAPTIONER
from captioning.prompt import Prompt, read_prompts
from captioning.skipped import Skipped, skipped_parts
from demo.zoo import captioner
from demo.zoo.building import put
from demo.zoo.captioner.captions import PHOTOGRAPHS
from localhub.process import HubProcess
from localhub.store import Store
from tests.captioning.oddities import all_oddities, write
from tests.captioning.runs import Run, caption_here, run, run_fresh
from tests.scale import scaled
from workspace import records
from workspace.errors import UsageError
from workspace.identity import sha256_of_file
from workspace.layout import Workspace

BROKEN = {name: oddity for name, oddity in all_oddities().items() if oddity.reason is not None}


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


def _here(hub: HubProcess, root: Path, sources: dict[str, Path]) -> None:
    """Caption in this process: a new one imports torch and transformers twice, as the demo's and those of the journeys
    do."""
    with mock.patch("huggingface_hub.constants.HF_HUB_CACHE", str(root / "home")):
        summaries = caption_here(
            root / "ws", sources, device="auto", captioner=DEFAULT_CAPTIONER, endpoint=hub.endpoint
        )
    counts = {summary.name: (summary.images, summary.from_dataset, summary.generated) for summary in summaries}
    assert counts == {"digits": (200, 200, 0), "photos": (16, 0, 16)}


def _by_command(hub: HubProcess, root: Path, sources: dict[str, Path]) -> None:
    environment = {**hub.environment(), "HF_HOME": str(root / "home"), "CF_WORKSPACE": str(root / "ws")}
    given = [word for name, folder in sources.items() for word in ("--source", f"{name}={folder}")]
    ended = run_fresh(*given, **environment)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "digits: 200 prompts from 200 images (200 captioned by the data set, 0 by the captioner)\n"
        "photos: 16 prompts from 16 images (0 captioned by the data set, 16 by the captioner)\n"
    )
    print(ended.stderr, file=sys.stderr)


def test_the_demos_two_sources_are_captioned_with_the_default_captioner_from_a_hub(
    tmp_path: Path, digits: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(Store(tmp_path / "hub"), captioner.repositories()[0])
    with HubProcess(tmp_path / "hub") as hub:
        start = scaled(_here, _by_command)
        start(hub, tmp_path, {"digits": digits, "photos": photos})
    assert ("no GPU was found: captions are generated on the CPU" in capsys.readouterr().err) == (
        not torch.cuda.is_available()
    )
    prompts = read_prompts(Workspace.open(tmp_path / "ws"))
    assert len({prompt.prompt_id for prompt in prompts}) == 216
    generated = [prompt for prompt in prompts if prompt.real_source == "photos"]
    assert {prompt.real_id: prompt.prompt for prompt in generated} == PHOTOGRAPHS
    assert {prompt.captioner for prompt in generated} == {f"{captioner.REPO_ID}@{captioner.COMMIT_ID}"}
    assert {prompt.caption_origin for prompt in generated} == {"generated"}
    assert {prompt.real_sha256 for prompt in prompts} == {
        sha256_of_file(path)
        for folder in (digits, photos)
        for path in folder.iterdir()
        if path.suffix in (".png", ".jpg")
    }


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, digits: Path, photos: Path) -> Path:
    """200 scans with captions, and between them photographs without captions and broken files."""
    root = Path(shutil.copytree(digits, tmp_path_factory.mktemp("mixed") / "real"))
    shutil.copytree(photos, root / "digit-0030-photographs")
    write(root / "digit-0050-broken", BROKEN)
    return root


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, mixed: Path) -> Path:
    """The workspace of a run that was not interrupted."""
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
    assert Counter(prompt.caption_origin for prompt in prompts) == {"dataset": 200, "generated": 16}
    parts = sorted(path for path in prompts_of(undisturbed) if "part-" in path)
    assert parts == [f"x/part-{number:05d}.parquet" for number in range((len(listed) + 4) // 5)]


@pytest.mark.parametrize("seed", range(scaled(1, 15)))
def test_killed_and_resumed_with_other_shards_it_writes_the_same_files(
    seed: int, tmp_path: Path, mixed: Path, undisturbed: Path
) -> None:
    chance = random.Random(seed)
    arguments = small_parts(mixed, tmp_path)
    ends = []
    for _ in range(scaled(1, 2)):
        count = chance.randint(1, 4)
        process = Run([*arguments, "--shard", f"{chance.randint(1, count)}/{count}"])
        wanted = len(list((tmp_path / "prompts").glob("*/part-*"))) + chance.randint(1, 9)
        while process.returncode is None and len(list((tmp_path / "prompts").glob("*/part-*"))) < wanted:
            time.sleep(chance.random() * 0.02)
        time.sleep(chance.random() * 0.2)
        process.kill()
        ends.append(process.wait().returncode)
    # On a busy machine the second may have ended before it was killed.
    assert -signal.SIGKILL in ends
    killed = prompts_of(tmp_path)
    count = scaled(2, 3)
    running = [Run([*arguments, "--shard", f"{index}/{count}"]) for index in range(1, count + 1)]
    ended = [process.wait() for process in running]
    assert [each.returncode for each in ended] == [0] * count, [each.stderr for each in ended]
    assert prompts_of(tmp_path) == prompts_of(undisturbed)
    assert prompts_of(tmp_path).items() >= killed.items()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_reported_and_finished_work_is_kept(
    tmp_path: Path, mixed: Path, undisturbed: Path, number: signal.Signals
) -> None:
    process = Run(small_parts(mixed, tmp_path))
    while process.returncode is None and len(list((tmp_path / "prompts").glob("*/part-*"))) < 3:
        time.sleep(0.001)
    process.send_signal(number)
    ended = process.wait()
    assert ended.returncode == (130 if number is signal.SIGINT else 75)
    assert ended.stderr.splitlines()[-1].startswith("interrupted: finished work is kept")
    assert "Traceback" not in ended.stderr
    assert 0 < len(prompts_of(tmp_path)) < len(prompts_of(undisturbed))
    assert prompts_of(undisturbed).items() >= prompts_of(tmp_path).items()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_finished_part_is_not_written_again(tmp_path: Path, undisturbed: Path, mixed: Path) -> None:
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


def test_the_summary_of_a_shard_names_the_parts_of_other_shards(tmp_path: Path, digits: Path) -> None:
    arguments = ["--source", f"x={digits}", "--limit", 3, "--part-size", 1, "--workspace", tmp_path]
    ended = run(*arguments, "--captioner", captioner.REPOSITORY, "--shard", "1/3")
    assert ended.stdout == (
        "x: 1 prompt from 3 images (1 captioned by the data set, 0 by the captioner); "
        "1 of 3 parts finished, the others by other shards\n"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("captioner", "captioner was 'repository@sha256-"),
        ("limit", "limit was unset, now 50"),
        ("sources", "sources.more was added"),
    ],
)
def test_another_recipe_is_refused_with_the_difference(
    tmp_path: Path, undisturbed: Path, mixed: Path, digits: Path, change: str, message: str
) -> None:
    other = shutil.copytree(captioner.REPOSITORY, tmp_path / "other")
    (other / "vocab.txt").write_text("another")
    sources = {"x": mixed} | ({"more": digits} if change == "sources" else {})
    changes = {"captioner": {"captioner": str(other)}, "limit": {"limit": 50}}.get(change, {})
    before = prompts_of(undisturbed)
    with pytest.raises(UsageError, match=message) as refused:
        caption_here(undisturbed, sources, part_size=5, **changes)
    assert "\n" not in str(refused.value)
    assert prompts_of(undisturbed) == before


def test_a_captioner_that_is_not_needed_is_not_loaded(tmp_path: Path, digits: Path) -> None:
    broken = shutil.copytree(captioner.REPOSITORY, tmp_path / "broken")
    (broken / "pytorch_model.bin").write_bytes(b"junk")
    (summary,) = caption_here(tmp_path / "a", {"d": digits}, captioner=str(broken))
    assert (summary.from_dataset, summary.generated) == (200, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "x=/no/such/folder"], "error: --source x: /no/such/folder does not exist"),
        (["--source", "x={digits}", "--source", "x=/b"], "error: --source x is duplicated"),
        (["--source", "x={digits}", "--workspace", "{digits}/digit-0000-zero.png"], "error: --workspace"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(
    tmp_path: Path, digits: Path, arguments: list[str], message: str
) -> None:
    given = [text.format(digits=digits) for text in arguments]
    ended = run("--workspace", tmp_path / "ws", "--captioner", captioner.REPOSITORY, *given)
    assert ended.returncode == 2
    assert ended.stderr.startswith(message)
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "ws").exists()


def test_a_back_end_that_is_not_installed_is_refused_with_what_to_do(tmp_path: Path, digits: Path) -> None:
    arguments = ["--source", f"x={digits}", "--workspace", tmp_path / "ws", "--backend", "lavis"]
    ended = run_fresh(*arguments, CF_LAVIS=str(tmp_path / "no"))
    python = tmp_path / "no/bin/python"
    assert ended.returncode == 2
    assert ended.stderr == (
        f"error: --backend lavis: {python} does not exist: run `make lavis-env`, or set CF_LAVIS to the folder of that "
        "environment\n"
    )


def test_a_limit_counts_skipped_images_too(tmp_path: Path, mixed: Path) -> None:
    caption_here(tmp_path, {"x": mixed}, limit=20)
    rows = [row for path in (tmp_path / "prompts/x").glob("part-*") for row in records.read(path, Prompt)]
    skipped = [row for path in (tmp_path / "prompts/x").glob("skipped-*") for row in records.read(path, Skipped)]
    assert len(rows) + len(skipped) == 20


def test_sources_are_read_from_name_and_path() -> None:
    assert parse_pairs("--source", ["b=/x", "a=hf://org/name@main:c/d", "c=/y=z"]) == {
        "b": "/x",
        "a": "hf://org/name@main:c/d",
        "c": "/y=z",
    }


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["nothing"], "--source 'nothing' is not of the form NAME=PATH"),
        (["x="], "--source 'x=' is not of the form NAME=PATH"),
        (["x=/a", "y=/a", "x=/a"], "--source x is duplicated"),
    ],
)
def test_sources_of_another_form_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_pairs("--source", texts)
