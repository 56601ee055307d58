"""Walls around the process that opens strangers' weights: no token, no network, no file it does not need.

Each wall works alone, and what one kernel lacks the others still hold. The environment is rid of secrets before the
fork server starts (`clean_environment`), so no token was ever in the child. On Linux, and none of it can be taken off
again: Landlock closes the files of the machine, tokens among them, and other processes (`landlock`, `reach`); a seccomp
filter refuses every socket but local ones and every way into another process (`seccomp`); its network, where the
kernel allows, is one of its own with nothing on it (`namespaces`); its memory has a limit (`limits`). Everywhere, an
audit hook refuses Python's sockets with a message that says why.
"""

import errno
import os
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from samplers.child.walls import landlock, limits, namespaces, privileges, reach, seccomp
from workspace.environment import without_secrets

#: The walls that stand, by name: audit, memory, network, landlock, seccomp.
Walls: TypeAlias = tuple[str, ...]

# What diffusers and transformers are told besides.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_OFFLINE": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def cleaned(environment: dict[str, str], home: Path) -> dict[str, str]:
    """`environment` without secrets, set to work offline, with the empty folder `home` as Hugging Face's."""
    return {**without_secrets(environment), **_QUIET, "HF_HOME": str(home)}


@contextmanager
def clean_environment(home: Path) -> Iterator[None]:
    """Give this process the cleaned environment while the block runs, for the processes it starts there."""
    former = dict(os.environ)
    _replace_environment(cleaned(former, home))
    try:
        yield
    finally:
        _replace_environment(former)


def enter(home: Path, weights: Iterable[Path] = (), output: Iterable[Path] = (), memory: int | None = None) -> Walls:
    """Wall in the calling process, for good; returns the walls that stand. Call before the first thread starts: they
    hold for the caller and what it starts.

    It may read the folders `weights`, write the folders `output`, and fill `memory` bytes. Raises `OSError` when Linux
    refuses a wall that it has.
    """
    # Looked up before the environment tells of another home.
    needed = (reach.readable(weights), reach.writable([home, *output])) if sys.platform == "linux" else None
    # What libraries keep for themselves (compiled kernels, temporary files) goes where it is removed with the rest.
    places = {"HOME": str(home), "TMPDIR": str(home)}
    _replace_environment({**cleaned(dict(os.environ), home), **places})
    tempfile.tempdir = None
    sys.addaudithook(_refuse_sockets)
    walls = {"audit": True, "memory": limits.limit(memory)}
    if needed is not None:
        walls["network"] = namespaces.leave_the_network()
        privileges.renounce()
        walls["landlock"] = landlock.restrict(*needed)
        walls["seccomp"] = seccomp.refuse_sockets()
    return tuple(name for name, stands in walls.items() if stands)


def _replace_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        raise PermissionError(errno.EACCES, "no network in the process that samples")
