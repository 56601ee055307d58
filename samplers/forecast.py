"""The output of `--dry-run`: how much a run would sample, the first generators, and the balance of the shards."""

from collections import Counter

from rich.table import Table

from crawler.catalog import CatalogEntry
from samplers.cost import correction
from samplers.number_text import count_text, duration_text
from samplers.outcomes import read_outcome
from samplers.pending import PendingWork
from workspace.layout import Workspace
from workspace.shard import Shard
from workspace.size import text_of
from workspace.terminal import Console

#: Generators, and skipped ones, that are shown by name.
_SHOWN = 10
#: The phases that the estimate covers: the others run at the same time.
_ESTIMATED = ("load", "sample", "decode", "check")


def show_forecast(workspace: Workspace, shard_text: str, pending: PendingWork) -> None:
    """Print what the shard would sample and download, how long it may take, and how the shards compare."""
    console = Console()
    pace, measured = _pace(workspace, pending)
    generators = pending.generators
    if generators:
        console.print(_first(pending, pace))
    if len(generators) > _SHOWN:
        console.print(f"... and {len(generators) - _SHOWN:,} more")
    images = sum(one.missing_images for one in generators)
    console.print(
        f"{count_text(len(generators), 'generator')} to sample, {count_text(images, 'image')}; {pending.finished:,} "
        f"finished, {len(pending.skipped):,} skipped"
    )
    size = text_of(_download([one.entry for one in generators]))
    console.print(f"{size} to download; files that generators share are counted once")
    seconds = sum(one.seconds for one in generators)
    origin = (
        f"from {count_text(measured, 'generator')} of this workspace"
        if measured
        else "for a GPU that needs 1 s for an image of Stable Diffusion 1.5"
    )
    console.print(f"{duration_text(seconds * pace)} to load and sample, estimated {origin}")
    for note in pending.notes:
        console.print(note, soft_wrap=True)
    _show_balance(console, Shard.parse(shard_text), pending, pace)
    _show_skipped(console, pending)


def _first(pending: PendingWork, pace: float) -> Table:
    table = Table()
    table.add_column("generator", overflow="ellipsis", no_wrap=True)
    for name in ("images", "tries left", "download", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in pending.generators[:_SHOWN]:
        images = one.missing_images
        tries = sum(segment.stop - segment.first for segment in one.segments) - one.progress.tries
        size, seconds = text_of(one.entry.download_bytes), one.seconds * pace
        table.add_row(one.entry.generator, str(images), str(tries), size, duration_text(seconds))
    return table


def _show_balance(console: Console, shard: Shard, pending: PendingWork, pace: float) -> None:
    """Print the hours of this shard's whole share, finished or not, and those of the other shards."""
    if shard.count == 1:
        return
    assigned = pending.assignment.seconds
    # Shards beyond the number of generators have nothing to do; one of them stands for all.
    loads = [*assigned, *([0.0] if shard.count > len(assigned) else [])]
    own = loads[min(shard.index, len(loads)) - 1]
    least, mean, most, mine = (
        f"{pace * seconds / 3600:,.1f} h" for seconds in (min(loads), sum(loads) / shard.count, max(loads), own)
    )
    longer = sum(seconds > own for seconds in loads)
    console.print(f"shard {shard}, finished work included: {mine}; {longer} of the {shard.count} shards take longer")
    console.print(f"the {shard.count} shards: {least} the shortest, {mean} on average, {most} the longest")


def _show_skipped(console: Console, pending: PendingWork) -> None:
    if len(pending.skipped) > _SHOWN:
        for why, count in sorted(Counter(why.split(":")[0] for why in pending.skipped.values()).items()):
            console.print(f"skipped {count_text(count, 'generator')}: {why}", soft_wrap=True)
    for generator, why in list(pending.skipped.items())[:_SHOWN]:
        console.print(f"skipped {generator}: {why}", soft_wrap=True)


def _download(entries: list[CatalogEntry]) -> int:
    """Bytes of these generators' files, each content once."""
    sizes = {file.sha256 or file.git_oid: file.size for entry in entries for file in entry.all_files}
    return sum(sizes.values())


def _pace(workspace: Workspace, pending: PendingWork) -> tuple[float, int]:
    """Measured seconds in a nominal one, and the number of sampled generators of all shards that this is from."""
    pairs = []
    for generator, cost in pending.costs.items():
        outcome = read_outcome(workspace, generator)
        if outcome is not None and outcome.timed and not outcome.failed:
            taken = sum(outcome.seconds.get(phase, 0.0) for phase in _ESTIMATED)
            pairs.append((taken, cost.seconds(outcome.timed)))
    return correction(pairs) or 1.0, len(pairs)
