"""Disk space: which contents are needed, what fits beside them, and what is removed.

Every supervisor states in its process folder what it needs: contents for the whole run (the safety checker's), contents
of generators that it has reserved space for (being downloaded, complete, or being sampled), and the order in which it
samples its other generators. A generator gets space for all its contents at once or none, under the lock. So two
supervisors never wait for each other with half a generator each.

Reserved contents are never removed. Contents that nobody needs any more are removed when a generator is done. Otherwise
contents are removed only where another generator needs the space, those first that are needed last. A generator that
the device waits for (`urgent`) may have any content removed that is not reserved; a generator that is downloaded ahead
only contents that are needed later than itself. A supervisor that waits for space with an idle device takes a ticket,
and the lowest ticket is served first: until then no other supervisor gets space, so large generators are not postponed
for ever.

Of a store that `cf-fetch` keeps, only `cf-fetch` removes what is done, and what it holds for samplers stays reserved
until then; samplers hold what they use (`hold`).

Two limits hold: the bytes below the weights directory, each content counted once, stay below `--max-disk`, and some of
the disk stays free.
"""

import bisect
import json
import shutil
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samplers.weights.fetching import FetchError, StorageError
from samplers.weights.pool import ContentPool
from samplers.weights.process_folder import ProcessFolder
from workspace.size import text_of

#: This much of the disk stays free, the lesser of the two: space for images, logs and other programs. A full disk stops
#: more than this run; the share is for small disks, where 2 GiB would be much.
FREE_BYTES = 2 << 30
FREE_SHARE = 0.02
#: Files take whole blocks of a disk.
_BLOCK = 4096

_NEEDS, _ORDER = "needs.json", "order.json"
_NEVER = float("inf")


@dataclass(kw_only=True)
class Needs:
    """What a supervisor states, without the order of its generators; contents with their bytes."""

    for_run: dict[str, int] = field(default_factory=dict)
    """Contents of the whole run."""
    reserved: dict[str, dict[str, int]] = field(default_factory=dict)
    """Contents by generator."""
    begun: int = 0
    """How many generators of its order have had space."""
    ticket: int | None = None
    """Taken while it waits for space with an idle device."""

    @property
    def contents(self) -> dict[str, int]:
        """All contents that may not be removed."""
        return self.for_run | {key: size for contents in self.reserved.values() for key, size in contents.items()}


