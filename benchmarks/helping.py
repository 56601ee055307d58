"""Processes that help each other, against static shards, on a virtual clock: the time over the lower bound.

Estimates, shards, the grid of units and the choice of the next generator are the product's own; the clock, the images
and the file system are imagined. A process sees of the others what was so at the last full minute, as with a network
file system that keeps listings. It chooses the next generator when it begins the one before, because that one's files
are downloaded meanwhile; so a choice may be hours old.

The lower bound is the mean over the processes of what has to be done, each generator loaded once and nothing waited
for.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.imagined_campaign import Generator, campaign
from benchmarks.timing import Comparison
from engines.choice import drawn, next_task
from engines.task import Task
from samplers.assignment.shard_assignment import assign_shards
from samplers.assignment.units import unit_count

#: Processes, generators, and the most that the time over the lower bound is claimed to be.
SIZES = ((64, 5_000, 1.05), (1_024, 50_000, 1.10))
#: Seconds for which a listing may be old, and between two looks of a process that found nothing.
AGE, LOOK = 60.0, 60.0
#: Calls of the file system for a claim and its release, and for a claim that another process has (`folder_lock`); for
#: what a process looks at before it claims: all claims, and one generator's parts and batches.
CLAIM, IN_VAIN, LISTING = 7, 9, 1
#: The claim of a generator, beside those of its units.
_ALL = -1


class Simulation:
    """So many processes that sample these generators."""

    def __init__(self, generators: Sequence[Generator], processes: int, seed: int = 0) -> None:
        self.now, self.end = 0.0, 0.0
        """Seconds; when the last generator ended."""
        self.calls = 0
        """Calls of the file system for claims and looks."""
        self.in_vain = 0
        """Claims that another process had."""
        self._chance = random.Random(seed)
        self._generators = {one.name: one for one in generators}
        self._left = len(generators)
        self._claims: dict[str, set[int]] = {}
        # What processes see, and what they will see later.
        self._whole = {one.name: _task(one, 0) for one in generators}
        self._untouched = dict(self._whole)
        self._names = list(self._untouched)
        self._place = {name: place for place, name in enumerate(self._names)}
        self._under_way: dict[str, set[int]] = {}
        self._later: deque[tuple[float, Callable[[], None]]] = deque()
        shards = assign_shards({name: task.seconds for name, task in self._untouched.items()}, processes)
        self._processes = [self._process(shards.names_of(number)) for number in range(1, processes + 1)]

    def run(self) -> None:
        """Until every generator has ended."""
        waiting = [(self._chance.uniform(0, AGE), number) for number in range(len(self._processes))]
        while waiting:
            self.now, number = heapq.heappop(waiting)
            if (seconds := next(self._processes[number], None)) is not None:
                heapq.heappush(waiting, (self.now + seconds, number))

    @property
    def bound(self) -> float:
        """The lower bound, in seconds. Of a generator that crashed the least counts: how much of it was made before
        depends on the order."""
        needed = (
            one.seconds if one.crash is None else min(one.seconds, one.spent) for one in self._generators.values()
        )
        return sum(needed) / len(self._processes)

    def _process(self, own: tuple[str, ...]) -> Iterator[float]:
        """One process: yields the seconds until it does the next thing."""
        ahead = iter(own)
        name, begun = next(ahead, None), 0.0
        recent: dict[str, float] = {}
        while self._left:
            if name is None and (name := self._choose(recent)) is None:
                yield LOOK
                continue
            generator = self._generators[name]
            recent[name] = self.now
            if generator.ended:
                name = next(ahead, None)
                continue
            if (wait := begun + generator.download - self.now) > 0:
                yield wait
            begun = self.now
            name = next(ahead, None) or self._choose(recent)
            yield from self._sample(generator)

    def _sample(self, generator: Generator) -> Iterator[float]:
        """Unit after unit; what is left at the end, where nobody is at it (`samplers/running/generator_run.py`)."""
        loaded = False
        while not generator.ended and (start := self._claim_unit(generator)) is not None:
            if not loaded:
                yield self._spend(generator, generator.load)
            loaded, crash = True, generator.crash
            unit = generator.units[start]
            for first, stop in unit.ranges:
                crashes = crash is not None and first <= crash < stop
                seconds, hangs = generator.time_of((crash if crashes and crash is not None else stop) - first)
                yield self._spend(generator, seconds)
                if crashes or hangs:
                    self._ended(generator)
                    break
            else:
                generator.add(unit)
            self._release(generator, start)
        if generator.ended or self._claims.get(generator.name) or not self._claim(generator, _ALL):
            return
        if not generator.units:
            if not loaded:
                yield self._spend(generator, generator.load)
            yield self._spend(generator, generator.time_of(generator.samples_left)[0])
            self._ended(generator)
        self._release(generator, _ALL)

    def _spend(self, generator: Generator, seconds: float) -> float:
        generator.spent += seconds
        return seconds

    def _claim_unit(self, generator: Generator) -> int | None:
        """Claim a unit that is free as far as one sees: the first one, or any where others are at it."""
        self.calls += 2 * LISTING
        taken = self._under_way.get(generator.name, set()) - {_ALL}
        free = [start for start in generator.units if start not in taken]
        if taken:
            self._chance.shuffle(free)
        return next((start for start in free if self._claim(generator, start)), None)

    def _claim(self, generator: Generator, unit: int) -> bool:
        claims = self._claims.setdefault(generator.name, set())
        if unit in claims:
            self.calls, self.in_vain = self.calls + IN_VAIN, self.in_vain + 1
            return False
        self.calls += CLAIM
        claims.add(unit)
        self._later.append((self.now, lambda: self._see(generator, unit, True)))
        return True

    def _release(self, generator: Generator, unit: int) -> None:
        self._claims[generator.name].remove(unit)
        self._later.append((self.now, lambda: self._see(generator, unit, False)))

    def _ended(self, generator: Generator) -> None:
        if not generator.ended:
            generator.ended, self.end = True, self.now
            self._left -= 1

    def _see(self, generator: Generator, unit: int, claimed: bool) -> None:
        """Others see that a unit was claimed, or released."""
        name = generator.name
        units = self._under_way.setdefault(name, set())
        (units.add if claimed else units.discard)(unit)
        if units or generator.ended:
            self._touch(name)
        else:
            self._touch(name)
            self._untouched[name], self._place[name] = self._whole[name], len(self._names)
            self._names.append(name)
        if not units:
            del self._under_way[name]

    def _touch(self, name: str) -> None:
        """Somebody is seen to be at a generator; the last name takes its place in the list."""
        if self._untouched.pop(name, None) is not None:
            place, last = self._place.pop(name), self._names.pop()
            if last != name:
                self._names[place], self._place[last] = last, place

    def _choose(self, recent: dict[str, float]) -> str | None:
        """The next generator to help with (`samplers/assignment/helping.py`); none of the last minute."""
        self.calls += 2 * LISTING
        while self._later and self._later[0][0] <= self.now - self.now % AGE:
            self._later.popleft()[1]()
        for name in [name for name, at in recent.items() if at < self.now - LOOK]:
            del recent[name]
        chosen = next_task(self._drawn_untouched(recent) or self._drawn_under_way(recent))
        return None if chosen is None else chosen.name

    def _drawn_untouched(self, recent: Mapping[str, float]) -> list[Task]:
        return [self._untouched[name] for name in drawn(self._names, self._chance) if name not in recent]

    def _drawn_under_way(self, recent: Mapping[str, float]) -> list[Task]:
        names = [name for name in self._under_way if name not in recent and not self._generators[name].ended]
        names = drawn(names, self._chance)
        self.calls += LISTING * len(names)
        return [_task(self._generators[name], len(self._under_way[name])) for name in names]


def _task(generator: Generator, workers: int) -> Task:
    """What is left of a generator, as the product estimates it."""
    units = max(0, len(generator.units) - workers) if workers else unit_count(generator.segment, generator.cost)
    seconds = generator.cost.seconds(max(1, generator.missing))
    return Task(name=generator.name, seconds=seconds, units=units, workers=workers)


def static_seconds(generators: Sequence[Generator], processes: int) -> float:
    """When the last of the static shards ends."""
    true = {one.name: one.seconds for one in generators}
    shards = assign_shards({one.name: one.cost.seconds(one.segment.images) for one in generators}, processes)
    return max(sum(true[name] for name in names) for names in shards.names)


def run() -> Iterator[Comparison]:
    """Each size once; in minutes of the virtual clock."""
    for processes, count, most in SIZES:
        generators = campaign(count)
        static = static_seconds(generators, processes)
        simulation = Simulation(generators, processes)
        simulation.run()
        bound = simulation.bound
        images = sum(one.kept for one in generators)
        what = (
            f"{processes:,} processes, {count:,} generators: {simulation.end / bound:.3f} of the lower bound with "
            f"helping, {static / bound:.2f} with static shards; "
            f"{simulation.calls / images:.2f} file operations an image, "
            f"{simulation.calls / simulation.end:.1f} a second"
        )
        yield Comparison(what, simulation.end, static, f"at most {most:.2f} of the lower bound")
