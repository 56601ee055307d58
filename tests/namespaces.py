"""Programs on a node without network: in a network namespace that has loopback only."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def without_network(command: str, *arguments: object, environment: Mapping[str, str] = {}) -> "subprocess.Popen[str]":
    """An installed command, started where nothing can be reached, not even the services of this machine.

    Skips the test where that needs rights that this user has not.
    """
    return _started(["--net"], "", [Path(sys.executable).parent / command, *arguments], environment)


def host(name: str, *program: object) -> "subprocess.Popen[str]":
    """A program on a host of that name, which reaches no other; skips as `without_network`."""
    return _started(["--net", "--uts"], f"hostname {name} && ", list(program), {})


def _started(
    namespaces: list[str], before: str, program: list[object], environment: Mapping[str, str]
) -> "subprocess.Popen[str]":
    require_namespaces(*namespaces)
    start = ["unshare", *namespaces, "sh", "-c", f'ip link set lo up && {before}exec "$@"', "sh", *map(str, program)]
    pipe = subprocess.PIPE
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(start, env={**os.environ, "PATH": path, **environment}, stdout=pipe, stderr=pipe, text=True)


def require_namespaces(*namespaces: str) -> None:
    """Skip the test where such namespaces need rights that this user has not, or programs that are missing."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("a network namespace needs the programs unshare and ip")
    if subprocess.run(["unshare", *namespaces, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace needs root")
