"""Isolation of a process that opens strangers' files: no token, no network, no file that it does not need.

Each wall works alone: where a kernel lacks one, the others still protect. The environment is a list of harmless
variables before the fork server starts (`clean_environment`), so no token was ever in the process. On Linux, and
permanently: Landlock refuses the files of the machine, tokens among them, and other processes (`landlock`, `reach`); a
seccomp filter refuses every socket and what else a process may do to a machine (`seccomp`, `system_calls`); the process
has a network of its own without interfaces, where the kernel allows that (`namespaces`); its memory, threads and files
are limited (`limits`). It keeps no privilege (`privileges`), and nothing that was inherited (`lifetime`). On every
system, an audit hook refuses Python's sockets with a message that gives the reason.
"""

import errno
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workspace.environment import without_secrets
from workspace.sandbox import landlock, lifetime, limits, namespaces, privileges, reach, seccomp
from workspace.sandbox.walls import WITHOUT, Walls, switched_off

# Further settings of diffusers and transformers.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_OFFLINE": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def cleaned(environment: dict[str, str], home: Path) -> dict[str, str]:
    """What `environment` has on the list, set to work offline, with the folder `home` as Hugging Face's home."""
    return {**without_secrets(environment), **_QUIET, "HF_HOME": str(home)}


@contextmanager
def clean_environment(home: Path) -> Iterator[None]:
    """Give this process the cleaned environment while the block starts other processes."""
    former = dict(os.environ)
    _replace_environment(cleaned(former, home))
    try:
        yield
    finally:
        _replace_environment(former)


def enter(
    home: Path,
    weights: Iterable[Path] = (),
    output: Iterable[Path] = (),
    memory: int | None = None,
    *,
    kept: Iterable[int],
    mapped: int | None = None,
    dies_with_parent: bool = True,
    without: Iterable[str] | None = None,
) -> Walls:
    """Isolate the calling process permanently; returns the walls that stand.

    Call it before the first thread starts: the walls hold for the calling thread and what it starts. The process may
    read the folders `weights`, write the folders `output` and `home`, and use `memory` bytes, and `mapped` more for
    files that it maps (`limits`). Of its open files and connections it keeps the standard ones and the descriptors
    `kept`. Unless `dies_with_parent` is false the kernel kills it when the *thread* that started it ends. The walls
    `without` are not built (None: those that the environment names). Raises `OSError` when Linux refuses a wall that it
    has, with the switch that takes this wall down.
    """
    # Computed before the environment names another home.
    needed = None
    if sys.platform == "linux":
        needed = {
            landlock.LIST: reach.listed(),
            landlock.READ: reach.readable(weights),
            landlock.WRITE: [home, *output],
            landlock.USE_DEVICE: reach.devices(),
        }
    graphics = bool(reach.graphics_devices())
    parent = os.getppid()
    lifetime.let_go_of_descriptors(kept)
    lifetime.leave_the_session()
    # Caches of libraries (compiled kernels, temporary files) are written where they are removed at the end.
    places = {"HOME": str(home), "TMPDIR": str(home)}
    off = frozenset(switched_off() if without is None else without)
    _replace_environment({**cleaned(dict(os.environ), home), **places})
    tempfile.tempdir = None
    standing: list[str] = []

    def build(wall: str, action: Callable[[], bool]) -> None:
        try:
            if wall not in off and action():
                standing.append(wall)
        except OSError as error:
            detail = f"the wall {wall!r} could not be built ({error}); {WITHOUT}={wall} does without it"
            raise OSError(error.errno, detail) from error

    build("audit", _refuse_sockets_of_python)
    build("memory", lambda: limits.limit_memory(memory, mapped))
    if needed is not None:
        build("network", namespaces.leave_the_network)
        build("limits", lambda: limits.limit_counts(alone="network" in standing and os.getuid() != 0))
        privileges.drop()
        privileges.hide(True)
        # After the change of privileges, which makes the kernel forget it.
        if dies_with_parent:
            lifetime.die_with_the_parent(parent)
        build("landlock", lambda: landlock.restrict(needed))
        build("seccomp", lambda: seccomp.restrict(graphics))
    return tuple(standing)


def _replace_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _refuse_sockets_of_python() -> bool:
    sys.addaudithook(_refuse_sockets)
    return True


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        raise PermissionError(errno.EACCES, "the sampling process has no network")
