"""What may be spent, and how many images are within it."""

import math
from dataclasses import dataclass

from samplers.provider.ledger import Spent
from workspace.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """The most images, and US dollars, that the generators of a command may cost together, in all runs on a workspace;
    None: no limit."""

    images: int | None = None
    dollars: float | None = None

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 0:
            raise UsageError("--max-images must be 0 or more")
        if self.dollars is not None and not 0 <= self.dollars < math.inf:
            raise UsageError("--max-cost must be 0 or more US dollars")

    def left(self, spent: Spent, price: float) -> float:
        """Images of that price that may still be paid for; infinity: without limit."""
        return max(0, min(self._images_left(spent), self._affordable(spent, price)))

    def reached(self, spent: Spent, price: float) -> str:
        """Which limit keeps further images from being requested, in words."""
        if self._images_left(spent) <= self._affordable(spent, price):
            return f"--max-images {self.images} is reached"
        return f"--max-cost {self.dollars:g} is reached"

    def _images_left(self, spent: Spent) -> float:
        return math.inf if self.images is None else self.images - spent.images

    def _affordable(self, spent: Spent, price: float) -> float:
        if self.dollars is None or not price:
            return math.inf
        # Prices are decimal numbers: sums of them as binary ones are off by less than this.
        return math.floor((self.dollars - spent.dollars + 1e-9) / price)
