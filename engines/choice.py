"""The choice of the next task, by each process for itself: what nobody is at first, then where one more saves most.

Processes do not know of each other's choices: what they see is up to a minute old, and many look at the same moment.
If all chose the best task, all but one would have looked, downloaded and claimed in vain. So each chooses the best of
a few that it draws at random. That spreads any number of processes, and the longest tasks are still done early: each is
drawn many times before the others are done (the power of several choices; Mitzenmacher, IEEE TPDS 12, 2001).
"""

import random
from collections.abc import Iterable, Sequence

from engines.task import Task

#: Tasks that a process draws for one choice. More bring the longest forward, and let more processes choose the same.
DRAWN = 8


def drawn(names: Sequence[str], chance: random.Random) -> list[str]:
    """The names of the tasks to choose among, of all that nobody is at, or of all that are under way."""
    return chance.sample(names, min(DRAWN, len(names)))


def next_task(tasks: Iterable[Task]) -> Task | None:
    """The task to do next; None: there is none with a unit that can be claimed.

    First those that nobody is at, the longest first; then those under way, by the seconds left for each process at them
    when one more has come.
    """
    free = [task for task in tasks if task.units]
    return max(free, key=lambda task: (not task.workers, task.seconds / (task.workers + 1)), default=None)
