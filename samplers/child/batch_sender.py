"""Encodes and sends images in threads: while batch n+1 is sampled, the images of batch n go to the supervisor.

Batches are processed one after the other in a thread of their own, in the order in which they were added; only the
images of one batch are encoded in parallel. The counts, and the last row of a generator, depend on that order alone, so
rows and files are those of a program without threads. At most two batches wait to be processed.

Which images are kept is known after they are encoded: equal bytes count once. So where the batches in progress might be
enough, `is_finished` waits for them before another one is sampled.
"""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from samplers.child.clock import Clock
from samplers.child.failures import GeneratorError
from samplers.child.outbox import Outbox
from samplers.child.pixel_checks import Pixels
from samplers.child.png import Png
from samplers.sample import Sample

#: Threads that encode: enough for the fastest devices (`make bench`), and few for a node with eight of them.
_THREADS = 4
_BATCHES_IN_PROGRESS = 2


@dataclass(frozen=True)
class CheckedImage:
    """A sampled image after its checks: its row, as far as it is known before encoding, and the pixels if accepted."""

    row: Sample
    pixels: Pixels | None


class BatchSender:
    """Sends checked batches as rows and PNG files; a context manager. All methods are for one thread.

    `images`: the number to keep, after which no row follows; None: all are sent. `next_index` and `kept`: the progress
    so far.
    """

    def __init__(self, outbox: Outbox, images: int | None, next_index: int, kept: Iterable[str], clock: Clock) -> None:
        self._outbox, self._images, self._clock = outbox, images, clock
        self._next_index, self._kept = next_index, set(kept)
        self._broken = False
        self._in_progress: deque[tuple[Future[None], int]] = deque()
        self._batch_thread = ThreadPoolExecutor(1, "batches")
        self._image_threads = ThreadPoolExecutor(_THREADS, "encoding")

    def __enter__(self) -> "BatchSender":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            # Batches sampled before a generator failed are still sent, so that a failure leaves the same files every
            # time.
            if kind is not None and issubclass(kind, GeneratorError):
                self._wait(0)
        finally:
            self._batch_thread.shutdown(cancel_futures=True)
            self._image_threads.shutdown(cancel_futures=True)

    @property
    def kept(self) -> int:
        """Distinct images kept so far."""
        return len(self._kept)

    @property
    def next_index(self) -> int:
        """The first sample that is not processed."""
        return self._next_index

    def add(self, batch: list[CheckedImage]) -> None:
        """Add the next batch; waits where two are in progress."""
        self._wait(_BATCHES_IN_PROGRESS - 1)
        self._outbox.announce()
        may_be_kept = sum(checked.pixels is not None for checked in batch)
        self._in_progress.append((self._batch_thread.submit(self._process, batch), may_be_kept))

    def is_finished(self) -> bool:
        """Whether the number of images is reached."""
        # Counted before `kept`: a batch that is processed in between counts twice, which only makes this wait.
        in_progress = sum(count for future, count in self._in_progress if not future.done())
        if self._images is not None and self.kept + in_progress >= self._images:
            self._wait(0)
        return self._is_reached

    def finish(self) -> None:
        """Wait until everything is sent."""
        self._wait(0)

    @property
    def _is_reached(self) -> bool:
        return self._images is not None and self.kept >= self._images

    def _wait(self, at_most: int) -> None:
        """Until at most so many batches are in progress."""
        while len(self._in_progress) > at_most:
            self._in_progress.popleft()[0].result()

    def _process(self, batch: list[CheckedImage]) -> None:
        """Send the images without a row yet, up to the one that reaches the number; in its own thread."""
        if self._broken:
            return
        self._broken = True
        new = [checked for checked in batch if checked.row.index >= self._next_index]
        encoded = [self._image_threads.submit(self._encode, checked.pixels) for checked in new]
        rows: list[Sample] = []
        files: list[bytes] = []
        for checked, encoding in zip(new, encoded, strict=True):
            if self._is_reached:
                encoding.cancel()
                continue
            row, png = checked.row, encoding.result()
            if png is not None:
                self._kept.add(png.sha256)
                row = replace(row, **png.columns(row.index))
                files.append(png.content)
            rows.append(row)
            self._next_index = row.index + 1
        self._outbox.send_batch(rows, files)
        self._broken = False

    def _encode(self, pixels: Pixels | None) -> Png | None:
        if pixels is None:
            return None
        with self._clock("encode"):
            return Png.of(pixels)
