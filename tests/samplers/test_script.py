"""A script without `if __name__ == "__main__"` samples: no process that it starts runs the script again."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import read_samples
from tests.samplers.conftest import PIXELS
from tests.samplers.inputs import entry_of
from workspace.layout import Workspace

ROOT = Path(__file__).parents[2]
SCRIPT = """
from pathlib import Path
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from workspace.layout import Workspace

print("the body runs", flush=True)
options = SampleOptions(images=2, device="cpu", endpoint="{endpoint}", weights_dir=Path("{weights}"))
report = sample(Workspace(Path("{workspace}")), options)
print([outcome.status for outcome in report.outcomes], __name__, flush=True)
"""


def test_a_script_without_a_guard_runs_its_body_once(
    store: Store, hub: HubProcess, make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(workspace=workspace.root, endpoint=hub.endpoint, weights=tmp_path / "weights"), encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["the body runs", "['done'] __main__"]), done.stderr
    assert len(read_samples(workspace, PIXELS)) == 2


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
