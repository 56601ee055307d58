import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samplers.status.run_log import RunLog
from samplers.status.shard_status import WALL, ShardFollower, ShardStatus
from workspace import shard as shards
from workspace.layout import Workspace
from workspace.sandbox.walls import WALLS

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()


class Shard:
    """A run log written by the test, at chosen seconds since the first run; the clock of the node is wrong by
    `clock`."""

    def __init__(self, path: Path) -> None:
        self.path, self.ended = path, set[str]()
        self.follower = ShardFollower(path, self.ended.__contains__)
        self.clock, self._started, self._last, self._process = 0.0, 0.0, 0.0, "process-0"
        path.touch()

    def log(self, second: float, event: str, **fields: Any) -> None:
        at = datetime.fromtimestamp(NOON + second + self.clock, UTC).isoformat(timespec="milliseconds")
        about = {"process": self._process, "elapsed": second - self._started}
        with self.path.open("a") as file:
            file.write(json.dumps({"time": at, "event": event, **about, **fields}) + "\n")
        self._last = second

    def start(self, second: float, pending: int = 3, process: str | None = None, **fields: Any) -> None:
        self._started, self._process = second, process or f"process-{second}"
        about = {"shard": "3/16", "pending": pending, "finished": 0, "skipped": 0}
        self.log(second, "run_started", **{**about, "estimate": 100.0 * pending, **fields})
        self.log(second, "child_ready", device="cpu", sandbox=WALLS)

    def begin(self, second: float, name: str = "org/a", kept: int = 0) -> None:
        self.log(second, "generator_started", model_name=name, kept=kept, images=100, estimate=100.0)

    def end(self, second: float, end: str = "done", kept: int = 100, **seconds: float) -> None:
        about = {"model_name": "org/a", "detail": None, "tries": kept, "estimate": 100.0}
        self.log(second, "generator_ended", end=end, failed=end != "done", kept=kept, seconds=seconds, **about)

    def status(self, second: float) -> ShardStatus:
        status = self.follower.status(max(0.0, second - self._last))
        assert status is not None
        return status


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(tmp_path / "sample-3-of-16.jsonl")


def test_there_is_no_status_before_the_first_event(shard: Shard) -> None:
    assert shard.follower.status(0) is None


def test_walls_that_do_not_stand_are_said(shard: Shard) -> None:
    shard.start(0)
    assert shard.status(1).walls == ""
    shard.log(2, "child_ready", device="cpu", sandbox=["audit", "memory", "limits", "seccomp"])
    assert shard.status(3).walls == "without landlock of the sandbox (docs/sandbox.md)"


def test_generators_are_counted_by_how_they_ended(shard: Shard) -> None:
    shard.start(0, pending=4, finished=10, skipped=1)
    for second, end in ((10, "done"), (20, "load-failed"), (30, "done")):
        shard.begin(second - 9)
        shard.end(second, end)
    status = shard.status(31)
    assert (status.done, status.failed, status.left, status.state) == (12, 2, 1, "running")


def test_the_duty_cycle_is_a_share_of_the_wall_time(shard: Shard) -> None:
    shard.start(0)
    shard.begin(10)
    shard.end(110, idle=10, load=5, sample=60, decode=10, check=5, encode=6, write=2, fetch=90, verify=8)
    shard.begin(111)
    time = shard.status(150).time
    assert time.wall == pytest.approx(110)
    assert time.duty == pytest.approx(75 / 110)
    # Encoding and writing went on beside the device, like fetching.
    assert time.phases["other"] == pytest.approx(110 - 90)
    assert sum(time.phases[phase] for phase in WALL) == 110


def test_images_a_second_now_and_overall(shard: Shard) -> None:
    shard.start(0)
    shard.begin(0)
    shard.log(1000, "progress", model_name="org/a", kept=10, tries=10)
    for minute in range(1, 11):
        shard.log(1000 + 60 * minute, "progress", model_name="org/a", kept=10 + 6 * minute, tries=80)
    status = shard.status(1600)
    assert status.images == 70
    assert status.images_a_second == pytest.approx(70 / 1600)
    assert status.recently == pytest.approx(0.1)


