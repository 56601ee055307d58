"""Encodes and writes images in threads: while batch n+1 is sampled, the images of batch n become files.

Batches are processed one after the other in a thread of their own, in the order in which they were added; only the
images of one batch are encoded and written in parallel. The counts, and the last row of a generator, depend on that
order alone, so rows and files are those of a program without threads. At most two batches wait to be processed.

Which images are kept is known after they are encoded: equal bytes count once. So where the batches in progress might be
enough, `is_finished` waits for them before another one is sampled.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType

from samplers.child.clock import Clock
from samplers.child.failures import GeneratorError
from samplers.child.pixel_checks import Pixels
from samplers.child.writing import Png, Writer
from samplers.plan import BATCHES_A_PART
from samplers.sample import Sample

#: Threads that encode and write: enough for the fastest devices (`make bench`), and few for a node with eight of them.
_THREADS = 4
_BATCHES_IN_PROGRESS = 2


class WorkspaceError(Exception):
    """The disk is full or cannot be written: not the generator's fault."""


@dataclass(frozen=True)
class CheckedImage:
    """A sampled image after its checks: its row, as far as it is known before encoding, and the pixels if accepted."""

    row: Sample
    pixels: Pixels | None


class AsyncWriter:
    """Writes checked batches as files and rows; a context manager. All methods are for one thread, and raise
    `WorkspaceError` when the workspace cannot be written."""

    def __init__(self, writer: Writer, images: int, next_index: int, kept: Iterable[str], clock: Clock) -> None:
        """`images`: the number to keep; `next_index` and `kept`: the progress so far."""
        self._writer, self._images, self._clock = writer, images, clock
        self._next_index, self._kept = next_index, set(kept)
        self._rows: list[Sample] = []
        self._batches = 0
        self._broken = False
        self._in_progress: deque[tuple[Future[None], int]] = deque()
        self._batch_thread = ThreadPoolExecutor(1, "batches")
        self._image_threads = ThreadPoolExecutor(_THREADS, "encoding")

    def __enter__(self) -> "AsyncWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            # Batches sampled before a generator failed are still processed, so that a failure leaves the same files
            # every time.
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
        may_be_kept = sum(checked.pixels is not None for checked in batch)
        self._in_progress.append((self._batch_thread.submit(self._process, batch), may_be_kept))

    def is_finished(self) -> bool:
        """Whether the number of images is reached."""
        # Counted before `kept`: a batch that is processed in between counts twice, which only makes this wait.
        in_progress = sum(count for future, count in self._in_progress if not future.done())
        if self.kept + in_progress >= self._images:
            self._wait(0)
        return self._is_reached

    def finish(self) -> None:
        """Process everything and write the last part."""
        self._wait(0)
        if self._rows:
            with _as_workspace_error():
                self._write_part()

    @property
    def _is_reached(self) -> bool:
        return self.kept >= self._images

    def _wait(self, at_most: int) -> None:
        """Until at most so many batches are in progress."""
        while len(self._in_progress) > at_most:
            with _as_workspace_error():
                self._in_progress.popleft()[0].result()

    def _process(self, batch: list[CheckedImage]) -> None:
        """Write the images without a row yet, up to the one that reaches the number; in its own thread."""
        if self._broken:
            return
        self._broken = True
        new = [checked for checked in batch if checked.row.index >= self._next_index]
        encoded = [self._image_threads.submit(self._encode, checked.pixels) for checked in new]
        writing: list[Future[None]] = []
        for checked, png in zip(new, encoded, strict=True):
            if self._is_reached:
                png.cancel()
                continue
            self._rows.append(self._complete_row(checked, png.result(), writing))
            self._next_index = checked.row.index + 1
        for written in wait(writing).done:
            written.result()
        self._batches += 1
        if self._rows and (self._is_reached or self._batches % BATCHES_A_PART == 0):
            self._write_part()
        self._broken = False

    def _complete_row(self, checked: CheckedImage, png: Png | None, writing: list[Future[None]]) -> Sample:
        if png is None:
            return checked.row
        self._kept.add(png.sha256)
        image = self._writer.image_file(checked.row.index, png)
        writing.append(self._image_threads.submit(self._write, checked.row.index, png))
        return replace(checked.row, image=image, **png.columns(checked.row.index))

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
