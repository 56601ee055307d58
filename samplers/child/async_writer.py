"""Encoding and writing beside the device: while batch n+1 is sampled, the images of batch n become files.

Batches are settled one after the other in a thread of their own, in the order they were handed over; only the images
of one batch are encoded and written together. What is counted, and where a generator's rows end, depends on that
order alone, so rows and files are those of a program without threads. Two batches at most wait to be settled.

Which images are kept is known once their PNGs are: equal bytes count once. So where the batches under way might be
enough, `is_through` waits for them before another is sampled.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType

from samplers.child.clock import Clock
from samplers.child.failures import GeneratorError
from samplers.child.gate import Pixels
from samplers.child.writing import Png, Writer
from samplers.plan import BATCHES_A_PART
from samplers.sample import Sample

#: Threads that encode and write: enough for the fastest devices (`make bench`), and few for a node with eight of them.
_THREADS = 4
_BATCHES_UNDER_WAY = 2


class WorkspaceError(Exception):
    """The disk is full, or not ours to write: no generator's fault."""


@dataclass(frozen=True)
class Judged:
    """A try that was judged: its row, as far as it is known before the PNG is, and the pixels to keep, if any."""

    row: Sample
    pixels: Pixels | None


class AsyncWriter:
    """Turns judged batches into files and rows; a context manager. All methods are for one thread, and raise
    `WorkspaceError` when the workspace could not be written."""

    def __init__(self, writer: Writer, images: int, next_index: int, kept: Iterable[str], clock: Clock) -> None:
        """`images`: the number to keep; `next_index` and `kept`: where the generator stands."""
        self._writer, self._images, self._clock = writer, images, clock
        self._next_index, self._kept = next_index, set(kept)
        self._rows: list[Sample] = []
        self._batches = 0
        self._broken = False
        self._under_way: deque[tuple[Future[None], int]] = deque()
        self._settling = ThreadPoolExecutor(1, "settling")
        self._threads = ThreadPoolExecutor(_THREADS, "encoding")

    def __enter__(self) -> "AsyncWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            # What was sampled before a generator failed is settled, so that a failure leaves the same files every time.
            if kind is not None and issubclass(kind, GeneratorError):
                self._wait(0)
        finally:
            self._settling.shutdown(cancel_futures=True)
            self._threads.shutdown(cancel_futures=True)

    @property
    def kept(self) -> int:
        """Distinct images kept so far."""
        return len(self._kept)

    @property
    def next_index(self) -> int:
        """The first try that is not settled."""
        return self._next_index

    def hand_over(self, batch: list[Judged]) -> None:
        """Take the next batch; waits where two are under way."""
        self._wait(_BATCHES_UNDER_WAY - 1)
        may_be_kept = sum(judged.pixels is not None for judged in batch)
        self._under_way.append((self._settling.submit(self._settle, batch), may_be_kept))

    def is_through(self) -> bool:
        """Whether the number is reached."""
        # First what is under way: what is settled meanwhile then counts twice, which only makes us wait.
        under_way = sum(count for future, count in self._under_way if not future.done())
        if self.kept + under_way >= self._images:
            self._wait(0)
        return self._is_reached

    def finish(self) -> None:
        """Settle everything and write the last part."""
        self._wait(0)
        if self._rows:
            with _as_workspace_error():
                self._write_part()

    @property
    def _is_reached(self) -> bool:
        return self.kept >= self._images

    def _wait(self, at_most: int) -> None:
        """Until at most so many batches are under way."""
        while len(self._under_way) > at_most:
            with _as_workspace_error():
                self._under_way.popleft()[0].result()

    def _settle(self, batch: list[Judged]) -> None:
        """Rows for those that are still owed, up to the one that reaches the number; in its own thread."""
        if self._broken:
            return
        self._broken = True
        owed = [judged for judged in batch if judged.row.index >= self._next_index]
        encoded = [self._threads.submit(self._encode, judged.pixels) for judged in owed]
        writing: list[Future[None]] = []
        for judged, png in zip(owed, encoded, strict=True):
            if self._is_reached:
                png.cancel()
                continue
            self._rows.append(self._settled(judged, png.result(), writing))
            self._next_index = judged.row.index + 1
        for written in wait(writing).done:
            written.result()
        self._batches += 1
        if self._rows and (self._is_reached or self._batches % BATCHES_A_PART == 0):
            self._write_part()
        self._broken = False

    def _settled(self, judged: Judged, png: Png | None, writing: list[Future[None]]) -> Sample:
        if png is None:
            return judged.row
        self._kept.add(png.sha256)
        image = self._writer.image_file(judged.row.index, png)
        writing.append(self._threads.submit(self._write, judged.row.index, png))
        return replace(judged.row, image=image, **png.columns(judged.row.index))

    def _encode(self, pixels: Pixels | None) -> Png | None:
        if pixels is None:
            return None
        with self._clock("encode"):
            return Png.of(pixels)

    def _write(self, index: int, png: Png) -> None:
        with self._clock("write"):
            self._writer.image(index, png)

    def _write_part(self) -> None:
        with self._clock("write"):
            self._writer.part(self._rows)
        self._rows = []


@contextmanager
def _as_workspace_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(str(error)) from error
