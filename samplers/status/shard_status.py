"""The status of one shard, computed from its run log as events are added.

The device's duty cycle covers generators that ended: their wall time is counted from the run's start (or the end of the
generator before) to their own end. The duty cycle is the share of it in which the device worked. Runs that were
interrupted and continued are added up; the time between them is not counted.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from samplers.outcomes import BUSY, PHASES
from samplers.status.run_log import Reader
from workspace.sandbox.walls import WALLS, walls_text

#: Seconds over which the recent pace is measured.
RECENT = 600.0
#: Seconds without an event after which a shard that has not stopped is called silent.
SILENT_AFTER = 60.0

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
    """running | silent | finished | interrupted | failed"""
    detail: str | None
    """Why it failed."""
    heard: float
    """Seconds since its last event."""
    device: str
    done: int
    """Finished generators, also those of earlier runs."""
    left: int
    """Generators that are still to be sampled."""
    failed: int
    """Generators that failed in this run, or were skipped."""
    model_name: str | None
    """The generator that is being sampled."""
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
        return self.state in ("running", "silent")


class ShardFollower:
    """Reads one run log again and again and keeps its figures up to date."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._generator: dict[str, Any] | None = None
        self._stopped: dict[str, Any] | None = None
        self._run: dict[str, Any] = {}
        # Generators of the last run that ended, by whether they failed.
        self._ended: Counter[bool] = Counter()
        self._left_to_others = 0
        self._run_started = self._generator_started = self._last_event = 0.0
        self._wall_before, self._wall_of_ended = 0.0, 0.0
        self._phases: Counter[str] = Counter()
        self._images = self._kept = 0
        # Of the last run: estimates of ended generators, of those that succeeded, and the measured seconds of these.
        self._estimate_ended = self._estimate_succeeded = self._seconds_succeeded = 0.0
        self._points: deque[tuple[float, int]] = deque()

    def status(self, now: float) -> ShardStatus | None:
        """The status at `now` (seconds since 1970); None before the first run. Raises `OSError` when the log cannot be
        read."""
        for event in self._reader.new_events():
            try:
                self._add(event, datetime.fromisoformat(event["time"]).timestamp())
            except (KeyError, TypeError, ValueError, AttributeError):
                # Not an event of this version: a log that cannot be understood must not hide the others.
                continue
        if not self._run:
            return None
        heard = max(0.0, now - self._last_event)
        state, detail = "running" if heard <= SILENT_AFTER else "silent", None
        if self._stopped is not None:
            state, detail = self._stopped["why"], self._stopped["detail"]
        wall = self._wall_before + self._last_event - self._run_started
        current, current_seconds = self._current()
        nominal = self._estimate_succeeded + current
        return ShardStatus(
            shard=self._run["shard"],
            state=state,
            detail=detail,
            heard=heard,
            device=self._run["device"],
            done=self._run["finished"] + self._ended[False],
            left=self._run["pending"] - self._ended.total() - self._left_to_others,
            failed=self._run["skipped"] + self._ended[True],
            model_name=self._generator["model_name"] if self._generator and not self._stopped else None,
            images=self._images,
            images_a_second=self._images / wall if wall > 0 else None,
            recently=self._recently(now) if self._stopped is None else None,
            estimate_left=max(0.0, self._run["estimate"] - self._estimate_ended - current),
            pace=(self._seconds_succeeded + current_seconds) / nominal if nominal > 0 else None,
            time=Time.of(self._wall_of_ended, dict(self._phases)),
            walls=walls_text(self._run["sandbox"]),
        )

    def _add(self, event: dict[str, Any], at: float) -> None:
        match event["event"]:
            case "run_started":
                names = ("shard", "device", "pending", "finished", "skipped", "estimate")
                # A log of an earlier version does not have the walls.
                run = {"sandbox": event.get("sandbox", WALLS), **{name: event[name] for name in names}}
                self._wall_before += self._last_event - self._run_started
                self._run, self._stopped, self._generator = run, None, None
                self._run_started = self._generator_started = at
                self._ended.clear()
                self._left_to_others = 0
                self._estimate_ended = self._estimate_succeeded = self._seconds_succeeded = 0.0
                self._points.clear()
            case "generator_started":
                self._generator, self._kept = event, event["kept"]
            case "progress":
                self._count(event["kept"])
            case "generator_ended":
                self._count(event["kept"])
                self._end_generator(event, at - self._generator_started)
                self._generator, self._generator_started = None, at
            case "generator_left":
                self._left_to_others += 1
                self._estimate_ended += event["estimate"]
                self._generator, self._generator_started = None, at
            case "run_stopped":
                self._stopped = event
            case _:
                return
        self._last_event = at
        self._points.append((at, self._images))
        while len(self._points) > 2 and self._points[1][0] < at - RECENT:
            self._points.popleft()

    def _count(self, kept: int) -> None:
        self._images += max(0, kept - self._kept)
        self._kept = kept

    def _end_generator(self, event: dict[str, Any], wall: float) -> None:
        self._wall_of_ended += wall
        self._phases.update(event["seconds"])
        self._ended[event["failed"]] += 1
        self._estimate_ended += event["estimate"]
        if not event["failed"]:
            self._estimate_succeeded += event["estimate"]
            self._seconds_succeeded += wall

    def _current(self) -> tuple[float, float]:
        """Of the current generator: the part of its estimate that is done, and the seconds that this took."""
        if self._generator is None or self._stopped is not None:
            return 0.0, 0.0
        missing = self._generator["images"] - self._generator["kept"]
        part = (self._kept - self._generator["kept"]) / missing if missing > 0 else 0.0
        if part <= 0:
            return 0.0, 0.0
        return part * self._generator["estimate"], self._last_event - self._generator_started

    def _recently(self, now: float) -> float:
        """Images a second from the last event before the window, or the run's start, until now."""
        before = [point for point in self._points if point[0] <= now - RECENT]
        since, images = before[-1] if before else self._points[0]
        return (self._images - images) / max(now - since, 1.0)
