"""`cf-sample --remote` killed at random moments: no image that came is lost, and none is paid for twice."""

import bisect
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from samplers.provider.ledger import Ledger
from samplers.sample import Sample, read_samples
from tests.samplers.inputs import write_prompts
from tests.samplers.provider.examining import CHECKER
from tests.samplers.provider.server import KEY, Provider, picture
from tests.scale import SOAK, scaled
from workspace.checker import DEFAULT_CHECKER
from workspace.layout import Workspace

NAME = "acme/painter"
AT_ONCE = 4
#: More than what is delivered until the last kill.
IMAGES = scaled(40, 3000)
KILLS = scaled(3, 50)
#: Seconds from the first request of a run to its kill, at most.
LONGEST = scaled(0.1, 0.4)


class Runs:
    """Runs of the command with the same arguments, one after the other."""

    def __init__(self, workspace: Path, recipe: Path, endpoint: str, folder: Path, log: Path, checker: str) -> None:
        arguments = ["--workspace", str(workspace), "--remote", str(recipe), "--images", str(IMAGES)]
        arguments += ["--max-images", str(3 * IMAGES), "--requests", str(AT_ONCE), "--device", "cpu"]
        arguments += ["--batch-size", "3", "--weights-dir", str(folder / "weights"), "--safety-checker", checker]
        environment = {**os.environ, "TEST_KEY": KEY, "HF_ENDPOINT": endpoint}
        environment |= scaled({}, {"CF_TESTS_EXAMINER": "1"})
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.samplers.provider.killed", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=environment,
            )

    def start(self) -> int:
        """Start a run; its number."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._line()

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def ended(self) -> int:
        """Its exit status, when it has ended."""
        return self._line()

    def close(self) -> None:
        """No more runs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _line(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def _wait(until: Callable[[], bool]) -> None:
    ending = time.monotonic() + 120
    while not until() and time.monotonic() < ending:
        time.sleep(0.005)


@pytest.mark.timeout(scaled(300, 6000))
def test_a_run_that_is_killed_again_and_again_loses_no_image_and_pays_none_twice(
    provider: Provider, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from samplers.assignment.sampled_rounds import pinned_checker
    from workspace.hub_access import HubAccess

    # With large numbers images are examined as always, with the Hub's safety checker.
    endpoint = request.getfixturevalue("hub").endpoint if SOAK else "http://127.0.0.1:9"
    checker = pinned_checker(DEFAULT_CHECKER, HubAccess(endpoint)) if SOAK else CHECKER
    chance = random.Random(20261130)
    provider.seconds, provider.delivery = 0.05, "url"
    provider.alternates = True
    workspace = Workspace.open(tmp_path / "workspace")
    write_prompts(workspace, {"photos": [f"a photograph of thing {number}" for number in range(3 * IMAGES)]})
    recipe = tmp_path / "painter.toml"
    remote = {"provider": "openai", "model": "m", "endpoint": provider.endpoint, "key": "TEST_KEY", "price": 0.5}
    table = {"kind": "remote", "subset": "Commercial", "architecture": "Commercial", "task": "text-to-image"}
    recipe.write_text(tomli_w.dumps({NAME: {**table, "remote": remote}}))
    log = tmp_path / "output"
    kills = []
    runs = Runs(workspace.root, recipe, endpoint, tmp_path, log, checker)
    while len(kills) < KILLS:
        before, pid = provider.requested.total(), runs.start()
        _wait(lambda before=before: provider.requested.total() > before or runs.has_ended())  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, LONGEST))
        assert not runs.has_ended(), log.read_text()[-3000:]
        os.kill(pid, signal.SIGKILL)
        kills.append(time.monotonic())
        assert runs.ended() == signal.SIGKILL
    runs.start()
    assert runs.ended() == 0, log.read_text()[-3000:]
    runs.close()

    rows = {row.prompt or "": row for row in read_samples(workspace, NAME)}
    # The server's count: none was paid for twice, or asked for twice.
    assert set(provider.requested.values()) == {1}
    assert set(provider.charged.values()) == {1}
    # Each image that was paid for has a row.
    assert provider.charged.keys() <= rows.keys()
    kept = {prompt: row for prompt, row in rows.items() if row.status == "ok"}
    assert len(kept) == IMAGES
    for prompt, row in kept.items():
        assert (workspace.root / str(row.image.path)).read_bytes() == picture(prompt)
    # What did not come was on its way when a process was killed, and is counted as paid.
    lost = {prompt: row for prompt, row in rows.items() if row.status != "ok"}
    assert {row.status for row in lost.values()} <= {"unanswered"}
    assert len(lost) <= AT_ONCE * len(kills)
    # The provider may see a request a moment after the kill, so they are counted from the first kill on.
    asked = sorted(provider.asked_at[prompt] for prompt in lost if prompt in provider.asked_at)
    for number, at in enumerate(kills, start=1):
        assert bisect.bisect(asked, at) <= AT_ONCE * number
    spent = Ledger(workspace.requests_of(NAME)).spent
    assert spent.images == len(rows) >= provider.charged.total()
    assert spent.uncertain == len(lost)
    _every_answer_was_stored(workspace, list(rows.values()))
    # No key in any file that the runs wrote, nor in what they printed.
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert log in files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def _every_answer_was_stored(workspace: Workspace, rows: list[Sample]) -> None:
    lines = (workspace.requests_of(NAME) / "ledger.jsonl").read_text().splitlines()
    answered = {line["index"] for line in map(json.loads, lines) if line["state"] == "answered"}
    assert answered == {row.index for row in rows if row.status == "ok"}
