"""Isolation of the process that opens untrusted weights: no token, no network, no file that it does not need.

Each layer works alone: where a kernel lacks one, the others still protect. Secrets are removed from the environment
before the fork server starts (`clean_environment`), so no token was ever in the child. On Linux, and permanently:
Landlock refuses the files of the machine, tokens among them, and other processes (`landlock`, `reach`); a seccomp
filter refuses every socket but local ones and every access to another process (`seccomp`); the process has a network of
its own without interfaces, where the kernel allows that (`namespaces`); its memory has a limit (`limits`). On every
system, an audit hook refuses Python's sockets with a message that gives the reason.
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

from workspace.environment import without_secrets
from workspace.sandbox import landlock, limits, namespaces, privileges, reach, seccomp

#: Names of active layers: audit, memory, network, landlock, seccomp.
Layers: TypeAlias = tuple[str, ...]

# Further settings of diffusers and transformers.
_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_OFFLINE": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def cleaned(environment: dict[str, str], home: Path) -> dict[str, str]:
    """`environment` without secrets, set to work offline, with the empty folder `home` as Hugging Face's home."""
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


def enter(home: Path, weights: Iterable[Path] = (), output: Iterable[Path] = (), memory: int | None = None) -> Layers:
    """Isolate the calling process permanently; returns the active layers.

    Call it before the first thread starts: the layers hold for the calling thread and what it starts. The process may
    read the folders `weights`, write the folders `output`, and use `memory` bytes. Raises `OSError` when Linux refuses
    a layer that it has.
    """
    # Computed before the environment names another home.
    needed = (reach.readable(weights), reach.writable([home, *output])) if sys.platform == "linux" else None
    # Caches of libraries (compiled kernels, temporary files) are written where they are removed at the end.
    places = {"HOME": str(home), "TMPDIR": str(home)}
    _replace_environment({**cleaned(dict(os.environ), home), **places})
    tempfile.tempdir = None
    sys.addaudithook(_refuse_sockets)
    layers = {"audit": True, "memory": limits.limit(memory)}
    if needed is not None:
        layers["network"] = namespaces.leave_the_network()
        privileges.drop()
        layers["landlock"] = landlock.restrict(*needed)
        layers["seccomp"] = seccomp.refuse_sockets()
    return tuple(name for name, active in layers.items() if active)


def _replace_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _refuse_sockets(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
        raise PermissionError(errno.EACCES, "the sampling process has no network")
