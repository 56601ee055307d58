"""Which prompts a generator gets: a permutation of its own, spread over the real sources.

Every generator draws from the same pool in another order, the sources by their weights. So a few hundred images of each
generator cover all sources, and thousands of generators together cover the pool. Within a generator no text is repeated
before every text was used. The order depends on the key alone (`workspace.identity.number_of`), never on a library's
random numbers, and is computed step by step: the first eight hundred of half a million cost eight hundred steps.

The next source is always the one whose turn is due first: its n-th prompt (from 0) is due at (n + phase) / weight. With
equal weights the sources take turns. The phase, in [0, 1), differs between generators: a source of so little weight
that it is due once in ten generators is drawn in every tenth, not in none. Within a source, prompts with weights of
their own are drawn likewise.

Where prompts are reserved (`reservation`), the generators of a split draw from its prompts as if there were no others.

A prompt that was removed (`captioning/removed_prompts.py`) keeps its place in every order, so that nothing else moves.
Whoever draws it gets another prompt of the same source instead.
"""

import hashlib
import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import count, islice
from typing import TypeAlias

from captioning.prompt_table import PromptRow, PromptTable, PromptText
from captioning.removed_prompts import Place, RemovedPrompt, content_sha256
from crawler.holdout import Split
from samplers.planning.reservation import Reservation
from workspace.errors import UsageError
from workspace.identity import number_of

#: Numbers of rows of the table of prompts.
Rows: TypeAlias = Sequence[int]


def parse_weights(texts: Iterable[str]) -> dict[str, float]:
    """Read weights of real sources, each `NAME=WEIGHT`. Raises `UsageError` for anything else."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not name or not 0 <= weight < math.inf:
            raise UsageError(f"--source-weight {text}: not of the form NAME=WEIGHT, such as coco=2 (0: never)")
        if name in weights:
            raise UsageError(f"--source-weight {text}: {name} is given twice")
        weights[name] = weight
    return weights


class PromptPool:
    """All prompts of the workspace. A text that several prompts have is used once, with the first of them.

    So a text that several images have is reserved as the first of them is, and is on no two sides.
    """

    def __init__(
        self,
        prompts: PromptTable | Iterable[Place],
        weights: Mapping[str, float] | None = None,
        reservation: Reservation = Reservation(),
        last_round: int | None = None,
    ) -> None:
        """`weights`: how often a real source is drawn, compared with the others; 1 where none is given, 0 for never.
        `last_round`: prompts of later rounds are not there; None: all are.

        Raises `UsageError` for a weight of a source that does not exist, where every source or prompt has weight 0, and
        for a prompt whose own weight is none.
        """
        #: All prompts, those that it leaves out too.
        self.table: PromptTable = prompts if isinstance(prompts, PromptTable) else PromptTable.of(prompts)
        weights, reserved = weights or {}, bool(reservation.share)
        digest = hashlib.sha256()
        sources: set[str] = set()
        texts: set[bytes] = set()
        # Rows of the table, by the split, the real source and the weight of the prompt.
        self._rows: dict[Split, dict[str, dict[float, array[int]]]] = {"train": {}, "validation": {}, "test": {}}
        for row, prompt in enumerate(self.table.rows()):
            if last_round is not None and prompt.round > last_round:
                continue
            removed = self.table.removed.get(row)
            digest.update(_content(prompt, removed, reserved).encode())
            sources.add(prompt.real_source)
            weight = 1.0 if prompt.weight is None else prompt.weight
            if not 0 <= weight < math.inf:
                raise UsageError(f"prompt {prompt.prompt_id}: its weight {weight} must be 0 (never) or a larger number")
            if weight and weights.get(prompt.real_source) != 0 and (text := _text(prompt, removed)) not in texts:
                texts.add(text)
                split = reservation.split_of_prompt(self.table[row]) if reserved else "train"
                by_weight = self._rows[split].setdefault(prompt.real_source, {})
                by_weight.setdefault(weight, array("I")).append(row)
        for name in sorted(weights.keys() - sources):
            known = ", ".join(sorted(sources)) or "none"
            raise UsageError(f"--source-weight {name}: no such real source in this workspace; it has: {known}")
        if sources and not texts:
            raise UsageError(
                "every real source (--source-weight) or prompt has weight 0, so there is no prompt to draw"
            )
        # As numbers of one type: the recipe tells 2 from 2.0.
        self._weights = {source: float(weights.get(source, 1)) for source in sorted(sources)}
        self._without_removed: dict[tuple[Split, str | None], Rows] = {}
        #: Of all prompts; None where there are none.
        self.digest: str | None = digest.hexdigest() if sources else None
        self.size: int = len(texts)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of every real source, by name."""
        return dict(self._weights)

    def sizes(self, split: Split | None = None) -> dict[str, int]:
        """How many texts the generators of a split have (None: of all), by real source; sources of weight 0 are left
        out."""
        all_sources = sorted({source for by_source in self._rows.values() for source in by_source})
        counted = self._rows.values() if split is None else (self._rows[split],)
        return {source: sum(_size(by_source.get(source, {})) for by_source in counted) for source in all_sources}

    def draw(self, key: str, split: Split = "train") -> Iterator[PromptText]:
        """Prompts of a split without end, in the order that belongs to `key`; nothing where it has none."""
        return (self.filled(place, key, split) for place in self.places(key, split))

    def filled(self, place: PromptText | RemovedPrompt, key: str, split: Split = "train") -> PromptText:
        """The prompt at a place that `key` draws: of a removed one another prompt of the same source, which depends on
        the place and the key alone, so that no other place has another prompt than before.

        Raises `UsageError` where no prompt of the split is left.
        """
        if not isinstance(place, RemovedPrompt):
            return place
        left = self._left(split, place.real_source) or self._left(split)
        if not left:
            raise UsageError(
                f"the real images of all prompts that the generators of {split} had were removed (`cf-remove`): "
                "caption more images with `cf-caption`"
            )
        instead = self.table[left[number_of(key, "in place of", place.prompt_id) % len(left)]]
        assert isinstance(instead, PromptText)
        return instead

    def _left(self, split: Split, source: str | None = None) -> Rows:
        """The prompts of a split, of one source or of all (None), without the removed ones."""
        if (split, source) not in self._without_removed:
            by_source = self._rows[split]
            self._without_removed[split, source] = [
                row
                for name in (sorted(by_source) if source is None else [source])
                for _, rows in sorted(by_source.get(name, {}).items())
                for row in rows
                if row not in self.table.removed
            ]
        return self._without_removed[split, source]

    def places(
        self, key: str, split: Split = "train", planned: Collection[str] = ()
    ) -> Iterator[PromptText | RemovedPrompt]:
        """Prompts of a split without end, and the places of removed ones, in the order that belongs to `key`. Those
        whose ids are `planned` already come after all others."""
        if planned:
            size = sum(self.sizes(split).values())
            yield from (place for place in islice(self.places(key, split), size) if place.prompt_id not in planned)
        yield from (self.table[row] for row in self._order(key, split))

    def _order(self, key: str, split: Split) -> Iterator[int]:
        """The rows of a split without end, in the order that belongs to `key`."""
        by_source = self._rows[split]
        streams = {source: _stream(by_weight, key, source) for source, by_weight in sorted(by_source.items())}
        lap = 0
        while streams:
            turns = [sorted(streams)[number] for number in permutation(len(streams), key, "sources", lap)]
            phase = number_of(key, "phase", lap) / 2**63
            # Each source gives as many as it has texts, and then the next lap begins.
            yield from _in_turn(
                (self._weights[source], phase, islice(streams[source], _size(by_source[source]))) for source in turns
            )
            lap += 1


