"""Which of several workspaces has the most of one generator: its files are taken from there, all of them.

Rows and images of several are never mixed: devices and library versions may differ. The most complete one counts, by
the distinct images that are there and whole; of equal ones that which paid a provider for more, then the first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from samplers.options import Store
from samplers.outcomes import SUCCEEDED, read_outcome
from samplers.provider.ledger import Ledger
from samplers.storage.damage import damaged_images, without_damaged_parts
from samplers.storage.progress import progress_of
from workspace.errors import UsageError
from workspace.layout import Workspace


@dataclass(frozen=True)
class Having:
    """What one workspace has of a generator: distinct images that are whole, samples, and whether sampling ended well.

    `images`: the sha256 of every image by its index; `damage` says what is damaged.
    """

    workspace: Workspace
    kept: int
    tries: int
    ended: int
    """2: done or exhausted, 1: failed, 0: no outcome."""
    paid: int
    """Images that its provider was paid for, or may have been."""
    images: dict[int, str | None]
    damage: str | None

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Larger is more complete."""
        return (self.kept, self.tries, self.ended, self.paid)


@dataclass(frozen=True)
class Chosen:
    """The workspace whose files count, and what to say about that."""

    having: Having
    remarks: tuple[str, ...] = ()


def choose(generator: str, workspaces: Sequence[Workspace]) -> Chosen | None:
    """Choose among workspaces, the first first; None: none has anything. Raises `UsageError` for rows of another
    version, and for a damaged ledger."""
    having_it = [workspace for workspace in workspaces if _has(workspace, generator)]
    # Everything is read where there is a choice; otherwise sizes are compared.
    every = [_having(workspace, generator, whole=len(having_it) > 1) for workspace in having_it]
    if not every:
        return None
    best = max(every, key=lambda having: having.rank)  # the first of equal ones
    remarks = [
        f"{generator}: {having.damage} in {having.workspace.root}"
        + ("; `cf-sample` makes it again" if having is best else "")
        for having in every
        if having.damage is not None
    ]
    for other in every:
        common = best.images.keys() & other.images.keys()
        if differing := sum(best.images[index] != other.images[index] for index in common):
            remarks.append(
                f"{generator}: {differing} of {len(common)} images in {other.workspace.root} are other ones, as "
                f"another device or version makes them; those of {best.workspace.root} count"
            )
    return Chosen(best, tuple(remarks))


def _has(workspace: Workspace, generator: str) -> bool:
    areas = (Workspace.samples_of, Workspace.images_of, Workspace.outcome_of, Workspace.requests_of)
    return any(of(workspace, generator).exists() for of in areas)


def _having(workspace: Workspace, generator: str, whole: bool) -> Having:
    try:
        outcome = read_outcome(workspace, generator)
    except UsageError:
        outcome = None
    read_after = 0.0 if whole else math.inf
    progress = without_damaged_parts(progress_of(workspace, generator), read_after)
    store: Store = "files" if workspace.images_of(generator).exists() else "parquet"
    broken = damaged_images(workspace, generator, progress, store, read_after)
    rows = {row.index: row for row in progress.rows if row.index not in broken}
    damage = [path.name for path in progress.damaged] + [f"image {index:08d}.png" for index in sorted(broken)]
    more = f" and {len(damage) - 3} more" if len(damage) > 3 else ""
    return Having(
        workspace,
        kept=len({row.sha256 for row in rows.values() if row.sha256 is not None}),
        tries=len(rows),
        ended=0 if outcome is None else 2 if outcome.status in SUCCEEDED else 1,
        paid=Ledger(workspace.requests_of(generator)).spent.images,
        images={index: row.sha256 for index, row in rows.items()},
        damage=f"damaged: {', '.join(damage[:3])}{more}" if damage else None,
    )