class DiskSpace:
    """The space in the weights directory, as the owner of `folder` may use it; `max_disk` in bytes, None: no limit."""

    def __init__(self, folder: ProcessFolder, pool: ContentPool, max_disk: int | None) -> None:
        self._folder, self._pool, self._max_disk = folder, pool, max_disk
        self._own = Needs()
        self._position: dict[str, int] = {}
        self._order: dict[str, list[int]] = {}
        self._orders: dict[Path, dict[str, list[int]]] = {}

    def announce(self, generators: Mapping[str, Iterable[str]]) -> None:
        """State the contents of all generators to come, in their order; once."""
        order = [sorted(set(keys)) for keys in generators.values()]
        self._position = {name: position for position, name in enumerate(generators)}
        self._order = _positions(order)
        _write(self._folder.path / _ORDER, order)

    def reserve_for_run(self, checker: str, contents: Mapping[str, int]) -> bool:
        """Reserve space for contents of the whole run; otherwise as `reserve` for an urgent generator."""
        return self._request(checker, contents, urgent=True, for_run=True)

    def reserve(self, generator: str, contents: Mapping[str, int], urgent: bool) -> bool:
        """Reserve space for the contents of the next generator; False: not possible now, try again.

        `urgent`: the device is idle until its files are complete. Raises `FetchError` for a generator that can never
        fit, `StorageError` where a full disk is the reason that it does not.
        """
        return self._request(generator, contents, urgent=urgent, for_run=False)

    def hold(self, generators: Mapping[str, Mapping[str, int]]) -> list[str]:
        """Reserve the contents of those generators whose contents are all in the pool; returns these."""
        with self._folder.lock:
            stored = self._pool.names()
            held = [name for name, contents in generators.items() if stored.issuperset(contents)]
            self._own.reserved |= {name: dict(generators[name]) for name in held}
            if held:
                self._state()
        return held

    def hold_for_run(self, contents: Mapping[str, int]) -> bool:
        """Reserve contents of the whole run; False: one is not in the pool."""
        with self._folder.lock:
            if not self._pool.names().issuperset(contents):
                return False
            self._own.for_run |= contents
            self._state()
        return True

    def drop(self, generator: str) -> None:
        """End the reservation of a generator; its contents stay until somebody needs the space."""
        with self._folder.lock:
            self._own.reserved.pop(generator, None)
            self._state()

    def free(self, generators: Iterable[str], keys: Iterable[str], needed: Container[str]) -> None:
        """End the reservation of generators, and remove those of these contents that are not needed or in use."""
        with self._folder.lock:
            for generator in generators:
                self._own.reserved.pop(generator, None)
            self._state()
            in_use = self._in_use(self._others())
            for key in keys:
                if key not in in_use and key not in needed:
                    self._pool.remove(key)

    @property
    def users(self) -> set[str]:
        """The generators that other running processes have reserved."""
        with self._folder.lock:
            return {name for needs in self._others().values() for name in needs.reserved}

    def release(self, generator: str) -> None:
        """End the reservation of a generator, and remove contents that nobody needs any more."""
        if self._folder.is_kept:
            self.drop(generator)
            return
        with self._folder.lock:
            self._own.reserved.pop(generator, None)
            self._state()
            others = self._others()
            in_use = self._in_use(others)
            for key in self._pool.contents():
                if key not in in_use and self._next_need(key, others) == _NEVER:
                    self._pool.remove(key)

    def _request(self, name: str, contents: Mapping[str, int], *, urgent: bool, for_run: bool) -> bool:
        self._refuse_what_never_fits(name, contents)
        with self._folder.lock:
            others = self._others()
            if not self._is_served(others) or not self._make_space(name, contents, others, urgent):
                if urgent:
                    self._take_ticket(others)
                return False
            if for_run:
                self._own.for_run |= contents
            else:
                self._own.reserved[name] = dict(contents)
                self._own.begun = max(self._own.begun, self._position.get(name, -1) + 1)
            self._own.ticket = None
            self._state()
        return True

    def _make_space(self, name: str, contents: Mapping[str, int], others: Mapping[Path, Needs], urgent: bool) -> bool:
        """Remove what has to be removed for these contents, if that is enough; otherwise nothing."""
        in_use = self._in_use(others) | dict(contents)
        stored = self._pool.contents()
        over_limit, over_disk = self._missing_bytes(in_use, contents, stored, others)
        missing, removed = max(over_limit, over_disk), []
        unused = [(self._next_need(key, others), key) for key in stored.keys() - in_use.keys()]
        for need, key in sorted(unused, reverse=True):
            if missing > 0 and (urgent or need > 0):
                removed.append(key)
                missing -= _on_disk(stored[key])
        if missing > 0:
            if urgent and not any(needs.reserved for needs in others.values()):
                # Nobody will ever release space.
                self._own.ticket = None
                self._state()
                raise self._full(name, contents, over_disk > over_limit)
            return False
        for key in removed:
            self._pool.remove(key)
        return True

    def _is_served(self, others: Mapping[Path, Needs]) -> bool:
        """Whether no other supervisor is to be served first."""
        tickets = [needs.ticket for needs in others.values() if needs.ticket is not None]
        return not tickets or (self._own.ticket is not None and self._own.ticket < min(tickets))

    def _take_ticket(self, others: Mapping[Path, Needs]) -> None:
        if self._own.ticket is None:
            self._own.ticket = 1 + max((needs.ticket or 0 for needs in others.values()), default=0)
            self._state()

    def _missing_bytes(
        self,
        in_use: Mapping[str, int],
        requested: Mapping[str, int],
        stored: Mapping[str, int],
        others: Mapping[Path, Needs],
    ) -> tuple[int, int]:
        """The bytes by which everything in use would exceed the limit, and by which it would exceed the free disk."""
        to_download = sum(_on_disk(size) for key, size in in_use.items() if key not in stored)
        total = to_download + sum(_on_disk(size) for size in stored.values())
        if not self._pool.links:
            to_download += _total(requested)
            total += _total(requested) + sum(_total(needs.contents) for needs in (self._own, *others.values()))
        disk = shutil.disk_usage(self._folder.weights_dir)
        over_limit = total - self._max_disk if self._max_disk is not None else -1
        return over_limit, to_download + _free_bytes(disk.total) - disk.free

    def _refuse_what_never_fits(self, name: str, contents: Mapping[str, int]) -> None:
        needed = self._needed(contents)
        if self._max_disk is not None and needed > self._max_disk:
            raise FetchError(f"{_takes(name, needed)}, more than --max-disk {text_of(self._max_disk)}")
        disk = shutil.disk_usage(self._folder.weights_dir).total
        if needed > disk - _free_bytes(disk):
            raise FetchError(f"{_takes(name, needed)}, more than the disk of --weights-dir can hold")

    def _full(self, name: str, contents: Mapping[str, int], disk: bool) -> FetchError | StorageError:
        needed = self._needed(contents)
        if not disk:
            return FetchError(
                f"{_takes(name, needed)}; with the files of other runs on this node, that is more than --max-disk"
            )
        usage = shutil.disk_usage(self._folder.weights_dir)
        return StorageError(
            f"--weights-dir {self._folder.weights_dir}: {_takes(name, needed)}; {text_of(usage.free)} are free, and "
            f"{text_of(_free_bytes(usage.total))} must stay free; make room, name a folder on another disk, or skip "
            "large generators with --max-disk"
        )

    def _needed(self, contents: Mapping[str, int]) -> int:
        """Bytes of a generator together with the contents of the whole run."""
        return _total({**self._own.for_run, **contents}) * (1 if self._pool.links else 2)

    def _others(self) -> dict[Path, Needs]:
        """What the other running supervisors state."""
        others = {path: _stated(path) for path in self._folder.others()}
        for path in others:
            if path not in self._orders and (order := _read(path / _ORDER)) is not None:
                self._orders[path] = _positions(order)
        for path in self._orders.keys() - others.keys():
            del self._orders[path]
        return others

    def _in_use(self, others: Mapping[Path, Needs]) -> dict[str, int]:
        together: dict[str, int] = {}
        for needs in (self._own, *others.values()):
            together |= needs.contents
        return together

    def _next_need(self, key: str, others: Mapping[Path, Needs]) -> float:
        """How many generators a supervisor will begin before one that needs this content; the least of all."""
        orders = [(self._order, self._own.begun)]
        orders += [(self._orders.get(path, {}), needs.begun) for path, needs in others.items()]
        return min(_distance(order.get(key, []), begun) for order, begun in orders)

    def _state(self) -> None:
        _write(self._folder.path / _NEEDS, asdict(self._own))


def _stated(folder: Path) -> Needs:
    return Needs(**(_read(folder / _NEEDS) or {}))


def _read(path: Path) -> Any:
    """What a supervisor states; None before it states anything."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _write(path: Path, value: Any) -> None:
    # Complete for every reader; not flushed to the disk, because it means nothing once its process is gone.
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)


def _positions(order: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """The positions of an order at which each content is needed."""
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for position, keys in enumerate(order):
        for key in keys:
            positions[key].append(position)
    return dict(positions)


def _distance(positions: list[int], begun: int) -> float:
    index = bisect.bisect_left(positions, begun)
    return positions[index] - begun if index < len(positions) else _NEVER


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _total(contents: Mapping[str, int]) -> int:
    return sum(_on_disk(size) for size in contents.values())


def _free_bytes(disk: int) -> int:
    return min(FREE_BYTES, int(disk * FREE_SHARE))


def _takes(name: str, size: int) -> str:
    return f"{name} and the safety checker need {text_of(size)}"
