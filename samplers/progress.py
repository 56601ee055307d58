"""Where a generator stands: read from its rows, the only memory there is.

A part is written after its images, so a kill leaves images that no row speaks of, and temporary files; `tidy`
removes both before the generator is taken up again.
"""

from dataclasses import dataclass
from typing import cast

from samplers.plan import Recipe
from samplers.sample import Memory, Sample
from workspace import records
from workspace.atomic import remove_partial
from workspace.errors import UsageError
from workspace.layout import Workspace, parts_in

_COLUMNS = ("index", "revision", "batch_size", "image_name", "sha256", "memory")


@dataclass(frozen=True, kw_only=True)
class GeneratorProgress:
    """What of a generator's plan has been done."""

    next_index: int
    """The first try that has no row."""
    parts: int
    kept: frozenset[str]
    """The sha256 of every image kept: a duplicate counts once."""
    image_names: frozenset[str]
    revision: str | None
    """The revision that was sampled; None before the first row."""
    last_call_sizes: tuple[int, ...]
    """Images sampled in one call, for each row of the last part."""
    memory: Memory | None
    """How memory had to be saved for the last row."""

    def finished(self, recipe: Recipe) -> bool:
        """Whether nothing is owed any more: the number is reached or the tries are spent."""
        return len(self.kept) >= recipe.images or self.next_index >= recipe.max_tries

    def call_size(self, batch_size: int) -> int:
        """Images to sample in one call: the batch, unless memory has already forced less."""
        return max(self.last_call_sizes[-batch_size:], default=batch_size)


def progress_of(workspace: Workspace, model_name: str) -> GeneratorProgress:
    """Read where a generator stands. Raises `UsageError` when a part is missing in the middle."""
    parts = parts_in(workspace.samples_of(model_name))
    columns: dict[str, list[list[object]]] = {name: [] for name in _COLUMNS}
    for part in parts:
        table = records.read_table(part, Sample, _COLUMNS)
        for name in _COLUMNS:
            columns[name].append(table.column(name).to_pylist())
    rows = {name: [value for values in columns[name] for value in values] for name in _COLUMNS}
    if rows["index"] != list(range(len(rows["index"]))):
        raise UsageError(
            f"{workspace.samples_of(model_name)} lacks a part: its rows are not numbered 0, 1, 2, ...; "
            "restore it, or remove the folder to sample that generator again"
        )
    return GeneratorProgress(
        next_index=len(rows["index"]),
        parts=len(parts),
        kept=frozenset(str(value) for value in rows["sha256"] if value is not None),
        image_names=frozenset(str(value) for value in rows["image_name"] if value is not None),
        revision=str(rows["revision"][0]) if rows["revision"] else None,
        memory=cast("Memory | None", rows["memory"][-1]) if rows["memory"] else None,
        last_call_sizes=tuple(int(str(value)) for value in columns["batch_size"][-1]) if parts else (),
    )


def tidy(workspace: Workspace, progress: GeneratorProgress, model_name: str) -> None:
    """Remove what a killed child left of this generator: temporary files, and images that no row speaks of."""
    images = workspace.images_of(model_name)
    remove_partial(workspace.samples_of(model_name))
    remove_partial(images)
    for image in images.glob("*.png"):
        if image.name not in progress.image_names:
            image.unlink(missing_ok=True)
