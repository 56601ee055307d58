"""One shard's journal, followed: the figures of what it has done, kept up as events come.

The device's duty cycle is counted over generators that are through, from the run's start (or the end of the generator
before) to their end: of that wall time, the share in which the device worked, and where the rest went. Runs that
were interrupted and continued add up; the time between them counts for nothing.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from samplers.outcomes import BUSY, PHASES
from samplers.status.run_log import Reader

#: Seconds that the recent pace looks back.
RECENT = 600.0
#: Seconds without a word after which a shard that has not stopped is called silent.
SILENT_AFTER = 60.0

#: Phases of threads beside the device, for another generator or for the batch before: no part of the wall time.
_BESIDE = frozenset({"fetch", "verify", "encode", "write"})
#: Where wall time goes, in the order it is shown.
WALL = (*(phase for phase in PHASES if phase not in _BESIDE), "other")


@dataclass(frozen=True, kw_only=True)
class Time:
    """Where the time went; all in seconds."""

    wall: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    """By phase; `other` is wall time of no phase, such as waiting for the last images to be written. What goes on
    beside the device (fetch, verify, encode, write) is no part of the wall time."""

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
    """How one shard stands. Generators are those of its last run, images and time those of all its runs."""

    shard: str
    state: str
    """running | silent | finished | interrupted | failed"""
    detail: str | None
    """Why it failed."""
    heard: float
    """Seconds since its last word."""
    device: str
    done: int
    """Generators that owe nothing, those of former runs as well."""
    left: int
    failed: int
    """Generators that failed in this run, or before and were left alone."""
    model_name: str | None
    """What is being sampled."""
    images: int
    """Kept in the runs of this shard."""
    images_a_second: float | None
    """Over all runs."""
    recently: float | None
    """Images a second in the last ten minutes; None when it is not running."""
    estimate_left: float
    """What is owed, in seconds of the nominal device."""
    pace: float | None
    """Real seconds in a nominal one; None before anything is known."""
    time: Time

    @property
    def at_work(self) -> bool:
        """Whether it has not stopped, as far as is known."""
        return self.state in ("running", "silent")


class Following:
    """Keeps the figures of one journal."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)
        self._began: dict[str, Any] | None = None
        self._stopped: dict[str, Any] | None = None
        self._run: dict[str, Any] = {}
        self._ends: Counter[bool] = Counter()
        self._run_started = self._generator_started = self._last = 0.0
        self._former_wall = self._through_wall = 0.0
        self._phases: Counter[str] = Counter()
        self._images = self._kept = 0
        # Of the last run: estimates of what is through, and of that well, with the real seconds it took.
        self._through = self._well = self._well_seconds = 0.0
        self._points: deque[tuple[float, int]] = deque()

    def status(self, now: float) -> ShardStatus | None:
        """How the shard stands at `now` (seconds since 1970); None when nothing has begun. Raises `OSError` when the
        journal cannot be read."""
        for event in self._reader.news():
            try:
                self._take(event, datetime.fromisoformat(event["time"]).timestamp())
            except (KeyError, TypeError, ValueError, AttributeError):
                # Not an event of this version: a log that cannot be understood must not hide the others.
                continue
        if not self._run:
            return None
        heard = max(0.0, now - self._last)
        state, detail = "running" if heard <= SILENT_AFTER else "silent", None
        if self._stopped is not None:
            state, detail = self._stopped["why"], self._stopped["detail"]
        wall = self._former_wall + self._last - self._run_started
        begun, begun_seconds = self._of_current()
        nominal = self._well + begun
        return ShardStatus(
            shard=self._run["shard"],
            state=state,
            detail=detail,
            heard=heard,
            device=self._run["device"],
            done=self._run["finished"] + self._ends[True],
            left=self._run["owed"] - self._ends.total(),
            failed=self._run["left"] + self._ends[False],
            model_name=self._began["model_name"] if self._began and not self._stopped else None,
            images=self._images,
            images_a_second=self._images / wall if wall > 0 else None,
            recently=self._recently(now) if self._stopped is None else None,
            estimate_left=max(0.0, self._run["estimate"] - self._through - begun),
            pace=(self._well_seconds + begun_seconds) / nominal if nominal > 0 else None,
            time=Time.of(self._through_wall, dict(self._phases)),
        )

    def _take(self, event: dict[str, Any], at: float) -> None:
        match event["event"]:
            case "started":
                run = {name: event[name] for name in ("shard", "device", "owed", "finished", "left", "estimate")}
                self._former_wall += self._last - self._run_started
                self._run, self._stopped, self._began = run, None, None
                self._run_started = self._generator_started = at
                self._ends.clear()
                self._through = self._well = self._well_seconds = 0.0
                self._points.clear()
            case "began":
                self._began, self._kept = event, event["kept"]
            case "moved":
                self._count(event["kept"])
            case "ended":
                self._count(event["kept"])
                self._end(event, at - self._generator_started)
                self._began, self._generator_started = None, at
            case "stopped":
                self._stopped = event
            case _:
                return
        self._last = at
        self._points.append((at, self._images))
        while len(self._points) > 2 and self._points[1][0] < at - RECENT:
            self._points.popleft()

    def _count(self, kept: int) -> None:
        self._images += max(0, kept - self._kept)
        self._kept = kept

    def _end(self, event: dict[str, Any], wall: float) -> None:
        self._through_wall += wall
        self._phases.update(event["seconds"])
        self._ends[event["well"]] += 1
        self._through += event["estimate"]
        if event["well"]:
            self._well += event["estimate"]
            self._well_seconds += wall

    def _of_current(self) -> tuple[float, float]:
        """Of the generator under way: the part of its estimate that is done, and the seconds that took."""
        if self._began is None or self._stopped is not None:
            return 0.0, 0.0
        owed = self._began["images"] - self._began["kept"]
        part = (self._kept - self._began["kept"]) / owed if owed > 0 else 0.0
        return (part * self._began["estimate"], self._last - self._generator_started) if part > 0 else (0.0, 0.0)

    def _recently(self, now: float) -> float:
        """Images a second from the last word before the window, or the run's start, until now."""
        before = [point for point in self._points if point[0] <= now - RECENT]
        since, images = before[-1] if before else self._points[0]
        return (self._images - images) / max(now - since, 1.0)
