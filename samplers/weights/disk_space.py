"""Room on the disk: who needs which contents, what fits beside it, and what has to go.

Every supervisor states in its slot what it needs: the contents it keeps for the whole run (the checker's), those it
holds (of the generators that are being sampled, are there already, or are being fetched), and in which order it will
come to its other generators. A generator gets room for all its contents at once or none, in turn; so two supervisors
never wait for each other with half a generator each.

What anybody holds is never removed. What nobody needs any more is removed when a generator is done. Beyond that,
contents are removed where another generator's need the room, those first that are needed last. The generator that is
waited for may have anything removed that is not held; one that is fetched ahead, only what is needed later than
itself. Who waits for room with an idle device draws a number, and the lowest number is served first: until then
nobody else is given room, so large generators are not passed over for ever.

Two limits hold: the bytes below the weights directory, each content counted once, stay below `--max-disk`, and some
of the disk stays free.
"""

import bisect
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samplers.weights.fetching import FetchError, StorageError
from samplers.weights.pool import Pool
from samplers.weights.scratch import Slot
from workspace.size import text_of

#: Of the disk stays free, whichever is less: room for images, logs and whoever else works here. A system whose disk
#: is full stops more than this run; a fiftieth is for small disks, where 2 GiB would be a lot.
FLOOR_BYTES = 2 << 30
FLOOR_SHARE = 0.02
#: Files take whole blocks of a disk.
_BLOCK = 4096

_NEEDS, _ORDER = "needs.json", "order.json"
_NEVER = float("inf")


@dataclass(kw_only=True)
class Needs:
    """What a supervisor states, but for the order of its generators; contents with their bytes."""

    kept: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=dict)
    """By generator."""
    begun: int = 0
    """How many generators of its order it has had room for."""
    number: int | None = None
    """Drawn while it waits for room with an idle device."""

    @property
    def contents(self) -> dict[str, int]:
        """All that may not be removed."""
        return self.kept | {key: size for contents in self.held.values() for key, size in contents.items()}


