"""The journal of a shard: what it tells while it works, in `logs/sample-3-of-16.jsonl`, for `cf-status` to read.

| event | when | its own fields |
|---|---|---|
| `started` | the child works | `shard`, `device`, `walls`, `owed`, `finished`, `left` (generators), `estimate` |
| `began` | a generator's files are there | `model_name`, `kept`, `images`, `estimate` |
| `moved` | a batch is through, `BEAT` seconds after the last word at the earliest | `model_name`, `kept`, `tries` |
| `ended` | a generator is through | `model_name`, `end`, `well`, `detail`, `kept`, `tries`, `seconds`, `estimate` |
| `stopped` | the run is over, other than by SIGKILL | `why`: finished, interrupted, failed; `detail` |

`estimate` is what `samplers/cost.py` expects of what is owed, in seconds of its nominal device. Only the child's
progress makes the journal go on: a shard of which nothing is heard for longer than a batch takes has a problem.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samplers.messages import Ready
from samplers.outcomes import Outcome
from samplers.pending import PendingGenerator, PendingWork
from samplers.plan import Recipe
from workspace.layout import Workspace
from workspace.progress import Log
from workspace.shard import Shard

#: Seconds between two words about the same generator: a week of them is 5 MB.
BEAT = 10.0

#: How every line of a log begins (`workspace/progress.py`), and what tells the most frequent event.
_BEGINNING, _MOVED = b'{"time": ', b'"event": "moved"'
#: Lines at the end that are always read: a quarter of an hour at least, for the pace of the last ten minutes.
_NEWEST = 100


def run_log_name(shard: Shard) -> str:
    """The name of a shard's log, without its ending."""
    return f"sample-{shard.index}-of-{shard.count}"


class RunLog:
    """Writes the journal of one run."""

    def __init__(self, workspace: Workspace, shard: Shard) -> None:
        self._log = Log(workspace, run_log_name(shard))
        self._shard = shard
        self._told = 0.0

    @contextmanager
    def run(self, survey: PendingWork, ready: Ready) -> Iterator[None]:
        """Tell of the start, and of the end of the block, whichever it is."""
        self._tell(
            "started",
            shard=str(self._shard),
            device=ready.device,
            walls=ready.walls,
            owed=len(survey.owed),
            finished=survey.finished,
            left=len(survey.left),
            estimate=_total(survey.owed, survey.recipe),
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
            self._tell("stopped", why=why, detail=detail)

    def began(self, owed: PendingGenerator, recipe: Recipe) -> None:
        """The generator is sampled from now on."""
        kept, estimate = len(owed.progress.kept), _total([owed], recipe)
        self._tell("began", model_name=owed.entry.model_name, kept=kept, images=recipe.images, estimate=estimate)

    def moved(self, model_name: str, kept: int, tries: int) -> None:
        """A batch is through."""
        if time.monotonic() - self._told >= BEAT:
            self._tell("moved", model_name=model_name, kept=kept, tries=tries)

    def ended(self, owed: PendingGenerator, recipe: Recipe, outcome: Outcome) -> None:
        """The generator is through."""
        self._tell(
            "ended",
            model_name=outcome.model_name,
            end=outcome.end,
            well=not outcome.failed,
            detail=outcome.detail,
            kept=outcome.kept,
            tries=outcome.tries,
            seconds=outcome.seconds,
            estimate=_total([owed], recipe),
        )

    def _tell(self, event: str, **fields: Any) -> None:
        self._told = time.monotonic()
        self._log.event(event, **fields)


class Reader:
    """Reads a journal that may be growing: every call of `news` gives the events since the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """The new events in order. What a kill left of a line is passed over; a line without its end waits.

        Of `moved` after `moved` the last one tells all, so older ones are not taken apart: they are nearly all there
        is in the journal of a week.
        """
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        whole = new.rfind(b"\n") + 1
        self._offset += whole
        lines = new[:whole].splitlines()
        for number, line in enumerate(lines):
            if number < len(lines) - _NEWEST and _MOVED in line and _MOVED in lines[number + 1]:
                continue
            # The next run's first event stands on the line that the last one did not end.
            start = line.rfind(_BEGINNING)
            try:
                event = json.loads(line[start:]) if start >= 0 else None
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _total(owed: Sequence[PendingGenerator], recipe: Recipe) -> float:
    """What is owed, in seconds of the nominal device."""
    return round(sum(one.cost.seconds(recipe.images - len(one.progress.kept)) for one in owed), 3)
