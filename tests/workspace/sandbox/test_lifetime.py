"""A sandboxed process does not outlive the one that started it, and holds nothing of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.attack, pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part is Linux's")]

#: A supervisor that starts a child by the fork server; the child leaves no trace of its connection and waits for ever.
_SUPERVISOR = """
import multiprocessing, os, sys, time
from pathlib import Path
from workspace.sandbox import isolation

def child(connection, home):
    isolation.enter(Path(home), kept=[connection.fileno()])
    try:
        if os.fork() == 0:
            time.sleep(1000)
        connection.send((os.getpid(), "forked"))
    except PermissionError:
        connection.send((os.getpid(), os.getpgid(0), os.getsid(0)))
    time.sleep(1000)

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    ours, its = context.Pipe()
    with isolation.clean_environment(Path(sys.argv[1])):
        context.Process(target=child, args=(its, sys.argv[1]), daemon=True).start()
    print(*ours.recv(), flush=True)
    time.sleep(1000)
"""


def test_a_child_that_ignores_its_supervisor_is_killed_with_it(tmp_path: Path) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(_SUPERVISOR)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as supervisor:
        assert supervisor.stdout is not None
        said = supervisor.stdout.readline().split()
        child = psutil.Process(int(said[0]))
        supervisor.send_signal(signal.SIGKILL)
    # It could start no other process, and is the first of its own session and group.
    assert said == [said[0]] * 3
    for _ in range(100):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        child.kill()
        pytest.fail("the child outlived its supervisor")
