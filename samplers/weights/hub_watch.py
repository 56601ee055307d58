"""Whether the Hub answers well, and waiting while it does not.

A download that fails may be the fault of one repository, or of the Hub and everything on the way to it: refused
connections, a token that was revoked, an address that is blocked, the login page of a network that answers for all. So
the Hub is asked for a file that it is known to have. Where it does not give that one, the failure says nothing about
the repository: the download waits, as long as it takes, and is tried again.
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from datetime import timedelta

#: Seconds until the Hub is asked again: the first wait, which ends silently, and the longest; each is longer than the
#: one before by `_GROWTH`.
FIRST, LONGEST = 1.0, 60.0
_GROWTH = 1.5
#: Seconds between two lines about one outage.
REMINDER = 600.0


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class HubWatch:
    """`problem` asks the Hub and says in a few words why it does not answer well; None: it does.

    May be used from any number of threads: one asks, and the others wait for what it finds. `say` is called with each
    line for the user.
    """

    def __init__(self, problem: Callable[[], str | None], say: Callable[[str], None] = _print) -> None:
        self._problem, self.say = problem, say
        self._lock = threading.Lock()
        self._away = threading.Event()

    @property
    def is_away(self) -> bool:
        """Whether a download waits for the Hub now."""
        return self._away.is_set()

    def waited(self, stopping: threading.Event) -> bool:
        """Wait while the Hub does not answer well; False: it does. Raises `CancelledError` when `stopping` is set."""
        with self._lock:
            problem = self._problem()
            if problem is None:
                return False
            self._away.set()
            try:
                self._wait(problem, stopping)
            finally:
                self._away.clear()
        return True

    def _wait(self, problem: str, stopping: threading.Event) -> None:
        began = time.monotonic()
        said: float | None = None
        pause = FIRST
        found: str | None = problem
        while found is not None:
            problem = found
            if stopping.wait(pause):
                raise CancelledError
            pause = min(pause * _GROWTH, LONGEST)
            found = self._problem()
            now = time.monotonic()
            if found is not None and (said is None or now - said >= REMINDER):
                said = now
                self.say(
                    f"the Hub does not answer well ({found}): downloads wait until it does, for {_since(began)} now; "
                    "downloaded generators are sampled. Ctrl-C ends the run, and the same command continues it"
                )
        if said is not None:
            self.say(f"the Hub answers well again, after {_since(began)} ({problem}): the run continues")


def _since(began: float) -> timedelta:
    return timedelta(seconds=round(time.monotonic() - began))
