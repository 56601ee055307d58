"""What a run will do, for the person at the terminal: how much of everything, and the first generators."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from crawler.catalog import CatalogEntry
from samplers.cost import correction
from samplers.durations import in_time
from samplers.outcomes import read_outcome
from samplers.pending import PendingGenerator, PendingWork
from workspace.layout import Workspace
from workspace.shard import Shard
from workspace.size import text_of

#: Generators, and ones that are left alone, that are shown by name.
_SHOWN = 10
#: Phases that the estimate is about: the others go on beside.
_ESTIMATED = ("load", "sample", "decode", "check")


def show_forecast(workspace: Workspace, shard: Shard, survey: PendingWork) -> None:
    """Print what a shard owes, what is downloaded for it, how long that may take, and how the shards compare."""
    console = Console()
    pace, measured = _pace(workspace, survey)
    recipe, owed = survey.recipe, survey.owed
    if owed:
        console.print(_first(survey, pace))
    if len(owed) > _SHOWN:
        console.print(f"... and {len(owed) - _SHOWN} more")
    images = sum(recipe.images - len(one.progress.kept) for one in owed)
    console.print(
        f"{len(owed)} generators to sample, {images} images; {survey.finished} finished, {len(survey.left)} left alone"
    )
    size = text_of(_download([one.entry for one in owed]))
    console.print(f"{size} to download, every content that generators share counted once")
    seconds = sum(_seconds(one, survey) for one in owed)
    origin = f"at the pace of {measured} generators done here" if measured else "on a GPU as samplers/cost.py takes it"
    console.print(f"{in_time(seconds * pace)} to load and sample, estimated {origin}")
    _show_balance(console, shard, survey, pace)
    _show_left(console, survey)


def _first(survey: PendingWork, pace: float) -> Table:
    table = Table()
    table.add_column("generator", overflow="ellipsis", no_wrap=True)
    for name in ("images", "tries left", "download", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in survey.owed[:_SHOWN]:
        images = survey.recipe.images - len(one.progress.kept)
        tries = survey.recipe.max_tries - one.progress.next_index
        size, seconds = text_of(one.entry.download_bytes), _seconds(one, survey) * pace
        table.add_row(one.entry.model_name, str(images), str(tries), size, in_time(seconds))
    return table


def _show_balance(console: Console, shard: Shard, survey: PendingWork, pace: float) -> None:
    """Print the hours of this shard's whole share, finished or not, beside those of the others."""
    if shard.count == 1:
        return
    # Shards beyond the number of generators have nothing to do; one such stands for all of them.
    loads = [*survey.division.seconds, *([0.0] if shard.count > len(survey.division.seconds) else [])]
    own = loads[min(shard.index, len(loads)) - 1]
    least, mean, most, mine = (
        f"{pace * seconds / 3600:,.1f} h" for seconds in (min(loads), sum(loads) / shard.count, max(loads), own)
    )
    longer = sum(seconds > own for seconds in loads)
    console.print(f"all of shard {shard}: {mine}, place {longer + 1} of {shard.count} from the longest")
    console.print(f"the {shard.count} shards: {least} at least, {mean} in the mean, {most} at most")


def _show_left(console: Console, survey: PendingWork) -> None:
    if len(survey.left) > _SHOWN:
        for why, count in sorted(Counter(why.split(":")[0] for why in survey.left.values()).items()):
            console.print(f"left alone: {count} generators: {why}", markup=False, highlight=False, soft_wrap=True)
    for model_name, why in list(survey.left.items())[:_SHOWN]:
        console.print(f"left alone: {model_name}: {why}", markup=False, highlight=False, soft_wrap=True)


def _seconds(one: PendingGenerator, survey: PendingWork) -> float:
    return one.cost.seconds(survey.recipe.images - len(one.progress.kept))


def _download(entries: list[CatalogEntry]) -> int:
    """Bytes of these generators' files, each content once."""
    sizes = {file.sha256 or file.git_oid: file.size for entry in entries for file in (*entry.files, *entry.base_files)}
    return sum(sizes.values())


def _pace(workspace: Workspace, survey: PendingWork) -> tuple[float, int]:
    """Real seconds in a nominal one, by the generators of all shards that were sampled, and how many those are."""
    pairs = []
    for model_name, cost in survey.costs.items():
        outcome = read_outcome(workspace, model_name)
        if outcome is not None and outcome.timed and not outcome.failed:
            taken = sum(outcome.seconds.get(phase, 0.0) for phase in _ESTIMATED)
            pairs.append((taken, cost.seconds(outcome.timed)))
    return correction(pairs) or 1.0, len(pairs)
