"""Requests images of samples: each is paid for once at most, whatever happens.

Before a request is sent the ledger has it, and its answer is in the ledger before it is looked at. A request that
failed, and made nothing, is sent again, after the wait that the provider asks for. One without an answer may have been
paid: it is sent again only as often as `repeat_unanswered` says, and then its sample has no image. An answer that names
an address is downloaded as often as needed: that is not paid.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from samplers.planning.plan import PlannedSample
from samplers.provider.answers import (
    FailedError,
    ProviderError,
    RefusedError,
    UnansweredError,
    WrongPromptError,
    judged,
)
from samplers.provider.download import Downloads, ForbiddenAddressError
from samplers.provider.key import Key
from samplers.provider.ledger import Ledger, Request, Spent
from samplers.provider.pace import Pace, StoppedError
from samplers.provider.sealing import SealError
from samplers.provider.service import Delivery, NoImageError, Service
from samplers.provider.spending import Limits
from workspace.errors import CommunityForensicsError, in_one_line

#: Times that one request is sent which makes nothing, until the run ends.
ATTEMPTS = 8
#: Images in a row that are paid, or may be, and do not come, until the run ends: something is wrong.
MOST_LOST = 5
#: Times that an image is downloaded in one run, and how long after its request a run still tries.
_DOWNLOADS, _PATIENCE = 5, timedelta(days=1)
#: Seconds that an interrupted run waits for what is on its way; schedulers kill after 30 s.
_SECONDS_AT_END = 10.0


class DeliveredBeforeError(CommunityForensicsError):
    """A sample is requested that was delivered before."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one sample."""

    sample: PlannedSample
    status: Literal["delivered", "refused", "unanswered"]
    content: bytes | None = field(default=None, repr=False)
    notes: dict[str, str] = field(default_factory=dict)
    """What the provider says of the image, or why there is none (`reason`)."""


