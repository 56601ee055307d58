"""The progress of one generator, read from its rows: there is no other record of it.

A part is written after its images, so a killed process leaves images without a row, and temporary files;
`remove_leftovers` removes both before the generator is sampled again.
"""

from dataclasses import dataclass
from typing import cast

from samplers.plan import Recipe
from samplers.sample import Memory, Sample
from workspace import records
from workspace.atomic import remove_partial
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_in

_COLUMNS = ("index", "revision", "call_size", "image_name", "sha256", "memory")


@dataclass(frozen=True, kw_only=True)
class GeneratorProgress:
    """Which part of a generator's plan is done."""

    next_index: int
    """The first sample without a row."""
    parts: int
    """Part files written."""
    kept: frozenset[str]
    """The sha256 of every image kept: duplicates count once."""
    image_names: frozenset[str]
    revision: str | None
    """The revision that was sampled; None before the first row."""
    last_call_sizes: tuple[int, ...]
    """Images of one pipeline call, for each row of the last part."""
    memory: Memory | None
    """How memory was saved for the last row."""

    def finished(self, recipe: Recipe) -> bool:
        """Whether nothing is left to sample: the number of images is reached, or all tries are used."""
        return len(self.kept) >= recipe.images or self.next_index >= recipe.max_tries

    def call_size(self, batch_size: int) -> int:
        """Images to sample in one call: the batch, unless memory was short before."""
        return max(self.last_call_sizes[-batch_size:], default=batch_size)


def progress_of(workspace: Workspace, model_name: str) -> GeneratorProgress:
    """Read the progress of a generator. Raises `UsageError` when a part is missing in the middle."""
    parts = parts_in(workspace.samples_of(model_name))
    columns: dict[str, list[list[object]]] = {name: [] for name in _COLUMNS}
    for part in parts:
        table = records.read_table(part, Sample, _COLUMNS)
        for name in _COLUMNS:
            columns[name].append(table.column(name).to_pylist())
    rows = {name: [value for values in columns[name] for value in values] for name in _COLUMNS}
    if rows["index"] != list(range(len(rows["index"]))):
        raise UsageError(
            f"{workspace.samples_of(model_name)}: a part is missing, the rows are not numbered 0, 1, 2, ...; restore "
            "it, or remove the folder to sample that generator again"
        )
    return GeneratorProgress(
        next_index=len(rows["index"]),
        parts=len(parts),
        kept=frozenset(str(value) for value in rows["sha256"] if value is not None),
        image_names=frozenset(str(value) for value in rows["image_name"] if value is not None),
        revision=str(rows["revision"][0]) if rows["revision"] else None,
        memory=cast("Memory | None", rows["memory"][-1]) if rows["memory"] else None,
        last_call_sizes=tuple(int(str(size)) for size in columns["call_size"][-1] if size is not None) if parts else (),
    )


def remove_leftovers(workspace: Workspace, progress: GeneratorProgress, model_name: str) -> None:
    """Remove what a killed child left of this generator: temporary files, and images without a row."""
    images = workspace.images_of(model_name)
    remove_partial(workspace.samples_of(model_name))
    remove_partial(images)
    for image in images.glob("*.png"):
        if image.name not in progress.image_names:
            image.unlink(missing_ok=True)
