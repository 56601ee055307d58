"""Which tests run in one process, and which begin first.

Tests that share something costly (a fork server with the imports, a Hub with generators, a catalogue) run in one
process, which makes it once. All other files are distributed one by one. What takes longest begins first, so that the
other processes do not wait for it at the end.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: Groups of files and folders below `tests/`, the longest first; `/*` stands for the files directly in a folder. A file
#: is of the first group that names it.
GROUPS = (
    ("demo/test_demo.py",),
    # Processes that are killed, and the others of `samplers`: together they would be a third of the whole run.
    (
        "samplers/running/test_resume.py",
        "samplers/running/test_overlap.py",
        "samplers/running/test_preemption.py",
        "samplers/assignment/test_rounds.py",
        "samplers/assignment/test_helping.py",
        "samplers/test_object_store.py",
    ),
    (
        "samplers/assignment",
        "samplers/running",
        "samplers/forecasting",
        "workspace/sandbox",
        "manifests/reproduction",
    ),
    ("samplers/*", "samplers/planning", "samplers/remaking", "samplers/status/test_run.py"),
    # A Hub, and a server of programs, for both.
    ("examples", "journeys"),
    ("captioning",),
    # A cluster for all of them.
    ("engines",),
    ("crawler/*",),
    ("localhub",),
    # A campaign for all of them.
    ("upkeep",),
    ("samplers/weights",),
    ("manifests/restoring",),
    # Both read the source of every pipeline class.
    ("samplers/coverage/test_language_models.py", "crawler/pipelines/test_imported_classes.py"),
    ("demo",),
)


@cache
def group_of(file: str) -> int:
    """The place in `GROUPS` of a file, its path below `tests/`; behind them when it is in none."""
    names = {file, file.rpartition("/")[0] + "/*", *(str(folder) for folder in Path(file).parents)}
    return next((place for place, group in enumerate(GROUPS) if names.intersection(group)), len(GROUPS))


def grouped(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    """The tests of each group, and of each file that is in none."""
    groups = defaultdict[tuple[int, str], list[pytest.Item]](list)
    for item in items:
        file = item.path.as_posix().removeprefix(f"{TESTS.as_posix()}/")
        place = group_of(file)
        groups[place, file if place == len(GROUPS) else ""].append(item)
    return [groups[key] for key in sorted(groups)]
