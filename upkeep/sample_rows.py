"""Sample rows without the captions of removed real images.

The image that was made from such a caption stays, and its row says no more than that: `prompt_id` is the place of the
removed prompt, `prompt` is null. Or the image goes too: then the row has the status `removed`, and keeps its sha256, so
that it counts as made: nothing is sampled in its place, and the samples of its generator are numbered as before.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from samplers.sample import ImageFile, Sample
from workspace import journal, records
from workspace.layout import Workspace, generator_of, sample_files
from workspace.removed import removed_prompt_id

#: The column that is stored as it is (`samplers/storage/batches.py`).
_PLAIN = ("image.bytes",)
#: The rows of a batch that a former version left in a folder.
_BATCH_ROWS = "rows.parquet"


def count_images(workspace: Workspace, prompt_ids: Collection[str]) -> Counter[str]:
    """How many images each generator has that were made from these prompts, by its name."""
    images: Counter[str] = Counter()
    for generator, path in _files(workspace):
        with suppress(records.DamagedFileError):
            for row in _rows(path, ["prompt_id", "status"]):
                images[generator] += row["prompt_id"] in prompt_ids and row["status"] == "ok"
    return +images


def clear_rows(workspace: Workspace, places: Collection[str], with_generated: Collection[str]) -> list[Path]:
    """Take the captions of removed real images out of all rows. `places`: what stands for their prompts
    (`removed:...`); `with_generated`: those of them whose images are removed too.

    Files of rows that are damaged, and so may have the captions, are removed and returned: sampling makes them again.
    """
    place_of = cache(removed_prompt_id)
    damaged: list[Path] = []
    for generator, path in _files(workspace):
        try:
            ids = {row["prompt_id"] for row in _rows(path, ["prompt_id"]) if row["prompt_id"]}
            changes = {one: place for one in ids if (place := place_of(one)) in places}
            if _is_journal(path):
                if not journal.rewrite(path, Sample, partial(_all_cleared, changes, with_generated), _PLAIN):
                    damaged.append(path)
            elif changes or not ids.isdisjoint(with_generated):
                _clear(workspace, generator, path, changes, with_generated)
        except records.DamagedFileError:
            path.unlink(missing_ok=True)
            damaged.append(path)
    return damaged


def _clear(
    workspace: Workspace, generator: str, path: Path, changes: Mapping[str, str], with_generated: Collection[str]
) -> None:
    before = records.read(path, Sample)
    after = _all_cleared(changes, with_generated, before)
    in_batch = path.name == _BATCH_ROWS
    for row, now in zip(before, after, strict=True):
        if row.image_name is not None and now.image_name is None:
            (workspace.images_of(generator) / row.image_name).unlink(missing_ok=True)
            if in_batch:
                (path.parent / row.image_name).unlink(missing_ok=True)
    if after != before:
        records.write(path, Sample, after, plain=() if in_batch else _PLAIN)


def _all_cleared(changes: Mapping[str, str], with_generated: Collection[str], rows: Sequence[Sample]) -> list[Sample]:
    return [_cleared(row, changes, with_generated) for row in rows]


def _cleared(row: Sample, changes: Mapping[str, str], with_generated: Collection[str]) -> Sample:
    if (place := changes.get(row.prompt_id or "")) is not None:
        # What a file says of itself may repeat the prompt.
        row = replace(row, prompt_id=place, prompt=None, metadata=None, original_name=None)
    if row.prompt_id in with_generated and row.status == "ok":
        row = replace(
            row,
            status="removed",
            image=ImageFile(),
            image_name=None,
            file_size=None,
            format=None,
            mode=None,
            metadata=None,
            perceptual_hash=None,
        )
    return row


def _files(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """The files of rows of all generators: parts, and batches that are in none yet."""
    folders = (
        sorted(path for path in workspace.samples.iterdir() if path.is_dir()) if workspace.samples.is_dir() else []
    )
    for folder in folders:
        files = sample_files(folder)
        former = [batch / _BATCH_ROWS for batch in files.batches]
        for path in (*files.parts, *files.prepared, *files.journals, *former):
            if path.exists():
                yield generator_of(folder.name), path


def _is_journal(path: Path) -> bool:
    return not path.suffix


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    if _is_journal(path):
        return [row for group in journal.read_groups(path, Sample, columns) for row in group.rows.to_pylist()]
    rows: list[dict[str, Any]] = records.read_table(path, Sample, columns).to_pylist()
    return rows
