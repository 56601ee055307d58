"""The status of a run on the screen: a table of the shards, the failed generators, and how the time was spent."""

import itertools
from collections.abc import Sequence

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from samplers.outcomes import BUSY
from samplers.status.json_form import as_json
from samplers.status.rounds import RoundStatus
from samplers.status.run import RunStatus
from samplers.status.shard_status import WALL, ShardStatus, Time
from workspace.number_text import counted, duration_text, form
from workspace.printable import in_line
from workspace.terminal import Console

#: Failed generators that are named where the status is shown again and again in the place of a screen.
_NAMED_LIVE = 5
#: Seconds by which clocks may differ before it is said.
_CLOCK_SECONDS = 60.0


class Screen:
    """Shows one status after the other; a context manager. `live`: in the same place, where there is a terminal."""

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
        """Show a status."""
        if self._as_json:
            print(as_json(status), flush=True)  # noqa: T201 - rich would break the line
        elif self._live is not None:
            self._live.update(as_tables(status, _NAMED_LIVE), refresh=True)
        else:
            self._console.print(as_tables(status))


def as_tables(status: RunStatus, named: int | None = None) -> Group:
    """The status as tables that fit into 80 columns. `named`: failed generators that are named; None: all."""
    lines = [
        f"{counted(status.generators, 'generator')}: {status.done:,} done, {status.exhausted:,} exhausted, "
        f"{status.failed:,} failed, {status.left:,} left",
        f"{counted(status.images, 'image')}; {_rate(status.recently)} a second now, "
        f"{_rate(status.images_a_second)} on average; time left: {duration_text(status.seconds_left)}",
    ]
    parts: list[Text | Table] = [Text("\n".join(lines))]
    if status.shards:
        parts.append(_shards(status))
        parts += [Text(f"shard {shard.shard} failed: {shard.detail}") for shard in status.shards if shard.detail]
        parts += [Text(f"shard {shard.shard} samples {shard.walls}") for shard in status.shards if shard.walls]
    else:
        parts.append(Text("no shard has run yet: start one with `cf-sample`"))
    if status.not_started:
        parts.append(Text(f"never started: {shards_text(status.not_started)}"))
    if status.clock_behind > _CLOCK_SECONDS:
        parts.append(
            Text(
                f"the clock of this machine is {duration_text(status.clock_behind)} or more behind that of the file "
                "system: for how long a shard is silent may be wrong"
            )
        )
    parts += [Text(f"{name}: {why}") for name, why in status.damaged.items()]
    parts += _failures(status, named)
    if status.time.wall > 0:
        shares = {name: _percent(share) for name, share in time_shares(status.time).items()}
        parts.append(_pairs("share of the time", shares))
    if status.rounds is not None:
        parts.append(_rounds(status.rounds))
    return Group(*parts)


def shards_text(shards: Sequence[str]) -> str:
    """Shards such as 2/16, 3/16 and 5/16 as a short text: shards 2-3, 5 of 16."""
    texts = []
    for count, places in itertools.groupby(
        (tuple(map(int, shard.split("/"))) for shard in shards), lambda place: place[1]
    ):
        indices = [index for index, _ in places]
        ranges = []
        for _, run in itertools.groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
            found = [index for _, index in run]
            ranges.append(f"{found[0]}-{found[-1]}" if len(found) > 1 else str(found[0]))
        texts.append(f"{form(len(indices), 'shard', 'shards')} {', '.join(ranges)} of {count}")
    return "; ".join(texts)


def _failures(status: RunStatus, named: int | None) -> list[Text | Table]:
    """A line for each kind of failure, with what to do, and below it one for each generator, `named` at most in all."""
    lines: list[Text | Table] = []
    left = len(status.failures) if named is None else named
    for end, group in itertools.groupby(status.failures, lambda failure: failure.end):
        failures = list(group)
        lines.append(Text(f"failed, {end} ({len(failures):,}): {failures[0].remedy}"))
        for failure in failures[:left]:
            log = f" (log: {failure.log})" if failure.log is not None else ""
            detail = f": {in_line(failure.detail)}" if failure.detail else ""
            lines.append(Text(f"  {failure.generator}{detail}{log}"))
        left = max(0, left - len(failures))
    if named is not None and len(status.failures) > named:
        lines.append(Text(f"... and {len(status.failures) - named:,} more: `cf-status` names all"))
    return lines


def _rounds(rounds: Sequence[RoundStatus]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("round")
    for name in ("generators", "prompts", "images owed", "images made"):
        table.add_column(name, justify="right")
    table.add_column("settings of")
    for one in rounds:
        owed = "not sampled yet" if one.images_owed is None else f"{one.images_owed:,}"
        counts = (f"{one.generators:,}", f"{one.prompts:,}", owed, f"{one.images:,}")
        table.add_row(str(one.round), *counts, ", ".join(one.stages))
    return table


def _shards(status: RunStatus) -> Table:
    # One space between columns: so a silent shard of a large run fits into 80 characters.
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
            duration_text(seconds_left),
            _percent(shard.time.duty),
        )
    return table


def _state(shard: ShardStatus) -> str:
    return f"silent {duration_text(shard.heard)}" if shard.state == "silent" else shard.state


def time_shares(time: Time) -> dict[str, float]:
    """Shares of the wall time of ended generators; first the phases in which the device works, with their sum."""
    shares = {phase: time.phases.get(phase, 0.0) / time.wall for phase in WALL}
    names = {"idle": "waiting for files", "other": "other"}
    busy = {f"  {phase}": share for phase, share in shares.items() if phase in BUSY and share}
    others = {names.get(phase, phase): share for phase, share in shares.items() if phase not in BUSY}
    return {"device busy": time.duty or 0.0} | busy | others


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
