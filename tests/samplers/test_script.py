"""What samples need not have a main module that can be imported: no process that it starts runs it again.

A script without `if __name__ == "__main__"` is in `test_cli.py`.
"""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from tests.samplers.conftest import PIXELS
from tests.samplers.inputs import entry_of
from workspace.layout import Workspace


@pytest.mark.parametrize("file", [None, "/home/somebody/script-that-is-gone.py"])
def test_an_interactive_session_samples_and_keeps_its_main_module(
    store: Store,
    options: SampleOptions,
    make_workspace: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
    file: str | None,
) -> None:
    session = ModuleType("__main__")
    if file is not None:
        # Importing it again would fail.
        session.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", session)
    (outcome,) = sample(make_workspace(entry_of(store, PIXELS)), options).outcomes
    assert outcome.status == "done"
    assert sys.modules["__main__"] is session
