"""Processes that are forked from one which has imported the code."""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver

import pytest

from tests.forking import Server


def lent() -> None:
    """In a process of its own: its fork server is a fork of another one, and is replaced when it has ended."""
    server = Server("tests.forking", "tests.test_forking", "colorsys")
    server.warm_up()
    if pid := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.environ["COLOUR"] = "green"
    server.lend()
    pids = []
    for _ in range(2):
        for _ in range(2):
            process = multiprocessing.get_context("forkserver").Process(target=found)
            process.start()
            process.join()
            assert process.exitcode == 7
            pids.append(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
        assert multiprocessing.active_children() == []
        os.kill(pids[-1], 9)
        server._lent.join()
    assert (pids[0], pids[2]) == (pids[1], pids[3])
    assert pids[0] != pids[2]
    print("all as it should be", flush=True)
    os._exit(0)


def found() -> None:
    print("printed by", os.environ["COLOUR"], flush=True)
    sys.exit(7 if "colorsys" in sys.modules else 8)


def test_the_fork_server_of_a_process_is_a_fork_of_one_that_has_imported_the_code() -> None:
    code = "from tests.test_forking import lent; lent()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "printed by green\n" * 4 + "all as it should be\n"


def test_another_process_gets_it_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import multiprocessing as m, tests.test_forking as t\n"
    code += "p = m.get_context('forkserver').Process(target=t.found); p.start(); p.join(); print(p.exitcode)"
    server = Server("tests.forking", "tests.test_forking", "colorsys")
    server.warm_up()
    monkeypatch.setenv("CF_TESTS_FORK_SERVER", server.address)
    monkeypatch.setenv("COLOUR", "red")
    for lent, code_of_end in (("", "8"), ("1", "7")):
        monkeypatch.setenv("CF_TESTS_LENT", lent)
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
        assert ended.stdout == f"printed by red\n{code_of_end}\n", ended.stderr
