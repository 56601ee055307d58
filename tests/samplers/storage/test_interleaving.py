"""Several processes store the same generator, stopped, continued and killed between any two file operations.

Claims keep processes from that, but no result may rely on them. Each process is a thread here, which stops at every
file operation until it may go on; a killed one ends there, and its folder is removed, as the others do it.
"""

import random
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.claims import TakenOverError
from samplers.options import Store
from samplers.planning.recipe import Recipe
from samplers.sample import read_samples
from tests.samplers.storage.making import GROWN, NAME, RECIPE, files_in, help_all, png_of, store_all
from tests.scale import scaled
from workspace.layout import Workspace, parts_in

#: Events of Python's audit hooks that are operations on files.
OPERATIONS = frozenset(
    {"open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.scandir", "os.listdir"}
)
_here = threading.local()


class KilledError(BaseException):
    """The process was killed."""


class Process:
    """A process that stores the generator, one file operation after the other."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._may_go_on, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self.ended, self.killed = False, False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._stands.acquire()

    def go_on(self, operations: int) -> None:
        for _ in range(operations):
            if self.ended:
                return
            self._may_go_on.release()
            self._stands.acquire()

    def kill(self) -> None:
        self.killed = True
        while not self.ended:
            self.go_on(1)
        self._thread.join()

    def before_operation(self) -> None:
        self._stands.release()
        self._may_go_on.acquire()
        if self.killed:
            raise KilledError

    def _run(self, work: Callable[[], None]) -> None:
        _here.process = self
        try:
            self.before_operation()
            work()
        except KilledError:
            pass
        except BaseException as error:
            self.error = error
        finally:
            _here.process = None
            self.ended = True
            self._stands.release()


def _stop_before(event: str, arguments: tuple[Any, ...]) -> None:
    process = getattr(_here, "process", None)
    if process is not None and not process.killed and event in OPERATIONS and "workspace-of-many" in str(arguments[0]):
        process.before_operation()


@pytest.fixture(scope="module", autouse=True)
def _hook() -> None:
    # It cannot be removed, and does nothing in threads that are no process.
    sys.addaudithook(_stop_before)


class Processes(RuleBasedStateMachine):
    """Up to three processes at a time."""

    store: Store = "files"

    @initialize()
    def begin(self) -> None:
        self.root = Path(mkdtemp()) / "workspace-of-many"
        self.workspace, self.recipes = Workspace.open(self.root), _recipes(self.store)
        self.running: list[tuple[Process, Path]] = []
        self.started = 0

    @precondition(lambda self: len(self.running) < 3)
    @rule(rounds=st.integers(1, 2), seed=st.none() | st.integers(0, 9))
    def start(self, rounds: int, seed: int | None) -> None:
        """A process that was started before the second round was opened, or after that; `seed`: it helps, and makes
        units in another order with each seed."""
        scratch = self.root / ".locks" / f"process-{self.started}"
        scratch.mkdir(parents=True)
        self.started += 1
        recipes = self.recipes[:rounds]
        work = (
            (lambda: store_all(self.workspace, scratch, recipes))
            if seed is None
            else (lambda: help_all(self.workspace, scratch, recipes, random.Random(seed)))
        )
        self.running.append((Process(work), scratch))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 2), operations=st.integers(1, 120))
    def go_on(self, which: int, operations: int) -> None:
        self.running[which % len(self.running)][0].go_on(operations)
        for process, scratch in [one for one in self.running if one[0].ended]:
            # Another one was ahead.
            assert process.error is None or isinstance(process.error, TakenOverError), process.error
            self.running.remove((process, scratch))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        process, scratch = self.running.pop(which % len(self.running))
        process.kill()
        shutil.rmtree(scratch)

    @invariant()
    def no_image_is_torn_or_doubled(self) -> None:
        if not hasattr(self, "workspace"):
            return
        rows = read_samples(self.workspace, NAME)
        assert len({row.index for row in rows}) == len(rows)
        for row in rows:
            if row.sha256 is not None:
                content = row.image.bytes or (self.workspace.root / str(row.image.path)).read_bytes()
                assert content == png_of(row.index).content

    def teardown(self) -> None:
        if not hasattr(self, "workspace"):
            return
        for process, scratch in self.running:
            process.kill()
            shutil.rmtree(scratch)
        last = self.root / "last"
        last.mkdir()
        store_all(self.workspace, last, self.recipes)
        assert files_in(self.workspace) == _undisturbed(self.store)
        assert len(parts_in(self.workspace.samples_of(NAME))) == 4
        assert not any(last.iterdir())
        shutil.rmtree(self.root.parent)


_EXPECTED: dict[str, dict[str, bytes]] = {}


def _recipes(store: Store) -> tuple[Recipe, ...]:
    return replace(RECIPE, store=store), replace(GROWN, store=store)


def _undisturbed(store: Store) -> dict[str, bytes]:
    if store not in _EXPECTED:
        workspace = Workspace.open(Path(mkdtemp()))
        (workspace.root / "scratch").mkdir()
        store_all(workspace, workspace.root / "scratch", _recipes(store))
        _EXPECTED[store] = files_in(workspace)
        shutil.rmtree(workspace.root)
    return _EXPECTED[store]


class ProcessesWithImagesInside(Processes):
    store = "parquet"


TestImagesInFiles = Processes.TestCase
TestImagesInParts = ProcessesWithImagesInside.TestCase
TestImagesInFiles.settings = TestImagesInParts.settings = settings(
    max_examples=scaled(4, 1000),
    stateful_step_count=scaled(20, 60),
    # A failing case is long whatever is done: to look for a shorter one takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
