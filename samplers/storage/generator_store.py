"""Stores the samples of one generator: batches as they are made, and the parts that they become.

After every batch its rows and images are on the disk, in a journal, so a process that is killed loses at most the batch
in hand. Batches are put together to parts when there are enough (`part_layout`). What gets a name of its own is first
written to `scratch`, a folder of this process, so nothing half written has such a name and nothing of a killed process
is left.

Where images are files beside the rows, a part is first *prepared*: placed under another name, which decides its rows.
Then its images get their names, from the journals, and at last the part gets its own. So a part never names an image
that is not there, and of two processes with different images of the same samples one cannot name those of the other.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engines.claims import TakenOverError
from samplers.planning.segments import Segment
from samplers.sample import ImageFile, Sample, place_in_part
from samplers.storage.batches import PLAIN, read_batches, remove_batches
from samplers.storage.damage import is_damaged
from samplers.storage.part_layout import PartToWrite, part_start, parts_to_write
from samplers.storage.progress import COLUMNS, GeneratorProgress, ReadJournal, Row, Stored, progress_of
from samplers.storage.segment_progress import is_complete
from workspace import records
from workspace.atomic import OpenFolder, place, write_once
from workspace.journal import Journal
from workspace.layout import Workspace, journal_name, part_name, part_number, prepared_name

#: Threads that write the images of a part, which wait for the disk.
_THREADS = 4
#: Bytes of images that this process keeps in memory until they are in a part; others are read from their journals.
_MOST_BYTES = 256 * 10**6


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
        self._folders: dict[Path, OpenFolder] = {}
        self._journal: Journal | None = None
        self._part = -1
        # Batches of this process with their images, the newest last: parts of these are written without reading them.
        self._made: dict[tuple[Path, int], list[Sample]] = {}

    def refresh(self) -> None:
        """See what other processes have stored since the last look."""
        self.progress = progress_of(self._workspace, self._generator, self.progress)

    def add(self, rows: Sequence[Sample], images: Mapping[int, bytes], alone: bool = True) -> None:
        """Store one batch: its rows and, by index, the PNG file of each that is kept.

        `alone`: no other process is at this generator, so parts are written where their batches are complete.
        """
        self._check()
        batch = [replace(row, image=ImageFile(bytes=images.get(row.index))) for row in rows]
        journal = self._journal_of(rows[0].index)
        journal.append(batch)
        stored = Stored(path=journal.path, number=rows[0].index, rows=tuple(map(_row, rows)))
        self._remember(stored, batch, journal.length)
        if alone:
            self._write_parts()

    def write_parts(self) -> None:
        """Write the parts that can be written, of the batches of all processes."""
        self._check()
        self.refresh()
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
        self._name_images({str(row.image_name): images[row.index] for row in rows if row.index in damaged})

    def finish(self) -> None:
        """Write the parts that can be written, and remove what is left of others."""
        self._check()
        self._write_parts()
        self._close_journal()
        complete = is_complete(self.progress, self._segments)
        remove_batches(self.progress.leftovers)
        if complete:
            remove_batches(journal.path for journal in self.progress.journals)
            for path in self.progress.damaged:
                if path.name != part_name(part_number(path)) or is_damaged(path):
                    path.unlink(missing_ok=True)
        self.progress = replace(
            self.progress,
            leftovers=(),
            journals=() if complete else self.progress.journals,
            damaged=() if complete else self.progress.damaged,
        )
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()

    def _journal_of(self, first: int) -> Journal:
        """The journal for the batch from this index on: one has batches of one part only, so it can be removed when the
        part is there, by any process."""
        part = part_start(self._segments, first)
        if self._journal is None or part != self._part:
            if self._part < 0:
                self._samples.mkdir(parents=True, exist_ok=True)
            self._close_journal()
            self._journal, self._part = Journal(self._samples / journal_name(first), Sample, PLAIN), part
        return self._journal

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._journal = None

    def _remember(self, stored: Stored, batch: list[Sample], length: int) -> None:
        """Count a batch that this process has appended to its journal."""
        self._made[stored.path, stored.number] = batch
        while sum(len(row.image.bytes or b"") for rows in self._made.values() for row in rows) > _MOST_BYTES:
            self._made.pop(next(iter(self._made)))
        batches = sorted((*self.progress.batches, stored), key=lambda one: one.first)
        journals = {journal.path: journal for journal in self.progress.journals}
        former = journals[stored.path].batches if stored.path in journals else ()
        journals[stored.path] = ReadJournal(stored.path, (*former, stored), length)
        self.progress = replace(self.progress, batches=tuple(batches), journals=tuple(journals.values()))

    def _write_parts(self) -> None:
        for part in parts_to_write(self.progress, self._segments):
            self._write_part(part)

    def _write_part(self, part: PartToWrite) -> None:
        target = self._samples / part_name(part.number)
        batches = self._contents(part)
        rows = [replace(row, image=self._image(target, row)) for row in batches]
        made = self._scratch / target.name
        write_once(made, records.content_of(records.to_table(Sample, rows), PLAIN))
        if self._store == "parquet":
            if not place(made, target):
                self._replace_damaged(made, target, rows)
        else:
            self._place_with_images(made, target, part.number, batches)
        self._sync(self._samples)
        self._replaced(part, Stored(path=target, number=part.number, rows=tuple(map(_row, rows))))

    def _contents(self, part: PartToWrite) -> list[Sample]:
        """The rows of a part with the images inside, from this process's memory or the journals."""
        read: dict[Path, dict[int, list[Sample]]] = {}
        rows: list[Sample] = []
        for batch in part.batches:
            if (batch.path, batch.first) in self._made:
                rows += self._made[batch.path, batch.first]
                continue
            if batch.path not in read:
                try:
                    read[batch.path] = {one[0].index: one for one in read_batches(batch.path)}
                except FileNotFoundError as error:
                    raise self._taken_over() from error
            found = read[batch.path].get(batch.first)
            if found is None or tuple(map(_row, found)) != batch.rows:
                # Another process has put it into a part, or it was damaged a moment ago.
                raise self._taken_over()
            rows += found
        return rows

    def _place_with_images(self, made: Path, target: Path, number: int, rows: Sequence[Sample]) -> None:
        """Prepare the part, name its images, and give it its name."""
        prepared = self._samples / prepared_name(number)
        if not place(made, prepared):
            if prepared in self.progress.damaged or is_damaged(prepared):
                made.replace(prepared)
            elif not self._has_rows(prepared, rows):
                raise self._taken_over()
            else:
                made.unlink()
        if target.exists() and not is_damaged(target):
            prepared.unlink(missing_ok=True)
            if not self._has_rows(target, rows):
                raise self._taken_over()
            return
        self._name_images({row.image_name: row.image.bytes for row in rows if row.image_name and row.image.bytes})
        try:
            prepared.replace(target)
        except FileNotFoundError:
            # Another process has completed it.
            if not self._has_rows(target, rows):
                raise self._taken_over() from None

    def _name_images(self, images: Mapping[str, bytes]) -> None:
        """Give image files their names, in place of files that no row has or that are damaged."""
        if not images:
            return

        def name_image(name: str, content: bytes) -> None:
            self._check()
            made = self._scratch / name
            write_once(made, content)
            made.replace(self._images / name)

        if self._images not in self._folders:
            self._images.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_THREADS) as threads:
            naming = [threads.submit(name_image, *image) for image in images.items()]
        for named in naming:
            named.result()
        self._sync(self._images)

    def _replace_damaged(self, made: Path, target: Path, rows: Sequence[Sample]) -> None:
        """There is a part of this name: the same one, by another process, or a damaged one, which is replaced."""
        if is_damaged(target):
            made.replace(target)
            return
        if not self._has_rows(target, rows):
            raise self._taken_over()
        made.unlink()

    def _has_rows(self, path: Path, rows: Sequence[Sample]) -> bool:
        """Whether a part has these rows; it need not be there."""
        try:
            found: list[dict[str, Any]] = records.read_table(path, Sample, COLUMNS).to_pylist()
        except records.DamagedFileError:
            return False
        return found == [asdict(_row(row)) for row in rows]

    def _replaced(self, part: PartToWrite, stored: Stored) -> None:
        """A part is on the disk: its batches are no longer needed, nor a damaged part of that number."""
        parts = sorted((*self.progress.parts, stored), key=lambda one: one.number)
        batches = tuple(batch for batch in self.progress.batches if batch not in part.batches)
        names = {part_name(part.number), prepared_name(part.number)}
        damaged = tuple(path for path in self.progress.damaged if path.name not in names)
        done = {batch.path for batch in part.batches} - {batch.path for batch in batches}
        journals = tuple(journal for journal in self.progress.journals if journal.path not in done)
        self.progress = replace(self.progress, parts=tuple(parts), batches=batches, journals=journals, damaged=damaged)
        for batch in part.batches:
            self._made.pop((batch.path, batch.first), None)
        if self._journal is not None and self._journal.path in done:
            self._close_journal()
        remove_batches(done)

    def _image(self, part: Path, row: Sample) -> ImageFile:
        """Where the image of a row in this part is."""
        if row.image_name is None:
            return ImageFile()
        if self._store == "parquet":
            return ImageFile(bytes=row.image.bytes, path=place_in_part(self._relative(part), row.image_name))
        return ImageFile(path=self._relative(self._images / row.image_name))

    def _sync(self, folder: Path) -> None:
        if folder not in self._folders:
            self._folders[folder] = OpenFolder(folder)
        self._folders[folder].sync()

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._workspace.root).as_posix()

    def _taken_over(self) -> TakenOverError:
        return TakenOverError(
            f"{self._generator}: another process has sampled it meanwhile; its images count, also where they are "
            "other ones, as another kind of device makes them"
        )


def _row(row: Sample) -> Row:
    return Row(**{name: getattr(row, name) for name in COLUMNS})