class Room:
    """The room in the weights directory, as the owner of `slot` may use it; `max_disk` in bytes, None: no limit."""

    def __init__(self, slot: Slot, pool: Pool, max_disk: int | None) -> None:
        self._slot, self._pool, self._max_disk = slot, pool, max_disk
        self._mine = Needs()
        self._place: dict[str, int] = {}
        self._order: dict[str, list[int]] = {}
        self._orders: dict[Path, dict[str, list[int]]] = {}

    def expect(self, generators: Mapping[str, Iterable[str]]) -> None:
        """State the contents of all generators to come, nearest first; said once."""
        order = [sorted(set(keys)) for keys in generators.values()]
        self._place = {name: place for place, name in enumerate(generators)}
        self._order = _places(order)
        _write(self._slot.path / _ORDER, order)

    def keep(self, checker: str, contents: Mapping[str, int]) -> bool:
        """Ask for contents of the whole run, as `hold` does for those of a generator that is waited for."""
        return self._ask(checker, contents, waited_for=True, for_the_run=True)

    def hold(self, generator: str, contents: Mapping[str, int], waited_for: bool) -> bool:
        """Ask for room for the contents of the next generator; False: not now, ask again.

        Raises `FetchError` for one that can never fit, `StorageError` where a full disk is the reason that it does not.
        """
        return self._ask(generator, contents, waited_for=waited_for, for_the_run=False)

    def release(self, generator: str) -> None:
        """Hold a generator's contents no longer, and remove what nobody needs any more."""
        with self._slot.turn:
            self._mine.held.pop(generator, None)
            self._state()
            slots = self._slots()
            in_use = self._in_use(slots)
            for key in self._pool.contents():
                if key not in in_use and self._next_need(key, slots) == _NEVER:
                    self._pool.remove(key)

    def _ask(self, name: str, contents: Mapping[str, int], *, waited_for: bool, for_the_run: bool) -> bool:
        self._refuse_what_never_fits(name, contents)
        with self._slot.turn:
            slots = self._slots()
            if not self._is_served(slots) or not self._make_room(name, contents, slots, waited_for):
                if waited_for:
                    self._draw_number(slots)
                return False
            if for_the_run:
                self._mine.kept |= contents
            else:
                self._mine.held[name] = dict(contents)
                self._mine.begun = self._place.get(name, -1) + 1
            self._mine.number = None
            self._state()
        return True

    def _make_room(self, name: str, contents: Mapping[str, int], slots: Mapping[Path, Needs], waited_for: bool) -> bool:
        """Remove what has to go for these contents, if that is enough; otherwise nothing."""
        in_use = self._in_use(slots) | dict(contents)
        stored = self._pool.contents()
        over_limit, over_disk = self._lacking(in_use, contents, stored, slots)
        lacking, leaving = max(over_limit, over_disk), []
        spare = [(self._next_need(key, slots), key) for key in stored.keys() - in_use.keys()]
        for need, key in sorted(spare, reverse=True):
            if lacking > 0 and (waited_for or need > 0):
                leaving.append(key)
                lacking -= _on_disk(stored[key])
        if lacking > 0:
            if waited_for and not any(needs.held for needs in slots.values()):
                # Nobody will ever give room back.
                self._mine.number = None
                self._state()
                raise self._full(name, contents, over_disk > over_limit)
            return False
        for key in leaving:
            self._pool.remove(key)
        return True

    def _is_served(self, slots: Mapping[Path, Needs]) -> bool:
        """Whether nobody else is to be given room before."""
        numbers = [needs.number for needs in slots.values() if needs.number is not None]
        return not numbers or (self._mine.number is not None and self._mine.number < min(numbers))

    def _draw_number(self, slots: Mapping[Path, Needs]) -> None:
        if self._mine.number is None:
            self._mine.number = 1 + max((needs.number or 0 for needs in slots.values()), default=0)
            self._state()

    def _lacking(
        self,
        in_use: Mapping[str, int],
        asked: Mapping[str, int],
        stored: Mapping[str, int],
        slots: Mapping[Path, Needs],
    ) -> tuple[int, int]:
        """The bytes by which everything in use would be over the limit, and over what the disk has free."""
        to_come = sum(_on_disk(size) for key, size in in_use.items() if key not in stored)
        total = to_come + sum(_on_disk(size) for size in stored.values())
        if not self._pool.links:
            to_come += _total(asked)
            total += _total(asked) + sum(_total(needs.contents) for needs in (self._mine, *slots.values()))
        disk = shutil.disk_usage(self._slot.weights_dir)
        over_limit = total - self._max_disk if self._max_disk is not None else -1
        return over_limit, to_come + _floor(disk.total) - disk.free

    def _refuse_what_never_fits(self, name: str, contents: Mapping[str, int]) -> None:
        needed = self._needed(contents)
        if self._max_disk is not None and needed > self._max_disk:
            raise FetchError(f"{_takes(name, needed)}, more than --max-disk {text_of(self._max_disk)}")
        disk = shutil.disk_usage(self._slot.weights_dir).total
        if needed > disk - _floor(disk):
            raise FetchError(f"{_takes(name, needed)}, more than the disk of --weights-dir can hold")

    def _full(self, name: str, contents: Mapping[str, int], disk: bool) -> FetchError | StorageError:
        needed = self._needed(contents)
        if not disk:
            return FetchError(f"{_takes(name, needed)}, and what others keep does not fit beside it in --max-disk")
        usage = shutil.disk_usage(self._slot.weights_dir)
        return StorageError(
            f"--weights-dir {self._slot.weights_dir}: {_takes(name, needed)}, and {text_of(usage.free)} are free, "
            f"of which {text_of(_floor(usage.total))} stay so; make room, name another disk, or pass over large "
            "generators with --max-disk"
        )

    def _needed(self, contents: Mapping[str, int]) -> int:
        """Bytes of a generator and what is kept beside it."""
        return _total({**self._mine.kept, **contents}) * (1 if self._pool.links else 2)

    def _slots(self) -> dict[Path, Needs]:
        """What the others that live state."""
        slots = {path: _said(path) for path in self._slot.others()}
        for path in slots:
            if path not in self._orders and (order := _read(path / _ORDER)) is not None:
                self._orders[path] = _places(order)
        for path in self._orders.keys() - slots.keys():
            del self._orders[path]
        return slots

    def _in_use(self, slots: Mapping[Path, Needs]) -> dict[str, int]:
        together: dict[str, int] = {}
        for needs in (self._mine, *slots.values()):
            together |= needs.contents
        return together

    def _next_need(self, key: str, slots: Mapping[Path, Needs]) -> float:
        """How many generators some supervisor will begin before one that needs this content."""
        orders = [(self._order, self._mine.begun)]
        orders += [(self._orders.get(path, {}), needs.begun) for path, needs in slots.items()]
        return min(_after(order.get(key, []), begun) for order, begun in orders)

    def _state(self) -> None:
        _write(self._slot.path / _NEEDS, asdict(self._mine))


def _said(slot: Path) -> Needs:
    return Needs(**(_read(slot / _NEEDS) or {}))


def _read(path: Path) -> Any:
    """What a supervisor states; None where it does not state it yet."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _write(path: Path, value: Any) -> None:
    # Whole for whoever reads it; not flushed to the disk, because it means nothing once its process is gone.
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)


def _places(order: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """At which places of an order each content is needed."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, keys in enumerate(order):
        for key in keys:
            places[key].append(place)
    return dict(places)


def _after(places: list[int], begun: int) -> float:
    index = bisect.bisect_left(places, begun)
    return places[index] - begun if index < len(places) else _NEVER


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _total(contents: Mapping[str, int]) -> int:
    return sum(_on_disk(size) for size in contents.values())


def _floor(disk: int) -> int:
    return min(FLOOR_BYTES, int(disk * FLOOR_SHARE))


def _takes(name: str, size: int) -> str:
    return f"{name} and the safety checker take {text_of(size)}"
