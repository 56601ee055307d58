"""What code in the sandbox can do, tried as root and as an ordinary user, is what docs/sandbox.md allows."""

import codecs
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.workspace.sandbox.probe import ACTIONS, MANY_THREADS, Surroundings, attempt
from workspace.sandbox import isolation, landlock, limits
from workspace.sandbox.call_numbers import call_numbers

pytestmark = [
    pytest.mark.attack,
    pytest.mark.skipif(
        sys.platform != "linux" or landlock.version() < 6 or call_numbers(os.uname().machine) is None,
        reason="the probe is for machines where all walls stand",
    ),
]

DOCUMENT = Path(__file__).parents[3] / "docs" / "sandbox.md"
ORDINARY = 54321
#: Allowed to root only.
OF_ROOT = "start any number of threads"
#: Here an ordinary user may not read Python itself, where it lies in the home of root.
OF_WHOSE_PYTHON = "read Python and its packages"


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> int:
    """Whose process is probed."""
    if os.getuid() != 0:
        return os.getuid() if request.param == "ordinary" else pytest.skip("only root can be root")
    return 0 if request.param == "root" else ORDINARY


@pytest.fixture
def folder(user: int) -> Iterator[Path]:
    """A folder of that user, in one that everybody may enter."""
    made = Path(tempfile.mkdtemp(prefix="cf-probe-"))
    for name in ("home", "user", "output", "weights"):
        (made / name).mkdir()
    for name in ("user/token", "user/file", "user/spare", "output/image", "weights/config.json"):
        (made / name).write_text("x")
    for path in (made, *made.rglob("*")):
        os.chown(path, user, user)
    yield made
    shutil.rmtree(made)


def _probe(connection: Connection, user: int, folder: Path, surroundings: tuple[int, str, int]) -> None:
    try:
        if user != os.getuid():
            # Read before the change of users: the home of root, where Python may lie, is closed to others.
            codecs.lookup("ascii")
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        # Fewer than the probe starts; with those of the user, where the kernel counts these too.
        limits.MOST_THREADS = MANY_THREADS // 2
        walls = isolation.enter(
            folder / "home",
            [folder / "weights"],
            [folder / "output"],
            1 << 33,
            kept=[connection.fileno()],
            mapped=0,
        )
        around = Surroundings(
            folder / "user", folder / "output", folder / "weights", *surroundings, kept=connection.fileno()
        )
        connection.send((walls, attempt(around)))
    except BaseException as error:
        connection.send(((repr(error),), {}))


def _documented() -> set[str]:
    """The first column of the table of what is allowed."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## What it may do")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)) - {"action"} - {"---"}


def test_nothing_is_allowed_that_the_documentation_does_not_allow(user: int, folder: Path) -> None:
    assert len(ACTIONS) >= 60
    context = multiprocessing.get_context("forkserver")
    ours, its = context.Pipe()
    victim = subprocess.Popen(["sleep", "60"], user=user)
    with isolation.clean_environment(folder / "home"), socket.create_server(("127.0.0.1", 0)) as server:
        forkserver.ensure_running()
        address = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
        surroundings = (victim.pid, address, server.getsockname()[1])
        process = context.Process(target=_probe, args=(its, user, folder, surroundings))
        process.start()
        its.close()
        walls, outcomes = ours.recv()
    process.join()
    victim.kill()
    victim.wait()
    assert {"landlock", "seccomp", "memory", "limits"} <= set(walls), walls
    allowed = {action for action, outcome in outcomes.items() if outcome == "allowed"}
    assert outcomes.keys() == ACTIONS.keys()
    documented = _documented()
    assert allowed - documented == set()
    assert documented - allowed <= ({OF_ROOT, OF_WHOSE_PYTHON} if user else set())
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert left == {
        *("home", "user", "output", "weights", "user/token", "user/file", "user/spare"),
        *("output/image", "weights/config.json", "home/x"),
    }
