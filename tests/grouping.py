"""Which tests run in one process of pytest-xdist, and which begin first.

Tests that share something costly (a fork server with the imports, a Hub with generators, a catalogue) run in one
process, which makes it once. All other files are distributed one by one. What takes longest begins first, so that the
other processes do not wait for it at the end. `make test` loads this plugin (`-p tests.grouping`).
"""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent

#: Groups of files and folders below `tests/`, the longest first; `/*` stands for the files directly in a folder.
GROUPS = (
    ("demo/test_demo.py",),
    ("samplers/*", "samplers/status/test_run.py", "workspace/sandbox"),
    ("captioning",),
    ("examples",),
    ("journeys",),
    ("manifests/checks/test_damage.py",),
    ("crawler/*",),
    ("localhub",),
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


class Grouped(LoadScopeScheduling):
    """Gives a group, or a file of no group, to one process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        place = group_of(Path(file).relative_to(TESTS.name).as_posix())
        return file if place == len(GROUPS) else GROUPS[place][0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The groups first."""
    items.sort(key=lambda item: group_of(item.path.relative_to(TESTS).as_posix()))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    return Grouped(config, log)
