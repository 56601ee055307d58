"""The output of `--dry-run`: what a run would cost, the first generators, and the shards; or all of it as JSON."""

import dataclasses
import json
from collections import Counter

from rich.table import Table

from samplers.forecasting.forecast import Forecast
from samplers.forecasting.pace import Range
from workspace.number_text import counted, duration_text, hours_text
from workspace.shard import Shard
from workspace.size import text_of
from workspace.terminal import Console

#: Generators, and skipped ones, that are shown by name.
_SHOWN = 10
#: Shards that are shown one by one.
_SHOWN_SHARDS = 8


def show(forecast: Forecast, *, as_json: bool) -> None:
    """Print it, in 80 columns; or as one line of JSON: the fields of `Forecast`, times in seconds."""
    if as_json:
        print(json.dumps(dataclasses.asdict(forecast)))  # noqa: T201 - rich would break the line
        return
    console = Console()
    if forecast.generators:
        console.print(_first(forecast))
    if len(forecast.generators) > _SHOWN:
        console.print(f"... and {len(forecast.generators) - _SHOWN:,} more")
    console.print(
        f"{counted(len(forecast.generators), 'generator')} to sample, {counted(forecast.images, 'image')}; "
        f"{forecast.finished:,} finished, {len(forecast.skipped):,} skipped"
    )
    shard = Shard.parse(forecast.shard)
    if shard.count > 1:
        generators, images = (
            counted(forecast.total_generators, "generator"),
            counted(forecast.total_images, "image"),
        )
        console.print(f"in all {shard.count} shards: {generators}, {images}")
    if forecast.total_generators:
        console.print(_costs(forecast))
        for line in forecast.rests_on:
            console.print(line)
    for note in forecast.notes:
        console.print(note, soft_wrap=True)
    if shard.count > 1:
        _show_shards(console, shard, forecast)
    _show_skipped(console, forecast)


def _costs(forecast: Forecast) -> Table:
    """What all shards cost together."""
    table = _table("cost of what is left", "estimate", "from", "to")
    hours = f"time of one device ({forecast.device})"
    table.add_row(hours, *(hours_text(value) for value in _values(forecast.seconds)))
    table.add_row("disk: images and rows", *(text_of(round(value)) for value in _values(forecast.stored_bytes)))
    table.add_row("new files", *(f"{value:,}" for value in (forecast.files, forecast.files, forecast.most_files)))
    table.add_row("download, shared files once", text_of(forecast.download_bytes))
    return table


def _first(forecast: Forecast) -> Table:
    table = Table()
    table.add_column("generator", overflow="ellipsis", no_wrap=True)
    for name in ("images", "tries left", "download", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in forecast.generators[:_SHOWN]:
        size, time = text_of(one.download_bytes), duration_text(one.seconds.middle)
        table.add_row(one.generator, str(one.images), str(one.tries_left), size, time)
    return table


def _show_shards(console: Console, shard: Shard, forecast: Forecast) -> None:
    """Print what is left of each shard, where they are few, and how their whole shares compare, finished or not."""
    if len(forecast.shards) <= _SHOWN_SHARDS:
        table = _table("shard", "generators", "images", "estimate", "from", "to", "download")
        for one in forecast.shards:
            times = (hours_text(value) for value in _values(one.seconds))
            table.add_row(one.shard, f"{one.generators:,}", f"{one.images:,}", *times, text_of(one.download_bytes))
        console.print(table)
    # Shards beyond the number of generators have nothing to do; one of them stands for all.
    loads = [*(one.whole_seconds for one in forecast.shards), *([0.0] if shard.count > len(forecast.shards) else [])]
    own = loads[min(shard.index, len(loads)) - 1]
    least, mean, most, mine = (
        f"{seconds / 3600:,.1f} h" for seconds in (min(loads), sum(loads) / shard.count, max(loads), own)
    )
    longer = sum(seconds > own for seconds in loads)
    console.print(f"shard {shard}, finished work included: {mine}; {longer} of the {shard.count} shards take longer")
    console.print(f"the {shard.count} shards: {least} the shortest, {mean} on average, {most} the longest")


def _show_skipped(console: Console, forecast: Forecast) -> None:
    if len(forecast.skipped) > _SHOWN:
        for why, count in sorted(Counter(why.split(":")[0] for why in forecast.skipped.values()).items()):
            console.print(f"skipped {counted(count, 'generator')}: {why}", soft_wrap=True)
    for name, why in list(forecast.skipped.items())[:_SHOWN]:
        console.print(f"skipped {name}: {why}", soft_wrap=True)


def _values(values: Range) -> tuple[float, float, float]:
    return values.middle, values.low, values.high


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, overflow="ellipsis", no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
