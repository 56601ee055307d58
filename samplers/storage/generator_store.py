"""Stores the samples of one generator: batches as they are made, and the parts that they become.

After every batch its rows and images are on the disk, so a process that is killed loses at most the batch in hand.
Batches are put together to parts when there are enough (`part_layout`). Whatever is put in place is first written to
`scratch`, a folder of this process, so nothing half written has a name in the workspace and nothing of a killed process
is left there.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from samplers.claims import TakenOverError
from samplers.sample import ImageFile, Sample, place_in_part
from samplers.segments import Segment
from samplers.storage.batch_folder import ROWS, move_into_place, read_batch
from samplers.storage.damage import is_damaged
from samplers.storage.part_layout import PartToWrite, parts_to_write
from samplers.storage.progress import COLUMNS, GeneratorProgress, Row, Stored
from samplers.storage.segment_progress import is_complete
from workspace import records
from workspace.atomic import errors_naming, link_or_copy, place, sync_folder
from workspace.identity import sha256_of_file
from workspace.layout import Workspace, batch_name, part_name

#: Threads that write the images of a batch, which wait for the disk.
_THREADS = 4


class NotReproducibleError(Exception):
    """An image that is made again has other bytes than its row says."""


class GeneratorStore:
    """The samples of one generator that this process has claimed.

    `check` raises where another process took the generator over. All methods raise `OSError` where the workspace cannot
    be written, and `TakenOverError` where another process has made other images of the same samples.
    """

    def __init__(
        self,
        workspace: Workspace,
        generator: str,
        segments: Sequence[Segment],
        scratch: Path,
        progress: GeneratorProgress,
        check: Callable[[], None],
    ) -> None:
        self._workspace, self._generator, self._scratch, self._check = workspace, generator, scratch, check
        self._segments, self._store = segments, segments[0].recipe.store
        self.progress = progress
        self._samples, self._images = workspace.samples_of(generator), workspace.images_of(generator)
        self._placed: set[int] = set()

    def add(self, rows: Sequence[Sample], images: Mapping[int, bytes]) -> None:
        """Store one batch: its rows and, by index, the PNG file of each that is kept."""
        self._check()
        first = rows[0].index
        made, target = self._scratch / batch_name(first), self._samples / batch_name(first)
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        self._write(made, rows, images)
        if not move_into_place(made, target, rows):
            self._compare(made, target, rows)
        stored = Stored(path=target, number=first, rows=tuple(_row(row) for row in rows))
        batches = sorted((*self.progress.batches, stored), key=lambda one: one.first)
        self.progress = replace(self.progress, batches=tuple(batches))
        with self._batches_remain():
            self._place_images(stored)
            self._write_parts()

    def repair(self, rows: Sequence[Sample], images: Mapping[int, bytes], damaged: frozenset[int]) -> None:
        """Replace the damaged image files among those of a batch that was made again. Raises `NotReproducibleError`."""
        self._check()
        expected = {row.index: row for part in self.progress.parts for row in part.rows}
        for row in rows:
            if row.index not in damaged:
                continue
            before = expected[row.index]
            if row.sha256 != before.sha256 or row.image_name is None:
                raise NotReproducibleError(
                    f"image {before.image_name} is damaged and cannot be made again here: on {row.device} with "
                    f"{row.libraries} it has other bytes; sample on the device and with the versions of its row, or "
                    f"remove the generator's folders in samples/ and images/ to sample it anew"
                )
            made = self._scratch / row.image_name
            _write_file(made, images[row.index])
            self._images.mkdir(parents=True, exist_ok=True)
            made.replace(self._images / row.image_name)
        sync_folder(self._images)

    def finish(self) -> None:
        """Write the parts that can be written, and remove what is left of others."""
        self._check()
        complete = is_complete(self.progress, self._segments)
        with self._batches_remain():
            self._write_parts()
        for folder in self.progress.leftovers:
            shutil.rmtree(folder, ignore_errors=True)
        if complete:
            for path in self.progress.damaged:
                self._remove_damaged(path)
        self.progress = replace(self.progress, leftovers=(), damaged=() if complete else self.progress.damaged)

    def _write(self, folder: Path, rows: Sequence[Sample], images: Mapping[int, bytes]) -> None:
        with ThreadPoolExecutor(_THREADS) as threads:
            writing = [
                threads.submit(_write_file, folder / row.image_name, images[row.index])
                for row in rows
                if row.image_name is not None
            ]
        for written in writing:
            written.result()

    def _compare(self, made: Path, target: Path, rows: Sequence[Sample]) -> None:
        """Another process has stored this batch: it is the same one, or damaged and replaced, or the process goes
        on."""
        try:
            same = read_batch(target, COLUMNS) == [asdict(_row(row)) for row in rows]
        except records.DamagedFileError:
            shutil.rmtree(self._scratch / "damaged", ignore_errors=True)
            with suppress(FileNotFoundError):
                target.rename(self._scratch / "damaged")
            same = move_into_place(made, target, rows)
        if not same:
            raise self._taken_over()
        shutil.rmtree(made, ignore_errors=True)

    def _place_images(self, batch: Stored) -> None:
        """Give the images of a batch their names in images/, where images are files."""
        if self._store == "parquet" or batch.first in self._placed:
            return
        self._images.mkdir(parents=True, exist_ok=True)
        for row in batch.rows:
            if row.image_name is None:
                continue
            source, target = batch.path / row.image_name, self._images / row.image_name
            if link_or_copy(source, target) or sha256_of_file(target) == row.sha256:
                continue
            # Of a part that is damaged, on another device, or damaged itself: no row has it.
            other = self._scratch / row.image_name
            shutil.copyfile(source, other)
            other.replace(target)
        sync_folder(self._images)
        self._placed.add(batch.first)

    def _write_parts(self) -> None:
        for part in parts_to_write(self.progress, self._segments):
            self._write_part(part)

    def _write_part(self, part: PartToWrite) -> None:
        name = part_name(part.number)
        made, target = self._scratch / name, self._samples / name
        for batch in part.batches:
            self._place_images(batch)
        rows = [
            replace(row, image=self._image(target, batch, row))
            for batch in part.batches
            for row in records.read(batch.path / ROWS, Sample)
        ]
        records.write(made, Sample, rows, plain=("image.bytes",))
        if not place(made, target):
            self._replace_damaged(made, target, rows)
        sync_folder(self._samples)
        for batch in part.batches:
            shutil.rmtree(batch.path, ignore_errors=True)
        stored = Stored(path=target, number=part.number, rows=tuple(_row(row) for row in rows))
        parts = sorted((*self.progress.parts, stored), key=lambda one: one.number)
        batches = tuple(batch for batch in self.progress.batches if batch not in part.batches)
        damaged = tuple(path for path in self.progress.damaged if path != target)
        self.progress = replace(self.progress, parts=tuple(parts), batches=batches, damaged=damaged)

    def _replace_damaged(self, made: Path, target: Path, rows: Sequence[Sample]) -> None:
        """There is a part of this name: the same one, by another process, or a damaged one, which is replaced."""
        if is_damaged(target):
            made.replace(target)
            return
        if records.read_table(target, Sample, COLUMNS).to_pylist() != [asdict(_row(row)) for row in rows]:
            raise self._taken_over()
        made.unlink()

    def _image(self, part: Path, batch: Stored, row: Sample) -> ImageFile:
        """Where the image of a row in this part is."""
        if row.image_name is None:
            return ImageFile()
        if self._store == "parquet":
            content = (batch.path / row.image_name).read_bytes()
            return ImageFile(bytes=content, path=place_in_part(self._relative(part), row.image_name))
        return ImageFile(path=self._relative(self._images / row.image_name))

    def _remove_damaged(self, path: Path) -> None:
        """Remove a part or batch that still cannot be read, and that no rows were missing of."""
        if not path.is_dir():
            if is_damaged(path):
                path.unlink(missing_ok=True)
            return
        try:
            read_batch(path, COLUMNS)
        except records.DamagedFileError:
            shutil.rmtree(path)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._workspace.root).as_posix()

    @contextmanager
    def _batches_remain(self) -> Iterator[None]:
        """A block that reads the folders of batches: another process may put them into a part and remove them."""
        try:
            yield
        except (FileNotFoundError, records.DamagedFileError) as error:
            if all(batch.path.exists() for batch in self.progress.batches):
                raise
            raise self._taken_over() from error

    def _taken_over(self) -> TakenOverError:
        return TakenOverError(
            f"{self._generator}: another process has sampled it meanwhile; its images count, also where they are "
            "other ones, as another kind of device makes them"
        )


def _row(row: Sample) -> Row:
    return Row(**{name: getattr(row, name) for name in COLUMNS})


def _write_file(path: Path, content: bytes) -> None:
    with errors_naming(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
