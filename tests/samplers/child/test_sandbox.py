"""What a child can do is tried in a child: one from the fork server, behind the walls that samplers.child.loop sets."""

import ctypes
import errno
import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from samplers.child import sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")


def _behind_walls(connection: Connection, home: Path, probe: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sandbox.enter(home)
    try:
        connection.send(probe(*arguments))
    except BaseException as error:
        connection.send(repr(error))


def _try(home: Path, probe: Callable[..., Any], *arguments: Any) -> Any:
    context = multiprocessing.get_context("forkserver")
    ours, its = context.Pipe()
    with sandbox.clean_environment(home):
        process = context.Process(target=_behind_walls, args=(its, home, probe, arguments))
        process.start()
    its.close()
    answer = ours.recv()
    process.join()
    return answer


def _connect(address: tuple[str, int]) -> str:
    with socket.create_connection(address, timeout=5):
        return "connected"


def _socket_past_python(family: int) -> int:
    """socket(2) by way of the C library, where no audit hook looks: 0 or the error's number."""
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.socket(family, socket.SOCK_STREAM, 0) >= 0 else ctypes.get_errno()


def _system_call(number: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.syscall(number, 1, 0, 0, 0, 0, 0) >= 0 else ctypes.get_errno()


def _environment() -> dict[str, str]:
    initial = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return dict(os.environ) | {"/proc/self/environ": "\n".join(initial)}


def _token() -> str | None:
    import huggingface_hub

    return huggingface_hub.get_token()


def test_no_connection_can_be_made_not_even_to_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert _connect(server.getsockname()) == "connected"
        assert "no network in the process that samples" in _try(tmp_path, _connect, server.getsockname())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_PACKET, socket.AF_NETLINK])
def test_the_kernel_refuses_sockets_that_python_never_sees(tmp_path: Path, family: int) -> None:
    assert _try(tmp_path, _socket_past_python, int(family)) == errno.EACCES


def test_local_sockets_remain(tmp_path: Path) -> None:
    assert _try(tmp_path, _socket_past_python, int(socket.AF_UNIX)) == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("number", [101, 310, 311, 425, 438, 0x40000000 + 41])
def test_ways_into_other_processes_and_around_the_filter_are_refused(tmp_path: Path, number: int) -> None:
    assert _try(tmp_path, _system_call, number) == errno.EACCES


def test_no_secret_is_in_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        name: f"secret-{name}"
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "HTTPS_PROXY")
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    seen = _try(tmp_path, _environment)
    assert not [value for value in seen.values() if "secret-" in value]
    assert not secrets.keys() & seen.keys()
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert seen["HF_HOME"] == str(tmp_path)
    assert "PATH" in seen
    assert _try(tmp_path, _token) is None
    # The supervisor keeps its own.
    assert os.environ["HF_TOKEN"] == "secret-HF_TOKEN"


def test_a_setting_that_only_sounds_like_a_secret_is_set_again() -> None:
    cleaned = sandbox.cleaned({"TOKENIZERS_PARALLELISM": "true", "OMP_NUM_THREADS": "1"}, Path("/home"))
    assert cleaned["TOKENIZERS_PARALLELISM"] == "false"
    assert cleaned["OMP_NUM_THREADS"] == "1"