def permutation(size: int, *key: str | int) -> Iterator[int]:
    """The numbers below `size`, each once, in an order that depends on `key` alone.

    The shuffle of Fisher and Yates, which stores only the positions that it has touched: memory grows with what is
    drawn.
    """
    moved: dict[int, int] = {}
    for position in range(size):
        other = position + number_of(*key, position) % (size - position)
        yield moved.get(other, other)
        moved[other] = moved.pop(position, position)


def _stream(by_weight: Mapping[float, Rows], key: str, source: str) -> Iterator[int]:
    """The prompts of one source without end: one permutation after the other, or by their weights where they differ.

    Prompts of one weight are permuted, and take turns with those of other weights. Each weight has a phase of its own,
    so the share of generators for which a prompt is among the first few is proportional to its weight (sequential
    Poisson sampling; Ohlsson 1998).
    """
    if len(by_weight) == 1:
        return _laps(next(iter(by_weight.values())), key, source)
    return _in_turn(
        (
            weight * len(rows),
            number_of(key, source, "phase", str(weight)) / 2**63,
            _laps(rows, key, source, str(weight)),
        )
        for weight, rows in sorted(by_weight.items())
    )


def _size(by_weight: Mapping[float, Rows]) -> int:
    return sum(map(len, by_weight.values()))


def _laps(rows: Rows, *key: str) -> Iterator[int]:
    for lap in count():
        for number in permutation(len(rows), *key, lap):
            yield rows[number]


def _in_turn(streams: Iterable[tuple[float, float, Iterator[int]]]) -> Iterator[int]:
    """Of several streams, each with a weight and a phase, always the one whose turn is due first: its n-th (from 0) at
    (n + phase) / weight, and of several that are due at the same time the first given. One that ends drops out."""
    turns = [(phase / weight, order, 0, weight, phase, stream) for order, (weight, phase, stream) in enumerate(streams)]
    heapify(turns)
    while turns:
        _, order, drawn, weight, phase, stream = turns[0]
        row = next(stream, None)
        if row is None:
            heappop(turns)
            continue
        yield row
        heapreplace(turns, ((drawn + 1 + phase) / weight, order, drawn + 1, weight, phase, stream))


def _content(prompt: PromptRow, removed: RemovedPrompt | None, reserved: bool) -> str:
    """The sha256 of what of a prompt the draw depends on."""
    if removed is not None:
        return removed.reserved_sha256 if reserved else removed.sha256
    return content_sha256(
        prompt.prompt_id, prompt.prompt or "", prompt.weight, (prompt.real_sha256 or "") if reserved else None
    )


def _text(prompt: PromptRow, removed: RemovedPrompt | None) -> bytes:
    """The sha256 of its text."""
    if removed is not None:
        return bytes.fromhex(removed.text_sha256)
    return hashlib.sha256((prompt.prompt or "").encode()).digest()
