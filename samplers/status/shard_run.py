"""The figures of one run of a shard, computed from its events.

All durations are those that the run itself measured (`elapsed`), not differences of clock times. The duty cycle covers
generators that ended: their wall time is counted from when the child was ready (or the end of the generator before) to
their own end. The duty cycle is the share of it in which the device worked.
"""

from collections import Counter, deque
from datetime import datetime
from typing import Any

from workspace.sandbox.walls import WALLS

#: Seconds over which the recent pace is measured.
RECENT = 600.0
#: Generators that are remembered: the one that is sampled may have no images yet, as the one before that failed.
_BEGUN = 3


class ShardRun:
    """One run, from its `run_started` on. Raises `KeyError`, `TypeError` or `ValueError` for events of another
    version."""

    def __init__(self, started: dict[str, Any]) -> None:
        self.shard, self.process = str(started["shard"]), started.get("process")
        self.pending, self.finished, self.skipped = (int(started[name]) for name in ("pending", "finished", "skipped"))
        self.estimate = float(started["estimate"])
        # A log of an earlier version has the child's values in this event.
        self.device: str | None = started.get("device")
        self.sandbox: tuple[str, ...] = tuple(started.get("sandbox", WALLS))
        self._time = datetime.fromisoformat(started["time"])
        self.elapsed = self._ready = self._generator_started = 0.0
        self.generator: dict[str, Any] | None = None
        self.begun: deque[str] = deque(maxlen=_BEGUN)
        """Generators that it began last, the newest first."""
        self.stopped: dict[str, Any] | None = None
        self.waiting = False
        """Whether it waits for generators that other processes sample."""
        self.ended: Counter[bool] = Counter()
        """Generators that ended, by whether they failed."""
        # Generators that others are at or have finished, with their estimates.
        self._left_to_others: dict[str, float] = {}
        self.images = self._kept = 0
        self.wall_of_ended, self.phases = 0.0, Counter[str]()
        # Estimates of ended generators, of those that succeeded, and the measured seconds of these.
        self._estimate_ended = self._estimate_succeeded = self._seconds_succeeded = 0.0
        self._points: deque[tuple[float, int]] = deque([(0.0, 0)])

    @property
    def wall(self) -> float:
        """Seconds since the child was ready, until the last event."""
        return self.elapsed - self._ready

    @property
    def left(self) -> int:
        """Generators that are still to be sampled."""
        return self.pending - self.ended.total() - len(self._left_to_others)

    @property
    def estimate_left(self) -> float:
        """For the missing images, in seconds of the nominal device."""
        done = self._estimate_ended + sum(self._left_to_others.values()) + self._current()[0]
        return max(0.0, self.estimate - done)

    @property
    def pace(self) -> float | None:
        """Measured seconds in a nominal one; None before the first images."""
        current, seconds = self._current()
        nominal = self._estimate_succeeded + current
        return (self._seconds_succeeded + seconds) / nominal if nominal > 0 else None

    def recently(self, silent: float) -> float:
        """Images a second from the last event before the window, or the run's start, until now; `silent`: seconds since
        the last event."""
        now = self.elapsed + silent
        before = [point for point in self._points if point[0] <= now - RECENT]
        since, images = before[-1] if before else self._points[0]
        return (self.images - images) / max(now - since, 1.0)

    def add(self, event: dict[str, Any]) -> None:
        """Count one more event."""
        at = self._at(event)
        match event["event"]:
            case "child_ready":
                self.device, self.sandbox = str(event["device"]), tuple(event["sandbox"])
                self._ready = self._generator_started = at
                self._points.clear()
            case "generator_started":
                self.generator, self._kept = event, event["kept"]
                self.begun.appendleft(str(event["model_name"]))
                # Others were at it, and it is free again.
                self._left_to_others.pop(event["model_name"], None)
            case "progress":
                self._count(event["kept"])
            case "generator_ended":
                self._count(event["kept"])
                self._end_generator(event, at - self._generator_started)
                self.generator, self._generator_started = None, at
            case "generator_left":
                if self.generator is not None:
                    self._count(event.get("kept", 0))
                # Logged while others are at it, and again when they have finished it.
                if event.get("own", True):
                    self._left_to_others[event["model_name"]] = event["estimate"]
                self.generator, self._generator_started = None, at
            case "waiting":
                pass
            case "run_stopped":
                self.stopped = event
            case _:
                return
        # Of those that it waits for, others may end.
        self.waiting = event["event"] == "waiting" or (self.waiting and event["event"] == "generator_left")
        self.elapsed = at
        self._points.append((at, self.images))
        while len(self._points) > 2 and self._points[1][0] < at - RECENT:
            self._points.popleft()

    def _at(self, event: dict[str, Any]) -> float:
        """Seconds from the run's start to an event; those of an earlier version have a time only."""
        elapsed = event.get("elapsed")
        if elapsed is None:
            elapsed = (datetime.fromisoformat(event["time"]) - self._time).total_seconds()
        return max(self.elapsed, float(elapsed))

    def _count(self, kept: int) -> None:
        self.images += max(0, kept - self._kept)
        self._kept = kept

    def _end_generator(self, event: dict[str, Any], wall: float) -> None:
        self.wall_of_ended += wall
        self.phases.update(event["seconds"])
        if event.get("own", True):
            self.ended[event["failed"]] += 1
            self._estimate_ended += event["estimate"]
        if not event["failed"]:
            self._estimate_succeeded += event["estimate"]
            self._seconds_succeeded += wall

    def _current(self) -> tuple[float, float]:
        """Of the current generator: the part of its estimate that is done, and the seconds that this took."""
        if self.generator is None or self.stopped is not None:
            return 0.0, 0.0
        missing = self.generator["images"] - self.generator["kept"]
        part = (self._kept - self.generator["kept"]) / missing if missing > 0 else 0.0
        if part <= 0:
            return 0.0, 0.0
        return part * self.generator["estimate"], self.elapsed - self._generator_started
