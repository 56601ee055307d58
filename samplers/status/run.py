"""The status of a run, read from the workspace's files: outcomes, the shards' run logs, and rows without an outcome.

It changes nothing, needs no network, and works during a run, from any node. What is done and what failed is read from
the outcomes, how the shards are from their logs and from their processes' signs of life.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from engines.claims import TOUCH_SECONDS, process_folders
from samplers.status.failure import Failure
from samplers.status.file_ages import FileAges
from samplers.status.generators import Generators
from samplers.status.rounds import RoundStatus
from samplers.status.shard_status import ShardFollower, ShardStatus, Time
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS, has_ended
from workspace.shard import Shard

_RUN_LOG = re.compile(r"sample-(\d+)-of-(\d+)(?:-part-(\d+)-of-(\d+))?\.jsonl", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """The status of the whole run, on all shards."""

    generators: int
    """Compatible ones in the catalogue."""
    done: int
    """Generators of which all images were made."""
    exhausted: int
    """Generators that have fewer, because all tries were used."""
    failed: int
    left: int
    """Generators that have not ended, those being sampled included."""
    ends: Mapping[str, int]
    """Generators by how they ended: done, exhausted, or the failure with its reason."""
    failures: tuple[Failure, ...] = ()
    """Every failed generator, by how it ended and by name."""
    images: int
    """Images kept, of all generators."""
    images_a_second: float | None
    """Of all shards at work together, over all their runs."""
    recently: float | None
    """The same in the last ten minutes."""
    seconds_left: float | None
    """Until the last shard at work is finished; None where unknown."""
    time: Time
    shards: tuple[ShardStatus, ...]
    not_started: tuple[str, ...] = ()
    """Shards that never started though others of the same division did, and generators are left."""
    seconds_left_of: Mapping[str, float]
    """Seconds until a shard is finished, by shard, where known."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Generators with an outcome or a part that cannot be read, and what to do; they are counted as left."""
    clock_behind: float = 0.0
    """Seconds by which this machine's clock is behind the one that stamps files, as far as they show."""
    rounds: tuple[RoundStatus, ...] | None = None
    """What each round added; None: not asked for."""


class Watcher:
    """Reads the status of a workspace again and again: what has changed since."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._generators = Generators(workspace)
        self._ages = FileAges()
        self._now = 0.0
        self._followers: dict[Path, ShardFollower] = {}

    def look(self, now: float) -> RunStatus:
        """The status at `now`, in seconds since 1970. Raises `UsageError` without a catalogue."""
        self._now = now
        counts = self._generators.look()
        logs = self._logs()
        shards = [(path, status) for path in logs if (status := self._shard(path)) is not None]
        statuses = tuple(status for _, status in shards)
        seconds_left_of = _seconds_left(statuses)
        at_work = [shard for shard in statuses if shard.at_work]
        left = counts.generators - counts.done - counts.exhausted - counts.failed
        return RunStatus(
            generators=counts.generators,
            done=counts.done,
            exhausted=counts.exhausted,
            failed=counts.failed,
            left=left,
            ends=counts.ends,
            failures=counts.failures,
            images=counts.images,
            images_a_second=_sum([shard.images_a_second for shard in at_work]),
            recently=_sum([shard.recently for shard in at_work]),
            seconds_left=max(
                (seconds_left_of[shard.shard] for shard in at_work if shard.shard in seconds_left_of), default=None
            ),
            time=_total_time(statuses),
            shards=statuses,
            not_started=self._not_started(shards) if left else (),
            seconds_left_of=seconds_left_of,
            damaged=counts.damaged,
            clock_behind=self._ages.ahead,
        )

    def _logs(self) -> list[Path]:
        """The run logs, by the number of shards and the shard, noted with their ages."""
        found = []
        for path in self._workspace.logs.glob("sample-*-of-*.jsonl"):
            if _RUN_LOG.fullmatch(path.name):
                with suppress(FileNotFoundError):  # removed a moment ago
                    self._ages.note(path, self._now)
                    found.append(path)
        return sorted(found, key=_order)

    def _shard(self, path: Path) -> ShardStatus | None:
        follower = self._followers.setdefault(path, ShardFollower(path, self._ended))
        return follower.status(self._ages.age(path, self._now))

    def _ended(self, process: str) -> bool:
        """Whether a process shows no sign of life: it is seen to have ended, its folder is gone, or it has not touched
        that for long."""
        folder = process_folders(self._workspace, "sample") / process
        try:
            self._ages.note(folder, self._now)
        except OSError:
            return True
        ended = has_ended(process)
        return self._ages.age(folder, self._now) > SILENT_SECONDS + TOUCH_SECONDS if ended is None else ended

    def _not_started(self, shards: Sequence[tuple[Path, ShardStatus]]) -> tuple[str, ...]:
        """Shards without a log, of the divisions that are at work, or else of the one whose log changed last."""
        current = {_place(path) for path, status in shards if status.at_work}
        if not current and shards:
            current = {_place(min((path for path, _ in shards), key=lambda path: self._ages.age(path, self._now)))}
        started = {_place(path) for path, _ in shards}
        whole = {shard.within or shard for shard in started}
        counts = sorted({(shard.within or shard).count for shard in current})
        missing = [Shard(index, count) for count in counts for index in range(1, count + 1)]
        parts = sorted({(shard.within, shard.count) for shard in current if shard.within is not None}, key=str)
        return tuple(
            [str(shard) for shard in missing if shard not in whole]
            + [
                str(part)
                for shard, count in parts
                for part in (shard.part(index, count) for index in range(1, count + 1))
                if part not in started
            ]
        )


def _place(path: Path) -> Shard:
    """The shard in the name of a run log."""
    name = _RUN_LOG.fullmatch(path.name)
    assert name is not None
    shard = Shard(int(name[1]), int(name[2]))
    return shard if name[3] is None else Shard(int(name[3]), int(name[4]), within=shard)


def _order(path: Path) -> tuple[int, ...]:
    """By the number of shards, the shard, and the part of it."""
    shard = _place(path)
    whole = shard.within or shard
    return (whole.count, whole.index, *((shard.count, shard.index) if shard.within else ()))


def _seconds_left(shards: Sequence[ShardStatus]) -> dict[str, float]:
    """By shard; a shard without a pace yet is assumed to have the mean pace of the others."""
    paces = [shard.pace for shard in shards if shard.pace is not None]
    usual = sum(paces) / len(paces) if paces else None
    left = {}
    for shard in shards:
        pace = shard.pace if shard.pace is not None else usual
        if pace is not None:
            left[shard.shard] = shard.estimate_left * pace
    return left


def _total_time(shards: Sequence[ShardStatus]) -> Time:
    phases: Counter[str] = Counter()
    for shard in shards:
        phases.update(shard.time.phases)
    return Time(wall=sum(shard.time.wall for shard in shards), phases=dict(phases))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