class Requests:
    """Requests the images of one generator."""

    def __init__(
        self,
        service: Service,
        downloads: Downloads,
        ledger: Ledger,
        key: Key,
        *,
        price: float,
        limits: Limits,
        spent: Callable[[], Spent],
        at_once: int = 1,
        per_minute: float | None = None,
        repeat_unanswered: int = 0,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`price`: US dollars for an image. `spent`: of all generators that `limits` are for, as their ledgers have it.
        `at_once`: requests that are on their way together. `repeat_unanswered`: how often a request is sent again that
        may have been paid. `check` raises where another process took the generator over."""
        self._check = check
        self._service, self._downloads, self._ledger, self._key = service, downloads, ledger, key
        self._limits, self._spent = limits, spent
        self._price, self._at_once, self._repeat = price, at_once, repeat_unanswered
        self._stopping = threading.Event()
        self._pace = Pace(per_minute, self._stopping)
        self._lock = threading.Lock()
        self._lost = 0

    def stop(self) -> None:
        """Send nothing more; what is on its way may still come."""
        self._stopping.set()

    def results(self, samples: Sequence[PlannedSample]) -> tuple[list[Result], Exception | None]:
        """The results of the first of these samples, in order, up to the first that has none, and why it has none:
        `ProviderError`, `StoppedError` (a limit is reached, or `stop` was called), or what else was raised; None: all
        have.

        When it is interrupted (`KeyboardInterrupt`) nothing more is sent, and answers that come within some seconds are
        still put into the ledger.
        """
        allowed, reached = self._within_limits(samples)
        found: dict[int, Result | Exception] = {}
        waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[None] = queue.SimpleQueue()

        def work() -> None:
            while (number := waiting.get()) is not None:
                try:
                    found[number] = self._result(samples[number])
                except Exception as error:  # raised in the caller's thread
                    self._stopping.set()
                    found[number] = error
                done.put(None)

        # Threads that do not keep an interrupted process from ending.
        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(self._at_once, allowed))]
        for number in (*range(allowed), *(None for _ in threads)):
            waiting.put(number)
        for thread in threads:
            thread.start()
        try:
            for _ in range(allowed):
                done.get()
        except KeyboardInterrupt:
            self._stopping.set()
            ending = time.monotonic() + _SECONDS_AT_END
            with suppress(queue.Empty):
                while len(found) < allowed:
                    done.get(timeout=max(0.0, ending - time.monotonic()))
            raise
        results: list[Result] = []
        for number in range(allowed):
            result = found[number]
            if isinstance(result, Exception):
                # The first cause, not that others were stopped for it.
                return results, next(
                    (one for one in found.values() if isinstance(one, Exception) and not isinstance(one, StoppedError)),
                    result,
                )
            results.append(result)
        return results, None if reached is None else StoppedError(reached)

    def _within_limits(self, samples: Sequence[PlannedSample]) -> tuple[int, str | None]:
        """How many of the samples may be requested, from the first on, each as often as it may be, so that no limit is
        exceeded however the requests end; and which limit is reached then."""
        spent = self._spent()
        left = self._limits.left(spent, self._price)
        for number, sample in enumerate(samples):
            former = self._ledger.of(sample.index)
            if former and any(one.state in ("answered", "stored", "refused") for one in former):
                continue
            uncertain = sum(one.state in ("sent", "unanswered") for one in former)
            left -= max(0, 1 + self._repeat - uncertain)
            if left < 0:
                return number, self._limits.reached(spent, self._price)
        return len(samples), None

    def _result(self, sample: PlannedSample) -> Result:
        """Of one sample: from the ledger as far as it is there, else requested."""
        former = self._ledger.of(sample.index)
        for request in former:
            if request.state == "stored":
                raise DeliveredBeforeError(
                    f"sample {sample.index} was paid for and stored, and its row or image is gone or damaged: a "
                    "provider makes no image twice; restore it from a copy, or take it out with `cf-remove`"
                )
            if request.state == "answered":
                return self._delivered(request, sample)
        if former and former[-1].state == "refused":
            return self._without_image(sample, "refused", former[-1].detail or "")
        for request in former:
            if request.state == "sent":
                self._ledger.note(request, "unanswered", "its process ended before an answer came")
        return self._requested(sample)

    def _requested(self, sample: PlannedSample) -> Result:
        failures = 0
        while True:
            unanswered = [one for one in self._ledger.of(sample.index) if one.state == "unanswered"]
            if len(unanswered) > self._repeat:
                return self._without_image(sample, "unanswered", unanswered[-1].detail or "")
            self._pace.wait()
            self._check()
            # Counted, on the disk, before it is sent.
            request = self._ledger.send(sample.index, self._price)
            try:
                answer = self._service.ask(sample.prompt or "")
            except Exception as error:  # what a client raises, and what that means
                meaning = judged(error, self._key.name)
                words = self._key.without(str(meaning))
                match meaning:
                    case RefusedError():
                        self._ledger.note(request, "refused", words)
                        self._count(came=True)
                        return self._without_image(sample, "refused", words)
                    case WrongPromptError() if self._ledger.has_answers:
                        self._ledger.note(request, "refused", words)
                        return self._without_image(sample, "refused", words)
                    case WrongPromptError():
                        self._ledger.note(request, "failed", words)
                        raise ProviderError(
                            f"the provider does not take the request: {words}; change the parameters in the "
                            "generator's TOML file"
                        ) from None
                    case FailedError(wait=wait):
                        self._ledger.note(request, "failed", words)
                        failures += 1
                        if failures >= ATTEMPTS:
                            raise ProviderError(
                                f"the provider makes nothing at the moment ({words}): run the same command again later"
                            ) from None
                        self._pace.hold(failures, wait)
                    case UnansweredError():
                        self._ledger.note(request, "unanswered", words)
                        self._count(came=False, why=words)
                    case ProviderError():
                        self._ledger.note(request, "failed", words)
                        raise ProviderError(words) from None
                    case _:
                        self._ledger.note(request, "unanswered", self._key.without(in_one_line(error)))
                        raise
                continue
            return self._delivered(self._ledger.answer(request, answer), sample, answer)

    def _delivered(self, request: Request, sample: PlannedSample, answer: bytes | None = None) -> Result:
        """The image of an answer, which is paid."""
        try:
            delivery = self._service.delivery(self._ledger.answer_of(request) if answer is None else answer)
            content = delivery.content if delivery.url is None else self._downloaded(delivery, request)
        except (NoImageError, SealError, UnansweredError) as error:
            why = f"paid, and no image: {self._key.without(str(error))}"
            if answer is not None:
                self._count(came=False, why=why)
            return self._without_image(sample, "unanswered", why)
        except ForbiddenAddressError as error:
            raise ProviderError(
                f"the provider delivers an image, which is paid, at an address that nothing is downloaded from: "
                f"{self._key.without(str(error))}; it is kept, and the same command tries it again"
            ) from None
        self._count(came=True)
        notes = {name: self._key.without(value) for name, value in delivery.notes.items()}
        return Result(sample=sample, status="delivered", content=content, notes=notes)

    def _downloaded(self, delivery: Delivery, request: Request) -> bytes:
        assert delivery.url is not None
        for failures in range(1, _DOWNLOADS + 1):
            try:
                return self._downloads.fetch(delivery.url)
            except FailedError as error:
                last = error
                self._pace.hold(failures, error.wait)
                if failures < _DOWNLOADS:
                    self._pace.wait()
        if datetime.now(UTC) - datetime.fromisoformat(request.at) > _PATIENCE:
            raise UnansweredError(f"{last}, for a day")
        raise ProviderError(f"{last}: the image is paid; run the same command again to download it")

    def _without_image(self, sample: PlannedSample, status: Literal["refused", "unanswered"], why: str) -> Result:
        return Result(sample=sample, status=status, notes={"reason": why})

    def _count(self, *, came: bool, why: str = "") -> None:
        """Count images in a row that do not come. Raises `ProviderError` where they are many."""
        with self._lock:
            self._lost = 0 if came else self._lost + 1
            if self._lost < MOST_LOST:
                return
        raise ProviderError(
            f"{MOST_LOST} images in a row that may be paid did not come ({why}): look at the provider's bill, then run "
            "the same command again"
        )
