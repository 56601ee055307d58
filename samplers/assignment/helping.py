"""Helping: what a process samples when nothing of its own shard is left.

First generators of other shards that no process is at, the most expensive first, then units of those that others are at
(`samplers/assignment/units.py`): all shards end at about the same time, however wrong the estimates were or however
many of them were killed. A look costs two listings, of the outcomes and of the claims, and the rows of a few generators
under way.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from engines.choice import drawn, next_task
from engines.claims import Claims
from engines.task import Task
from samplers.assignment.pending import PendingGenerator, PendingWork, to_help_with
from samplers.assignment.units import unit_count, units_of
from samplers.options import SampleOptions
from samplers.planning.segments import images_owed
from samplers.storage.segment_progress import images_left, progress_by_segment
from workspace.layout import Workspace, generator_folder

#: How often generators under way are drawn and looked at before it is believed that none of them has a free unit.
_DRAWS = 4
#: Seconds until a generator is looked at again that was chosen, or of which nothing could be claimed.
_AGAIN_SECONDS = 60.0


class Helping:
    """Chooses what one process helps with."""

    def __init__(self, workspace: Workspace, options: SampleOptions, pending: PendingWork, claims: Claims) -> None:
        self._workspace, self._options, self._pending, self._claims = workspace, options, pending, claims
        self._folders = {generator_folder(name): name for name in pending.entries}
        self._last_round = max((one.recipe.round for all in pending.segments.values() for one in all), default=1)
        self._ended = {*pending.own} - {generator.entry.generator for generator in pending.generators}
        self._chosen: dict[str, float] = {}
        self._chance = random.Random()

    def next(self, without: Collection[str] = ()) -> PendingGenerator | None:
        """The generator to help with now; None: there is none. Not one of `without`."""
        while (task := self._choose(without)) is not None:
            generator = to_help_with(self._workspace, self._pending, self._options, task.name)
            if generator is not None:
                self._chosen[task.name] = time.monotonic()
                return generator
            self._ended.add(task.name)
        return None

    def leave(self, name: str) -> None:
        """Never choose a generator again: this process cannot get its files, so it would be tried for ever."""
        self._ended.add(name)

    def _choose(self, without: Collection[str]) -> Task | None:
        ended, taken = self._listed_outcomes(), self._claims.taken()
        workers = self._workers(taken)
        now = time.monotonic()
        recent = {name for name, at in self._chosen.items() if now - at < _AGAIN_SECONDS}
        others = ended | self._ended | recent | {*without}
        left = [name for name in self._pending.entries if name not in others]
        if untouched := [name for name in left if not workers[name]]:
            return next_task(self._untouched(name) for name in drawn(untouched, self._chance))
        # Of most that are under way every unit is claimed: a few draws, or a process would end too early.
        for _ in range(_DRAWS):
            names = drawn(left, self._chance)
            if (task := next_task(self._under_way(name, workers[name], taken) for name in names)) is not None:
                return task
            left = [name for name in left if name not in names]
        return None

    def _listed_outcomes(self) -> set[str]:
        """Generators with an outcome; where the recipe has several rounds, it may be one of a former round."""
        if self._last_round > 1:
            return set()
        with suppress(FileNotFoundError), os.scandir(self._workspace.outcomes) as files:
            return {self._folders.get(file.name.removesuffix(".json"), "") for file in files}
        return set()

    def _workers(self, taken: Collection[str]) -> Counter[str]:
        """How many claims there are of each generator."""
        return Counter(self._folders[folder] for claim in taken if (folder := claim.partition("~")[0]) in self._folders)

    def _untouched(self, name: str) -> Task:
        """A generator that nobody is at; some of it may be sampled."""
        cost, segments = self._pending.costs[name], self._pending.segments[name]
        units = unit_count(segments[-1], cost)
        return Task(name=name, seconds=cost.seconds(images_owed(segments)), units=units, workers=0)

    def _under_way(self, name: str, workers: int, taken: Collection[str]) -> Task:
        generator = to_help_with(self._workspace, self._pending, self._options, name)
        if generator is None:
            return Task(name=name, seconds=0.0, units=0, workers=workers)
        states = progress_by_segment(generator.progress, generator.segments)
        folder = generator_folder(name)
        free = [unit for unit in units_of(states, generator.cost) if unit.claim(folder) not in taken]
        seconds = generator.cost.seconds(sum(images_left(states)))
        return Task(name=name, seconds=seconds, units=len(free), workers=workers)
