"""The status of one shard, from the events of all its runs as they are logged.

The order of runs and events is that of the log. Two processes may work on one shard: each has figures of its own.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplers.outcomes import BUSY, PHASES
from samplers.status.run_log import Reader
from samplers.status.shard_run import ShardRun
from workspace.sandbox.walls import walls_text

#: Seconds without an event after which a shard that has not stopped is called silent.
SILENT_AFTER = 60.0
#: States of a shard that has not stopped, as far as one can see.
AT_WORK = frozenset({"starting", "running", "waiting", "silent"})

#: Phases of other threads, for another generator or for the batch before: they take no wall time.
_PARALLEL = frozenset({"fetch", "verify", "encode", "write"})
#: The phases of the wall time, in the order in which they are shown.
WALL = (*(phase for phase in PHASES if phase not in _PARALLEL), "other")


@dataclass(frozen=True, kw_only=True)
class Time:
    """How the time was spent; all in seconds."""

    wall: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    """By phase; `other` is wall time of no phase, such as waiting for the last images to be written. Phases that run in
    parallel (fetch, verify, encode, write) are no part of the wall time."""

    @property
    def duty(self) -> float | None:
        """The share of the wall time in which the device worked."""
        busy = sum(seconds for phase, seconds in self.phases.items() if phase in BUSY)
        return min(1.0, busy / self.wall) if self.wall > 0 else None

    @classmethod
    def of(cls, wall: float, phases: Mapping[str, float]) -> "Time":
        """With `other` added to the phases."""
        known = sum(seconds for phase, seconds in phases.items() if phase in WALL)
        return cls(wall=wall, phases={**phases, "other": max(0.0, wall - known)})


@dataclass(frozen=True, kw_only=True)
class ShardStatus:
    """The status of one shard. Generators are those of its last run, images and time those of all its runs."""

    shard: str
    state: str
    """starting | running | waiting | silent | killed | finished | interrupted | failed"""
    detail: str | None
    """Why it failed."""
    heard: float
    """Seconds since its last event."""
    device: str | None
    """None before its sampling process was ready."""
    done: int
    """Finished generators, also those of earlier runs."""
    left: int
    """Generators that are still to be sampled."""
    failed: int
    """Generators that failed in this run, or were skipped."""
    generator: str | None
    """The generator that is being sampled."""
    begun: tuple[str, ...] = ()
    """The generators that its last run began last, the newest first: three at most."""
    images: int
    """Images kept in all runs of this shard."""
    images_a_second: float | None
    """Over all runs."""
    recently: float | None
    """Images a second in the last ten minutes; None when it is not running."""
    estimate_left: float
    """For the missing images, in seconds of the nominal device."""
    pace: float | None
    """Measured seconds in a nominal one; None before the first images."""
    time: Time
    walls: str
    """Which walls are missing from the sandbox of its child; empty: none."""

    @property
    def at_work(self) -> bool:
        """Whether it has not stopped, as far as its log tells."""
        return self.state in AT_WORK


class ShardFollower:
    """Reads one run log again and again and keeps its figures up to date."""

    def __init__(self, path: Path, ended: Callable[[str], bool] = lambda _: False) -> None:
        """`ended`: whether the process of that name shows no sign of life."""
        self._ended = ended
        self._reader = Reader(path)
        # By process; runs of a log without processes are numbered.
        self._runs: dict[str | int, ShardRun] = {}
        self._last: ShardRun | None = None

    def status(self, heard: float) -> ShardStatus | None:
        """The status; None before the first run. `heard`: seconds since the log has changed. Raises `OSError` when the
        log cannot be read."""
        self._read()
        if any(self._is_lost(run) for run in self._runs.values()):
            # It may have stopped in order since its log was read.
            self._read()
        if self._last is None:
            return None
        runs = list(self._runs.values())
        at_work = [run for run in runs if run.stopped is None and not self._is_lost(run)]
        # Where several processes work on it, the last one that started tells what is left.
        run = at_work[-1] if at_work else self._last
        wall = sum(run.wall for run in runs)
        images = sum(run.images for run in runs)
        phases: Counter[str] = Counter()
        for one in runs:
            phases.update(one.phases)
        state, detail = self._state(run, heard)
        return ShardStatus(
            shard=run.shard,
            state=state,
            detail=detail,
            heard=heard,
            device=run.device,
            done=run.finished + run.ended[False],
            left=run.left,
            failed=run.skipped + run.ended[True],
            generator=run.generator["model_name"] if run.generator is not None and state in AT_WORK else None,
            begun=tuple(run.begun),
            images=images,
            images_a_second=images / wall if wall > 0 else None,
            recently=sum(run.recently(heard) for run in at_work) if at_work else None,
            estimate_left=run.estimate_left,
            pace=run.pace,
            time=Time.of(sum(run.wall_of_ended for run in runs), dict(phases)),
            walls=walls_text(run.sandbox),
        )

    def _state(self, run: ShardRun, heard: float) -> tuple[str, str | None]:
        if run.stopped is not None:
            return run.stopped["why"], run.stopped["detail"]
        if self._is_lost(run):
            return "killed", None
        if run.waiting:
            return "waiting", None
        if heard > SILENT_AFTER:
            return "silent", None
        return ("starting" if run.device is None else "running"), None

    def _is_lost(self, run: ShardRun) -> bool:
        return run.stopped is None and run.process is not None and self._ended(run.process)

    def _read(self) -> None:
        for event in self._reader.new_events():
            try:
                self._add(event)
            except (KeyError, TypeError, ValueError, AttributeError):
                # Not an event of this version: a log that cannot be understood must not hide the others.
                continue

    def _add(self, event: dict[str, Any]) -> None:
        process = event.get("process")
        if event["event"] == "run_started":
            self._last = ShardRun(event)
            self._runs[process if process is not None else len(self._runs)] = self._last
            return
        run = self._runs.get(process, self._last) if process is not None else self._last
        if run is not None:
            run.add(event)
