"""Sample rows without the captions of removed real images.

The image that was made from such a caption stays, and its row says no more than that: `prompt_id` is the place of the
removed prompt, `prompt` is null. Or the image goes too: then the row has the status `removed`, and keeps its sha256, so
that it counts as made: nothing is sampled in its place, and the samples of its generator are numbered as before.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from samplers.sample import ImageFile, Sample
from workspace import records
from workspace.layout import Workspace, batches_in, generator_of, parts_in

#: The rows of a batch that is in no part yet (`samplers/storage/batch_folder.py`).
_BATCH_ROWS = "rows.parquet"


def count_images(workspace: Workspace, prompt_ids: Collection[str]) -> Counter[str]:
    """How many images each generator has that were made from these prompts, by its name."""
    images: Counter[str] = Counter()
    for generator, path in _files(workspace):
        with suppress(records.DamagedFileError):
            for row in records.read_table(path, Sample, ["prompt_id", "status"]).to_pylist():
                images[generator] += row["prompt_id"] in prompt_ids and row["status"] == "ok"
    return +images


def clear_rows(workspace: Workspace, prompt_ids: Mapping[str, str], with_generated: Collection[str]) -> list[Path]:
    """Take captions out of all rows: `prompt_ids` says what takes the place of which prompt id; the images of the
    prompts that then are in `with_generated` are removed. Files of rows that are damaged, and so may have the captions,
    are removed and returned: sampling makes them again."""
    wanted = {*prompt_ids, *with_generated}
    damaged: list[Path] = []
    for generator, path in _files(workspace):
        try:
            ids = records.read_table(path, Sample, ["prompt_id"])["prompt_id"].to_pylist()
            if not wanted.isdisjoint(ids):
                _clear(workspace, generator, path, prompt_ids, with_generated)
        except records.DamagedFileError:
            path.unlink(missing_ok=True)
            damaged.append(path)
    return damaged


def _clear(
    workspace: Workspace, generator: str, path: Path, prompt_ids: Mapping[str, str], with_generated: Collection[str]
) -> None:
    before = records.read(path, Sample)
    after = [_cleared(row, prompt_ids, with_generated) for row in before]
    in_batch = path.name == _BATCH_ROWS
    for row, now in zip(before, after, strict=True):
        if row.image_name is not None and now.image_name is None:
            (workspace.images_of(generator) / row.image_name).unlink(missing_ok=True)
            if in_batch:
                (path.parent / row.image_name).unlink(missing_ok=True)
    if after != before:
        records.write(path, Sample, after, plain=() if in_batch else ("image.bytes",))


def _cleared(row: Sample, prompt_ids: Mapping[str, str], with_generated: Collection[str]) -> Sample:
    prompt_id = prompt_ids.get(row.prompt_id or "", row.prompt_id)
    if prompt_id != row.prompt_id:
        row = replace(row, prompt_id=prompt_id, prompt=None)
    if prompt_id in with_generated and row.status == "ok":
        row = replace(row, status="removed", image=ImageFile(), image_name=None, file_size=None, format=None, mode=None)
    return row


def _files(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """The files of rows of all generators: parts, and batches that are in none yet."""
    folders = (
        sorted(path for path in workspace.samples.iterdir() if path.is_dir()) if workspace.samples.is_dir() else []
    )
    for folder in folders:
        for path in (*parts_in(folder), *(batch / _BATCH_ROWS for _, batch in batches_in(folder))):
            if path.exists():
                yield generator_of(folder.name), path