def test_a_shard_without_events_is_silent_and_slows_down(shard: Shard) -> None:
    shard.start(0)
    shard.begin(0)
    shard.log(50, "progress", model_name="org/a", kept=50, tries=50)
    assert (shard.status(100).state, shard.status(100).recently) == ("running", pytest.approx(0.5))
    silent = shard.status(5000)
    assert (silent.state, silent.heard, silent.generator) == ("silent", 4950, "org/a")
    assert silent.recently == pytest.approx(0.0)
    shard.log(5001, "progress", model_name="org/a", kept=51, tries=51)
    assert shard.status(5002).state == "running"


def test_a_shard_whose_process_shows_no_sign_of_life_is_killed(shard: Shard) -> None:
    shard.start(0, process="one")
    shard.begin(1)
    assert [shard.status(second).state for second in (30, 200)] == ["running", "silent"]
    shard.ended.add("one")
    # At once where that is known, not after a minute of silence.
    assert [shard.status(second).state for second in (2, 400)] == ["killed", "killed"]
    assert (shard.status(400).generator, shard.status(400).at_work) == (None, False)
    assert shard.status(400).recently is None
    shard.start(500, process="two")
    assert shard.status(501).state == "running"


def test_a_process_that_stops_in_order_while_its_log_is_read_is_not_called_killed(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "sample-1-of-1.jsonl")

    def ended(process: str) -> bool:
        shard.log(6, "run_stopped", why="finished", detail=None)
        return True

    shard.follower = ShardFollower(shard.path, ended)
    shard.start(0)
    assert shard.status(6).state == "finished"


def test_before_the_sampling_process_works_a_shard_is_starting_and_may_fail(shard: Shard) -> None:
    about = {"shard": "3/16", "pending": 3, "finished": 0, "skipped": 0, "estimate": 300.0}
    shard.log(0, "run_started", **about)
    assert [(shard.status(second).state, shard.status(second).device) for second in (1, 100)] == [
        ("starting", None),
        ("silent", None),
    ]
    shard.log(120, "run_stopped", why="failed", detail="--device cuda:3 cannot be used")
    assert (shard.status(121).state, shard.status(121).detail) == ("failed", "--device cuda:3 cannot be used")


@pytest.mark.parametrize("clock", [-7200.0, 7200.0])
def test_no_figure_depends_on_the_clock_of_the_node(tmp_path: Path, clock: float) -> None:
    figures = []
    for wrong in (0.0, clock):
        shard = Shard(tmp_path / f"sample-{wrong:.0f}.jsonl")
        shard.start(0)
        shard.begin(10)
        shard.end(110, sample=80)
        # Killed, and continued on another node.
        shard.ended.add("process-0")
        shard.clock = wrong
        shard.start(1000, pending=2, finished=1)
        shard.begin(1001)
        shard.log(1101, "progress", model_name="org/b", kept=50, tries=50)
        # Its clock is set while it samples.
        shard.clock = 0.0
        shard.end(1201, sample=190)
        figures.append(shard.status(1210))
    assert figures[0] == figures[1]
    assert figures[0].images_a_second == pytest.approx(200 / (110 + 201))
    assert figures[0].recently == pytest.approx(100 / 210)


def test_two_processes_of_one_shard_have_figures_of_their_own(shard: Shard) -> None:
    shard.start(0, process="one")
    shard.begin(1)
    shard.start(100, process="two", pending=2)
    one = {"process": "one", "elapsed": 110.0}
    shard.log(110, "progress", model_name="org/a", kept=40, tries=40, **one)
    shard.begin(111, "org/b")
    shard.log(150, "progress", model_name="org/b", kept=30, tries=30)
    shard.log(160, "progress", model_name="org/a", kept=60, tries=60, **(one | {"elapsed": 160.0}))
    status = shard.status(160)
    assert (status.images, status.generator, status.left) == (90, "org/b", 2)
    # The second one ends; the first one still works.
    shard.log(170, "run_stopped", why="finished", detail=None)
    status = shard.status(170)
    assert (status.state, status.generator, status.left) == ("running", "org/a", 3)


