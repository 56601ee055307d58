"""The status of a run, read from the workspace's files: outcomes, the shards' run logs, and rows without an outcome.

It changes nothing, needs no network, and works during a run, from any node. What is done and what failed is read from
the outcomes. Rows are opened only for generators without an outcome, one for each running shard, so that the status of
thousands of generators takes seconds.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crawler.catalog import CatalogEntry, read_catalog
from samplers.claims import runs
from samplers.outcomes import Outcome, read_outcome
from samplers.recipe import recorded_recipes
from samplers.segments import Segment, segments_of
from samplers.status.shard_status import ShardFollower, ShardStatus, Time
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import is_complete, progress_by_segment
from workspace.errors import UsageError
from workspace.layout import Workspace, generator_folder

_RUN_LOG = re.compile(r"sample-(\d+)-of-(\d+)\.jsonl", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """The status of the whole run, on all shards."""

    generators: int
    """Compatible ones in the catalogue."""
    done: int
    failed: int
    left: int
    """Generators that are neither done nor failed, those being sampled included."""
    ends: Mapping[str, int]
    """Generators by how they ended: done, exhausted, or the failure with its reason."""
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
    seconds_left_of: Mapping[str, float]
    """Seconds until a shard is finished, by shard, where known."""
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Generators with an outcome or a part that cannot be read, and what to do; they are counted as left."""


class Watcher:
    """Reads the status of a workspace again and again; of run logs only what was added since."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._followers: dict[Path, ShardFollower] = {}

    def look(self, now: float) -> RunStatus:
        """The status at `now`, in seconds since 1970. Raises `UsageError` without a catalogue."""
        segments = _segments(self._workspace)
        damaged: dict[str, str] = {}
        outcomes = {entry.generator: self._outcome(entry, asked, damaged) for entry, asked in segments}
        ended = [outcome for outcome in outcomes.values() if outcome is not None]
        ends = Counter(outcome.end for outcome in ended)
        kept, more_done = self._without_outcome(
            {entry.generator: asked for entry, asked in segments if outcomes[entry.generator] is None}, damaged
        )
        ends["done"] += more_done
        done = sum(not outcome.failed for outcome in ended) + more_done
        failed = sum(outcome.failed for outcome in ended)
        shards = self._shards(now)
        seconds_left_of = _seconds_left(shards)
        at_work = [shard for shard in shards if shard.at_work]
        return RunStatus(
            generators=len(segments),
            done=done,
            failed=failed,
            left=len(segments) - done - failed,
            ends=dict(sorted((+ends).items())),
            images=kept + sum(outcome.kept for outcome in ended),
            images_a_second=_sum([shard.images_a_second for shard in at_work]),
            recently=_sum([shard.recently for shard in at_work]),
            seconds_left=max(
                (seconds_left_of[shard.shard] for shard in at_work if shard.shard in seconds_left_of), default=None
            ),
            time=_total_time(shards),
            shards=shards,
            seconds_left_of=seconds_left_of,
            damaged=damaged,
        )

    def _shards(self, now: float) -> tuple[ShardStatus, ...]:
        found = []
        for path in self._workspace.logs.glob("sample-*-of-*.jsonl"):
            name = _RUN_LOG.fullmatch(path.name)
            status = self._followers.setdefault(path, self._follower(path)).status(now) if name else None
            if name is not None and status is not None:
                found.append(((int(name[2]), int(name[1])), status))
        return tuple(status for _, status in sorted(found, key=lambda pair: pair[0]))

    def _follower(self, path: Path) -> ShardFollower:
        return ShardFollower(path, lambda process, now: runs(self._workspace, process, now))

    def _outcome(self, entry: CatalogEntry, asked: Sequence[Segment], damaged: dict[str, str]) -> Outcome | None:
        """The outcome of a generator at the catalogue's revision, in the newest round that asks for images of it; one
        that cannot be read is added to `damaged`."""
        try:
            outcome = read_outcome(self._workspace, entry.generator)
        except UsageError as error:
            damaged[entry.generator] = str(error)
            return None
        if outcome is None or outcome.revision != entry.revision:
            return None
        is_former = not outcome.failed and any(outcome.round < segment.recipe.round for segment in asked)
        return None if is_former else outcome

    def _without_outcome(self, generators: Mapping[str, Sequence[Segment]], damaged: dict[str, str]) -> tuple[int, int]:
        """The number of images of generators without an outcome, and how many of these are finished; those of which a
        part cannot be read are added to `damaged`."""
        folders = {path.name for path in self._workspace.samples.iterdir()} if self._workspace.samples.is_dir() else {}
        kept: list[int] = []
        finished = 0
        for name, asked in generators.items():
            if generator_folder(name) in folders:
                try:
                    progress = progress_of(self._workspace, name)
                except UsageError as error:
                    damaged[name] = str(error)
                    continue
                kept.append(len(progress.kept))
                finished += bool(asked) and is_complete(progress, asked)
                gaps = [gap for one in progress_by_segment(progress, asked) for gap in one.gaps]
                if progress.damaged:
                    damaged[name] = f"{progress.damaged[0]} is damaged: run `cf-sample`, which makes it again"
                elif gaps:
                    first, stop = gaps[0]
                    folder = self._workspace.samples_of(name)
                    damaged[name] = (
                        f"{folder}: no rows of samples {first} to {stop - 1}: run `cf-sample`, which makes them again"
                    )
        return sum(kept), finished


def _segments(workspace: Workspace) -> list[tuple[CatalogEntry, tuple[Segment, ...]]]:
    """The compatible generators, and the samples that the rounds of the recipe ask for."""
    if not workspace.catalog.exists():
        raise UsageError(f"{workspace.catalog} does not exist: name the --workspace of a run, or run `cf-crawl` first")
    recipes = recorded_recipes(workspace)
    return [(entry, segments_of(entry, recipes)) for entry in read_catalog(workspace) if entry.status == "compatible"]


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
