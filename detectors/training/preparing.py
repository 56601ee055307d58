"""Training images, decoded and augmented in processes with limits, because their files are strangers'.

The random numbers of an image depend on the run's seed, the pass and its sha256, so an image is the same whichever
process makes it, and however many there are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from detectors.data.images import MAX_PIXELS
from detectors.data.index import Index
from detectors.pixels.inputs import Image, Input
from detectors.training.draws import Together
from detectors.training.reading import ReadAhead
from workspace.errors import in_one_line
from workspace.limited.pool import Pool
from workspace.limited.process import LimitError, Limits, LostError

_LIMITS = Limits(processor=60, clock=600, memory=4 << 30, answer=64 << 20)
#: Images that are made ahead for each process, at least.
_AHEAD = 4


@dataclass(frozen=True)
class Wanted:
    """An image to prepare: its row, its scheme and the seed of its random numbers, and with what it is read."""

    row: int
    scheme: str
    seed: int = 0
    probability: float = 0.5
    together: Together | None = None


class Preparers:
    """The processes; a context manager that ends them."""

    def __init__(self, index: Index, sees: Input, processes: int | None = None, ahead: int = 0) -> None:
        """`processes`: None: one for each core that this process may use. `ahead`: images that are made before they are
        taken, at least."""
        self._index, self._input = index, sees
        self._pool = Pool("detectors.training.preparing_process", _LIMITS, processes)
        self._ahead = max(_AHEAD, -(-ahead // self._pool.processes))
        self._locators = index.table.column("locator")
        self._reading = ReadAhead(index)

    def __enter__(self) -> "Preparers":
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.close()
        self._pool.close()

    def read(self, wanted: Iterable[Wanted]) -> Iterator[Image | None]:
        """What the network sees of each image, (crop, crop, 3), in order; None for one that cannot be read: then
        `index.unread` says why.

        Raises `CommunityForensicsError` when no process can be started, `HubError` when the Hub does not answer.
        """
        return self._pool.each(self._prepared, self._reading.each(wanted), self._ahead)

    def _prepared(self, asked: tuple[Wanted, Callable[[], bytes]]) -> Image | None:
        one, content = asked
        message = {
            "suffix": PurePath(self._locators[one.row].as_py()).suffix,
            "pixels": MAX_PIXELS,
            "input": self._input.as_dict(),
            "scheme": one.scheme,
            "probability": one.probability,
            "seed": one.seed,
        }
        try:
            found = self._pool.ask(message, self._checked, content())
        except OSError as error:
            found = error.strerror or in_one_line(error, 200)
        except (LostError, LimitError) as error:
            found = f"the process that decodes it {error}"
        if isinstance(found, str):
            self._index.unread[one.row] = found
            return None
        return found

    def _checked(self, answer: dict[str, Any], pixels: bytes) -> Image | str:
        """What a process answered, which may be wrong in any way: then `KeyError`, `TypeError` or `ValueError`."""
        if "unreadable" in answer:
            return in_one_line(ValueError(str(answer["unreadable"])), 200, named=False)
        side = self._input.crop
        return np.frombuffer(pixels, np.uint8).reshape((side, side, 3))
