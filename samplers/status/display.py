"""How a run stands, on the screen: a table of the shards, one of failures, and where the time went."""

import dataclasses
import json

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from samplers.durations import in_time
from samplers.outcomes import BUSY, ENDED_WELL
from samplers.status.following import WALL, ShardStatus
from samplers.status.run import RunStatus


class Screen:
    """Shows one look after the other; a context manager. `live`: in the same place, where there is a terminal."""

    def __init__(self, as_json: bool, live: bool) -> None:
        self._as_json = as_json
        self._console = Console()
        in_place = live and not as_json and self._console.is_terminal
        self._live = Live(console=self._console, auto_refresh=False) if in_place else None

    def __enter__(self) -> "Screen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: RunStatus) -> None:
        """Show a look."""
        if self._as_json:
            print(as_json(status), flush=True)  # noqa: T201 - rich would break the line
        elif self._live is not None:
            self._live.update(as_tables(status), refresh=True)
        else:
            self._console.print(as_tables(status))


def as_json(status: RunStatus) -> str:
    """One line for programs: the fields of `RunStatus`, times in seconds, `duty` with every `time`."""
    plain = dataclasses.asdict(status)
    plain["time"]["duty"] = status.time.duty
    for shard, values in zip(status.shards, plain["shards"], strict=True):
        values["time"]["duty"] = shard.time.duty
    return json.dumps(plain)


def as_tables(status: RunStatus) -> Group:
    """What a person is shown, in 80 columns."""
    lines = [
        f"{status.generators:,} generators: {status.done:,} done, {status.left:,} left, {status.failed:,} failed",
        f"{status.images:,} images; {_rate(status.recently)} a second now, {_rate(status.images_a_second)} overall; "
        f"{in_time(status.seconds_left)} left",
    ]
    parts: list[Text | Table] = [Text("\n".join(lines))]
    if status.shards:
        parts.append(_shards(status))
        parts += [Text(f"{shard.shard} failed: {shard.detail}") for shard in status.shards if shard.detail]
    else:
        parts.append(Text("no shard has run here yet"))
    failures = {end: count for end, count in status.ends.items() if end not in ENDED_WELL}
    if failures:
        parts.append(_pairs("failed", {end: f"{count:,}" for end, count in failures.items()}))
    if status.time.wall > 0:
        parts.append(_wall(status))
    return Group(*parts)


def _shards(status: RunStatus) -> Table:
    # One blank between columns: a silent shard of a large run fits into 80 of them.
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("shard", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("done", "left", "failed", "images", "now/s", "all/s", "time left", "duty"):
        table.add_column(name, justify="right", no_wrap=True)
    for shard in status.shards:
        seconds_left = status.seconds_left_of.get(shard.shard) if shard.left else 0.0
        table.add_row(
            shard.shard,
            _state(shard),
            f"{shard.done:,}",
            f"{shard.left:,}",
            f"{shard.failed:,}",
            f"{shard.images:,}",
            _rate(shard.recently),
            _rate(shard.images_a_second),
            in_time(seconds_left),
            _percent(shard.time.duty),
        )
    return table


def _state(shard: ShardStatus) -> str:
    return f"silent {in_time(shard.heard)}" if shard.state == "silent" else shard.state


def _wall(status: RunStatus) -> Table:
    """Shares of the wall time of what is through; the phases in which the device works come first, with their sum."""
    shares = {phase: status.time.phases.get(phase, 0.0) / status.time.wall for phase in WALL}
    rows = {"device at work": _percent(status.time.duty)}
    rows |= {f"  {phase}": _percent(share) for phase, share in shares.items() if phase in BUSY and share}
    names = {"idle": "waiting for files", "other": "anything else"}
    rows |= {names.get(phase, phase): _percent(share) for phase, share in shares.items() if phase not in BUSY}
    return _pairs("where the time went", rows)


def _pairs(title: str, rows: dict[str, str]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column(title)
    table.add_column("", justify="right")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