def test_a_shard_that_waits_for_other_processes_is_not_silent(shard: Shard) -> None:
    shard.start(0, process="one")
    shard.log(5, "waiting")
    assert [shard.status(second).state for second in (6, 5000)] == ["waiting", "waiting"]
    shard.log(5000, "generator_left", model_name="org/a", estimate=100.0)
    assert (shard.status(5100).state, shard.status(5100).at_work) == ("waiting", True)
    shard.begin(5101)
    assert shard.status(5102).state == "running"
    shard.log(5103, "waiting")
    shard.ended.add("one")
    assert shard.status(5104).state == "killed"


def test_of_two_processes_no_count_is_skipped_in_a_long_log(shard: Shard) -> None:
    shard.start(0, process="one")
    shard.begin(1)
    shard.start(10, process="two")
    shard.begin(11, "org/b")
    shard.log(20, "progress", model_name="org/a", kept=40, tries=40, process="one", elapsed=20.0)
    for second in range(21, 321):
        shard.log(second, "progress", model_name="org/b", kept=second // 10, tries=second)
    # Its last batch counts, though newer events of the other process follow.
    assert shard.status(321).images == 40 + 32


def test_generators_that_another_process_did_are_not_left(shard: Shard) -> None:
    shard.start(0, pending=3)
    # Others are at it, and then they have finished it.
    for second in (5, 6):
        shard.log(second, "generator_left", model_name="org/a", estimate=100.0)
        status = shard.status(second)
        assert (status.left, status.done, status.estimate_left) == (2, 0, 200.0)


def test_a_generator_that_others_were_at_is_left_again_when_it_is_free(shard: Shard) -> None:
    shard.start(0, pending=3)
    shard.log(5, "generator_left", model_name="org/a", estimate=100.0)
    shard.begin(6)
    assert (shard.status(7).left, shard.status(7).estimate_left) == (3, 300.0)
    shard.end(8)
    status = shard.status(9)
    assert (status.left, status.done, status.estimate_left) == (2, 1, 200.0)


def test_the_time_left_follows_the_pace_of_finished_and_current_generators(shard: Shard) -> None:
    shard.start(0)
    assert (shard.status(1).pace, shard.status(1).estimate_left) == (None, 300)
    shard.begin(0)
    shard.end(200)
    assert (shard.status(200).pace, shard.status(200).estimate_left) == (2.0, 200)
    shard.begin(200)
    shard.log(400, "progress", model_name="org/b", kept=50, tries=50)
    status = shard.status(400)
    assert status.pace == pytest.approx(400 / 150)
    assert status.estimate_left == pytest.approx(150)


def test_a_failure_does_not_make_the_pace_look_faster(shard: Shard) -> None:
    shard.start(0)
    shard.begin(0)
    shard.end(1, "load-failed", kept=0)
    assert (shard.status(1).pace, shard.status(1).estimate_left) == (None, 200)


@pytest.mark.parametrize("why", ["finished", "interrupted", "failed"])
def test_a_stopped_run_has_its_reason(shard: Shard, why: str) -> None:
    shard.start(0)
    shard.begin(0)
    shard.log(5, "run_stopped", why=why, detail="no space left" if why == "failed" else None)
    status = shard.status(9999)
    assert (status.state, status.recently, status.generator, status.at_work) == (why, None, None, False)
    assert status.detail == ("no space left" if why == "failed" else None)


def test_the_batches_of_a_run_that_ended_soon_are_counted(tmp_path: Path) -> None:
    generator: Any = SimpleNamespace(
        entry=SimpleNamespace(generator="org/a"), progress=SimpleNamespace(kept=()), segments=(), seconds=1.0
    )
    pending: Any = SimpleNamespace(generators=[generator], finished=0, skipped=[])
    workspace = Workspace.open(tmp_path)
    log = RunLog(workspace, shards.Shard.parse("1/1"), "process")
    with suppress(KeyboardInterrupt), log.run(pending):
        log.generator_started(generator)
        for kept in (4, 8):
            log.progress("org/a", kept, kept)
        raise KeyboardInterrupt
    status = ShardFollower(workspace.logs / "sample-1-of-1.jsonl").status(0)
    assert status is not None
    assert (status.state, status.images) == ("interrupted", 8)


def test_runs_add_up_without_the_time_between_them(shard: Shard) -> None:
    shard.start(0)
    shard.begin(0)
    shard.end(100, sample=90)
    shard.begin(100)
    shard.log(150, "progress", model_name="org/b", kept=20, tries=20)
    # Killed; continued a day later, with the images whose rows were written.
    shard.start(86_400, pending=2, finished=1, estimate=190)
    shard.begin(86_400, "org/b", kept=16)
    shard.end(86_450, sample=40, kept=100)
    status = shard.status(86_450)
    assert status.images == 100 + 20 + 84
    assert status.images_a_second == pytest.approx(204 / 200)
    assert status.time.duty == pytest.approx(130 / 150)
    assert (status.done, status.left) == (2, 1)


def test_a_log_read_at_once_gives_the_same_status_as_one_read_as_it_grows(shard: Shard) -> None:
    shard.start(0)
    for number in range(3):
        shard.begin(3000 * number)
        for beat in range(1, 200):
            shard.log(3000 * number + 10 * beat, "progress", model_name="org/a", kept=beat // 2, tries=beat)
            if beat % 50 == 0:
                shard.status(3000 * number + 10 * beat)
        if number < 2:
            shard.end(3000 * number + 2500, sample=2000)
    assert ShardFollower(shard.path).status(8500 - 3000 * 2 - 10 * 199) == shard.status(8500)


def test_incomplete_and_damaged_lines_are_skipped(shard: Shard) -> None:
    shard.start(0)
    shard.begin(0)
    half = '{"time": "2026-01-01T12:00:05+00:00", "event": "generator_ended", "model_na'
    with shard.path.open("a") as file:
        file.write(
            '\x00\x00\n[]\n{"time": 5}\n{"time": "soon", "event": "progress"}\n{"event": "generator_ended"}\n' + half
        )
    assert shard.status(10).left == 3
    # The next run's first event follows on the same line.
    shard.start(20, pending=2)
    shard.begin(20)
    shard.end(30)
    assert shard.status(31).left == 1


def test_a_line_is_read_when_it_is_complete(shard: Shard) -> None:
    shard.start(0)
    with shard.path.open("a") as file:
        file.write('{"time": "2026-01-01T12:00:05+00:00", "event": "run_stopped", "why": "fin')
    assert shard.status(10).state == "running"
    with shard.path.open("a") as file:
        file.write('ished", "detail": null}\n')
    assert shard.status(10).state == "finished"


def test_a_log_of_another_version_is_ignored(shard: Shard) -> None:
    shard.log(0, "run_started", generators=5, shard="1/1")
    shard.log(1, "generator_ended", model_name="org/a", status="done")
    assert shard.follower.status(0) is None


def test_a_log_of_the_version_before_is_read_by_its_times(shard: Shard) -> None:
    old = {"process": None, "elapsed": None}
    about = {"shard": "3/16", "device": "cpu", "pending": 2, "finished": 0, "skipped": 0, "estimate": 200.0}
    shard.log(0, "run_started", **about, **old)
    begun = {"model_name": "org/a", "kept": 0, "images": 100, "estimate": 100.0}
    shard.log(10, "generator_started", **begun, **old)
    shard.log(60, "progress", model_name="org/a", kept=50, tries=50, **old)
    status = shard.status(61)
    assert (status.state, status.images, status.left) == ("running", 50, 2)
    assert status.images_a_second == pytest.approx(50 / 60)
