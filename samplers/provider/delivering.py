"""The images of one remote generator as they are delivered: requested in order, and stored as images of others are."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from samplers.foreign.image import ForeignImage
from samplers.provider.ledger import Ledger
from samplers.provider.owed import Owed
from samplers.provider.requesting import Requests, Result
from workspace.printable import printable

#: Samples that are requested before the first of them is stored: their images are in memory.
WAVE = 32


class Deliveries:
    """The source of a generator's images for `samplers.foreign.storing.store_foreign`."""

    def __init__(self, owed: Owed, ledger: Ledger, requests: Callable[[int], Requests]) -> None:
        """`requests`: those of the plan that has a sample."""
        self._owed, self._ledger, self._requests = owed, ledger, requests
        self._given: deque[int] = deque()
        self._needed = 0
        self.error: Exception | None = None
        """Why no more is requested; None: nothing is in the way."""

    def need(self, images: int) -> None:
        """Say how many images are to be delivered at most until the next call: one that nobody needs would be paid."""
        self._needed = images

    def images(self, first: int, stop: int) -> Iterator[ForeignImage]:
        """The samples [first, stop) in order; ends earlier where no more is needed, or can be had (`error`).

        Where nothing is needed an image is damaged: that is asked for too, so that the ledger says what is wrong.
        """
        self._given.clear()
        self._needed = max(1, self._needed)
        while first < stop and self._needed > 0 and self.error is None:
            plan = self._owed.plan_of(first)
            count = min(self._needed, WAVE, stop - first, plan.stop - first)
            samples = [plan.sample(index) for index in range(first, first + count)]
            results, self.error = self._requests(first).results(samples)
            for result in results:
                self._needed -= result.status == "delivered"
                self._given.append(result.sample.index)
                yield self._image(result)
            first += len(results)

    def stored(self, rows: int) -> None:
        """The rows of so many more samples are on the disk."""
        for _ in range(rows):
            self._ledger.stored(self._given.popleft())

    def _image(self, result: Result) -> ForeignImage:
        sample, settings = result.sample, self._owed.plan_of(result.sample.index).hyperparameters
        image = ForeignImage(
            content=result.content,
            prompt=sample.prompt,
            prompt_id=sample.prompt_id,
            real_source=sample.real_source,
            negative_prompt=settings.negative_prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
        )
        if result.status == "delivered":
            notes: dict[str, Any] = {name: printable(text) for name, text in result.notes.items()}
            return replace(image, metadata={"provider": notes} if notes else {})
        return replace(image, status=result.status, detail=result.notes.get("reason"))
