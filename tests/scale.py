"""The size of the tests: `make soak` runs the same tests with the numbers of a real campaign, and the weekly ones."""

import os
from typing import TypeVar

import pytest

T = TypeVar("T")

SOAK = bool(os.environ.get("CF_SOAK"))


def scaled(usual: T, soak: T) -> T:
    """`usual` with `make test`, `soak` with `make soak`."""
    return soak if SOAK else usual


def weekly(daily: str) -> pytest.MarkDecorator:
    """Marks a costly test, which runs with `make soak` alone: what it shows, `daily` shows at less cost.

    `daily`: a test that `make test` runs, as "folder/test_file.py::test_name" below tests/.
    """
    return pytest.mark.weekly(daily)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the weekly tests out, unless all tests run, or `pytest -m weekly` or a name of a test asks for them.

    Raises `UsageError` where one names a test that is not there, or is a weekly one itself.
    """
    marked = {item: mark for item in items if (mark := item.get_closest_marker("weekly"))}
    names = {item.nodeid.partition("[")[0] for item in marked}
    for item, mark in marked.items():
        (daily,) = mark.args
        file, _, test = daily.partition("::")
        path = config.rootpath / "tests" / file
        if f"tests/{daily}" in names or not path.is_file() or f"def {test}(" not in path.read_text():
            raise pytest.UsageError(f"{item.nodeid} is weekly, and {daily} is no test that runs every day")
    asked = SOAK or "weekly" in config.option.markexpr or any("::" in name for name in config.args)
    if marked and not asked:
        config.hook.pytest_deselected(items=list(marked))
        items[:] = [item for item in items if item not in marked]
