"""Which samples of a generator are made: images that are damaged, gaps in the rows, and what comes after the last
row."""

from dataclasses import dataclass

from samplers.plan import Recipe
from samplers.sample import Memory
from samplers.storage.progress import GeneratorProgress


@dataclass(frozen=True, kw_only=True)
class MissingRange:
    """Samples [first, stop) to make, in one go."""

    first: int
    stop: int | None
    """None: until the number of images is reached."""
    call_size: int
    """Images of one pipeline call."""
    memory: Memory | None
    """How memory is saved; None: not at all."""
    damaged: frozenset[int] = frozenset()
    """Samples with a row whose image file is made again; empty: samples without rows."""


def next_range(progress: GeneratorProgress, damaged: frozenset[int], recipe: Recipe) -> MissingRange | None:
    """The samples to make next; None: the generator is complete.

    What comes after the last row is last: how many images are missing is known when nothing is missing before.
    """
    size = recipe.batch_size
    if damaged:
        return _damaged_batch(progress, damaged, size)
    if progress.gaps:
        first, stop = progress.gaps[0]
    elif not progress.is_complete(recipe):
        first, stop = progress.next_index, None
    else:
        return None
    return MissingRange(first=first, stop=stop, call_size=progress.call_size(size), memory=progress.memory)


def _damaged_batch(progress: GeneratorProgress, damaged: frozenset[int], batch_size: int) -> MissingRange:
    """The batch of the first damaged image, made as it was: with as many images of one call, and memory saved
    likewise."""
    start = min(damaged) - min(damaged) % batch_size
    batch = [row for row in progress.rows if start <= row.index < start + batch_size]
    return MissingRange(
        first=batch[0].index,
        stop=batch[-1].index + 1,
        call_size=max((row.call_size for row in batch if row.call_size is not None), default=batch_size),
        memory=batch[0].memory,
        damaged=damaged & {row.index for row in batch},
    )
