"""The run log of a shard: what it logs while it works, in `logs/sample-3-of-16.jsonl`, read by `cf-status`.

- `run_started`: the work is planned; `shard`, generators: `pending`, `finished`, `skipped`
- `child_ready`: the sampling process works; `device`, `sandbox`
- `generator_started`: a generator's files are complete; `model_name`, `kept`, `images`
- `progress`: a batch is finished, at most once in `PROGRESS_SECONDS`; `model_name`, `kept`, `tries`
- `generator_ended`: it is finished or failed; `model_name`, `end`, `failed`, `detail`, `kept`, `tries`, `seconds`
- `generator_left`: other processes sample what is left of it, or have sampled it meanwhile; `model_name`, `kept`
- `waiting`: nothing is left but what other processes sample
- `run_stopped`: the run is over, unless SIGKILL ended it; `why`: finished, interrupted or failed; `detail`

`kept` are the images that were there before, and those of this process. Events of generators have `own`: whether it is
one of the shard, or one that it helps with. Every event has the `process` that logs it, because two may work on one
shard, and `elapsed`, the seconds since its run started: no clock of a node can make a duration wrong. `run_started` and
the events of generators also have `estimate`: what `samplers/planning/cost.py` expects for the missing images, in
seconds of its nominal device. Only progress of the child adds events: a shard without an event for longer than a batch
takes has a problem.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samplers.assignment.pending import PendingGenerator, PendingWork
from samplers.messages import Ready
from samplers.outcomes import Outcome
from samplers.planning.segments import images_owed
from workspace.atomic import read_whole
from workspace.layout import Workspace
from workspace.progress import Log
from workspace.shard import Shard

#: Seconds between two progress events at least: the log of a week has 5 MB.
PROGRESS_SECONDS = 10.0

#: How every line of a log begins (`workspace/progress.py`).
_LINE_START = b'{"time": '
#: The most frequent event, with the process that logged it.
_PROGRESS = re.compile(rb'"event": "progress", "process": (?:null|"[^"]*")')
#: Lines at the end that are always read: at least a quarter of an hour, for the pace of the last ten minutes.
_NEWEST = 100


def run_log_name(shard: Shard) -> str:
    """The name of a shard's log, without its ending: sample-3-of-16, of a share of it sample-3-of-16-part-2-of-8."""
    own = f"{shard.index}-of-{shard.count}"
    return f"sample-{own}" if shard.within is None else f"{run_log_name(shard.within)}-part-{own}"


class RunLog:
    """Writes the log of one run."""

    def __init__(self, workspace: Workspace, shard: Shard, process: str | None = None) -> None:
        """`process`: the name of the process's folder (`samplers/claims.py`), by which others see that it runs."""
        self._log = Log(workspace, run_log_name(shard))
        self._shard, self._process = shard, process
        self._own: frozenset[str] = frozenset()
        self._started = self._written = time.monotonic()
        #: The last counts, where they are not in the log yet.
        self._counts: dict[str, Any] = {}

    @contextmanager
    def run(self, pending: PendingWork) -> Iterator[None]:
        """Log the start of a run, and how the block ended."""
        self._own = frozenset(one.entry.generator for one in pending.generators)
        self._write(
            "run_started",
            shard=str(self._shard),
            pending=len(pending.generators),
            finished=pending.finished,
            skipped=len(pending.skipped),
            estimate=_estimate(pending.generators),
        )
        why, detail = "failed", None
        try:
            yield
            why = "finished"
        except KeyboardInterrupt:
            why = "interrupted"
            raise
        except BaseException as error:
            detail = str(error)
            raise
        finally:
            self._write_counts()
            self._write("run_stopped", why=why, detail=detail)

    def child_ready(self, ready: Ready) -> None:
        """Log that the sampling process works."""
        self._write("child_ready", device=ready.device, sandbox=ready.sandbox)

    def generator_started(self, generator: PendingGenerator) -> None:
        """Log that a generator is sampled from now on."""
        kept, estimate = len(generator.progress.kept), _estimate([generator])
        model_name = generator.entry.generator
        self._write(
            "generator_started",
            model_name=model_name,
            own=model_name in self._own,
            kept=kept,
            images=images_owed(generator.segments),
            estimate=estimate,
        )

    def progress(self, model_name: str, kept: int, tries: int) -> None:
        """Log the counts after a batch; where the last event was a moment ago, with the next ones or at the end."""
        self._counts = {"model_name": model_name, "kept": kept, "tries": tries}
        if time.monotonic() - self._written >= PROGRESS_SECONDS:
            self._write_counts()

    def generator_ended(self, generator: PendingGenerator, outcome: Outcome, kept: int) -> None:
        """Log how a generator ended."""
        self._counts = {}
        self._write(
            "generator_ended",
            model_name=outcome.generator,
            own=outcome.generator in self._own,
            end=outcome.end,
            failed=outcome.failed,
            detail=outcome.detail,
            kept=kept,
            tries=outcome.tries,
            seconds=outcome.seconds,
            estimate=_estimate([generator]),
        )

    def generator_left(self, generator: PendingGenerator, kept: int) -> None:
        """Log that other processes sample what is left of a generator, or have sampled it."""
        self._counts = {}
        name = generator.entry.generator
        self._write(
            "generator_left", model_name=name, own=name in self._own, kept=kept, estimate=_estimate([generator])
        )

    def waiting(self) -> None:
        """Log that nothing is left but what other processes sample."""
        self._write("waiting")

    def _write_counts(self) -> None:
        if self._counts:
            counts, self._counts = self._counts, {}
            self._write("progress", **counts)

    def _write(self, event: str, **fields: Any) -> None:
        self._written = time.monotonic()
        elapsed = round(self._written - self._started, 3)
        self._log.event(event, process=self._process, elapsed=elapsed, **fields)


class Reader:
    """Reads a log that may be growing: every call of `new_events` gives the events since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_events(self) -> Iterator[dict[str, Any]]:
        """The new events in order. Damaged lines are skipped; a line without its end is read by a later call.

        Of several `progress` events of a process in a row the last one has all counts, so older ones are not parsed:
        they are nearly all lines in the log of a week.
        """
        if self._path.stat().st_size <= self._offset:
            return
        new = read_whole(self._path, self._offset)
        complete = new.rfind(b"\n") + 1
        self._offset += complete
        lines = new[:complete].splitlines()
        for number, line in enumerate(lines):
            if number < len(lines) - _NEWEST and (logged := _PROGRESS.search(line)) and logged[0] in lines[number + 1]:
                continue
            # A run that was killed may leave half a line; the next run's first event continues on it.
            start = line.rfind(_LINE_START)
            try:
                event = json.loads(line[start:]) if start >= 0 else None
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _estimate(generators: Sequence[PendingGenerator]) -> float:
    """Seconds of the nominal device for the missing images."""
    return round(sum(one.seconds for one in generators), 3)
