"""What a child can do is tried in a child: one from the fork server, behind the walls that samplers.child.loop sets."""

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

from workspace.errors import UsageError
from workspace.sandbox import isolation, landlock, namespaces, privileges, reach
from workspace.sandbox.walls import WITHOUT, missing, switched_off

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")


needs_landlock = pytest.mark.skipif(
    sys.platform == "linux" and not landlock.version(), reason="this kernel has no Landlock"
)


def _behind_walls(
    connection: Connection, walls: dict[str, Any], probe: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    try:
        isolation.enter(**walls, kept=[connection.fileno()])
        connection.send(probe(*arguments))
    except BaseException as error:
        connection.send(repr(error))


def _try(home: Path, probe: Callable[..., Any], *arguments: Any, **walls: Any) -> Any:
    """What `probe` comes to in a child behind the walls."""
    return _in_a_child(home, _behind_walls, {"home": home, **walls}, probe, arguments)


def _in_a_child(home: Path, target: Callable[..., None], *arguments: Any) -> Any:
    context = multiprocessing.get_context("forkserver")
    ours, its = context.Pipe()
    with isolation.clean_environment(home):
        process = context.Process(target=target, args=(its, *arguments))
        process.start()
    its.close()
    answer = ours.recv()
    process.join()
    return answer


def _connect(address: tuple[str, int]) -> str:
    with socket.create_connection(address, timeout=5):
        return "connected"


def _environment() -> dict[str, str]:
    initial = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return dict(os.environ) | {"/proc/self/environ": "\n".join(initial)}


def _token() -> str | None:
    import huggingface_hub

    return huggingface_hub.get_token()


def test_no_connection_is_possible_even_to_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert _connect(server.getsockname()) == "connected"
        assert "the sampling process has no network" in _try(tmp_path, _connect, server.getsockname())


def test_no_secret_is_in_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        name: f"secret-{name}"
        for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_PAT", "DATABASE_URL", "MYSQL_PWD", "HTTPS_PROXY")
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


def test_a_variable_that_is_not_on_the_list_is_set_all_the_same() -> None:
    cleaned = isolation.cleaned({"TOKENIZERS_PARALLELISM": "true", "OMP_NUM_THREADS": "1"}, Path("/home"))
    assert cleaned["TOKENIZERS_PARALLELISM"] == "false"
    assert cleaned["OMP_NUM_THREADS"] == "1"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A token as `hf auth login` leaves it, in a home that is not the child's."""
    path = tmp_path / "user" / ".cache" / "huggingface" / "token"
    path.parent.mkdir(parents=True)
    path.write_text("hf_secret")
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The child's."""
    path = tmp_path / "home"
    path.mkdir()
    return path


def _refused(*paths: Path) -> list[str]:
    """How reading, writing, listing or making each path is refused: the error's number, 0 where it is not."""
    answers = []
    for path in paths:
        for attempt in (
            lambda path=path: path.read_bytes(),
            lambda path=path: path.open("ab").close(),
            lambda path=path: list(path.parent.iterdir()),
            lambda path=path: path.with_name("made").mkdir(),
            lambda path=path: path.unlink(),
        ):
            try:
                attempt()
                answers.append("done")
            except OSError as error:
                answers.append(errno.errorcode[error.errno or 0])
    return answers


@needs_landlock
def test_the_users_files_cannot_be_read_nor_written(home: Path, secret: Path) -> None:
    assert _try(home, _refused, secret) == ["EACCES"] * 5
    assert secret.read_text() == "hf_secret"


@needs_landlock
def test_a_link_in_the_weights_does_not_lead_to_the_users_files(home: Path, secret: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    (weights / "vocab.json").symlink_to(secret)
    assert _try(home, _refused, weights / "config.json", weights=[weights])[:2] == ["done", "EACCES"]
    assert _try(home, _refused, weights / "vocab.json", weights=[weights])[:2] == ["EACCES", "EACCES"]


@needs_landlock
def test_images_can_be_written_and_weights_only_read(home: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "images", tmp_path / "weights"]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("x")
    walls = {"output": folders[:1], "weights": folders[1:]}
    assert _try(home, _refused, folders[0] / "file", **walls) == ["done"] * 5
    assert _try(home, _refused, folders[1] / "file", **walls) == ["done", "EACCES", "done", "EACCES", "EACCES"]


def test_no_readable_path_contains_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user, below = tmp_path / "user", tmp_path / "user" / "site-packages"
    below.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setattr(sys, "path", [*sys.path, str(user), str(tmp_path), str(below)])
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{user}:/opt/libraries")
    places = reach.readable([])
    assert not [place for place in places if user.is_relative_to(place)]
    assert {below, Path("/opt/libraries"), Path(isolation.__file__).parents[1]} <= set(places)


def _read_and_import(script: Path) -> list[str]:
    import beside

    outcomes = _refused(script.with_name(".env"))[:1] + _refused(script.with_name("package") / "data")[:1]
    return [beside.NAME, *outcomes]


@needs_landlock
@pytest.mark.attack
def test_beside_a_users_script_modules_can_be_imported_and_nothing_else_read(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    (folder / "package").mkdir(parents=True)
    for name, content in {"beside.py": "NAME = 'beside'", ".env": "TOKEN", "package/data": "x"}.items():
        (folder / name).write_text(content)
    (folder / "package" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    assert _try(home, _read_and_import, folder / "script.py") == ["beside", "EACCES", "done"]


@pytest.mark.parametrize("wall", ["landlock", "seccomp"])
def test_a_wall_can_be_taken_down(home: Path, secret: Path, wall: str) -> None:
    walls = _in_a_child(home, _send_walls, home, (wall,))
    assert wall not in walls
    assert {"memory", "limits", "landlock", "seccomp"} - {wall} <= set(walls)
    if wall == "landlock":
        assert _try(home, _refused, secret, without=(wall,))[0] == "done"


def test_a_wall_that_does_not_exist_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WITHOUT, "seccomp, landlok")
    with pytest.raises(UsageError, match="names no wall of the sandbox: landlok; they are audit, memory"):
        switched_off()


def test_a_network_of_its_own_is_missed_only_where_seccomp_is() -> None:
    assert missing(["audit", "memory", "limits", "landlock", "seccomp"]) == ()
    assert missing(["audit", "memory", "limits", "landlock"]) == ("network", "seccomp")


def _open_files() -> tuple[int, set[str]]:
    entries = [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return os.getpid(), {str(entry.readlink()) for entry in entries}


@needs_landlock
def test_what_the_kernel_says_of_the_machine_stays_readable_when_it_forgets_its_entries(home: Path) -> None:
    process, links = _try(home, _open_files)
    # `echo 2 > /proc/sys/vm/drop_caches`, or little memory: Landlock knows these by entries that must be in use.
    assert {"/proc/meminfo", "/proc/cpuinfo", "/proc/sys/vm", f"/proc/{process}"} <= links


def _start_a_program() -> str:
    import subprocess

    return subprocess.run(["/bin/true"], check=False).returncode


@needs_landlock
def test_no_program_can_be_started(home: Path) -> None:
    assert "PermissionError" in _try(home, _start_a_program)


def _look_at(process: int) -> list[str]:
    answers = _refused(Path(f"/proc/{process}/environ"))[:1] + _refused(Path(f"/proc/{process}/mem"))[:1]
    try:
        os.kill(process, 0)
        return [*answers, "done"]
    except OSError as error:
        return [*answers, errno.errorcode[error.errno or 0]]


@needs_landlock
def test_the_supervisor_can_be_neither_read_nor_signalled(home: Path) -> None:
    answers = _try(home, _look_at, os.getpid())
    assert answers[:2] == ["EACCES", "EACCES"]
    assert answers[2] == "EPERM" or landlock.version() < 6


def _use_the_libraries() -> str:
    import tempfile

    import sentencepiece  # noqa: F401 - loaded for the first time, behind the walls
    import torch
    from diffusers import FluxPipeline

    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    assert torch.linalg.svd(torch.rand(300, 300) @ torch.rand(300, 300)).S.isfinite().all()
    return FluxPipeline.__name__


def test_the_libraries_work_in_the_sandbox(home: Path) -> None:
    assert _try(home, _use_the_libraries) == "FluxPipeline"


def _interfaces() -> list[str]:
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


def _own_network(connection: Connection, user: int) -> None:
    if user != os.getuid():
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    left = namespaces.leave_the_network()
    privileges.drop()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    connection.send((left, os.getuid(), int(status["CapEff"], 16), _interfaces()))


NOBODY = 65534


def test_the_network_of_the_child_is_its_own_and_empty_where_the_kernel_allows(home: Path) -> None:
    user = NOBODY if os.getuid() == 0 else os.getuid()
    left, seen, powers, interfaces = _in_a_child(home, _own_network, user)
    assert (seen, powers) == (user, 0)
    if not left:
        pytest.skip("this system gives users no namespaces")
    assert interfaces == ["lo"]


def _allocate(size: int) -> str:
    import torch

    from samplers.child.failures import is_out_of_memory

    try:
        torch.empty(size, dtype=torch.uint8)
    except Exception as error:
        return f"{type(error).__name__} {is_out_of_memory(error)}"
    return "done"


def test_memory_beyond_the_limit_is_an_error_of_the_call(home: Path) -> None:
    assert _try(home, _allocate, 1 << 30, memory=8 << 30) == "done"
    assert _try(home, _allocate, 16 << 30, memory=8 << 30) == "RuntimeError True"


def test_the_walls_that_stand_are_returned(home: Path) -> None:
    named = _in_a_child(home, _send_walls, home)
    assert {"audit", "memory", "limits"} <= set(named)
    assert ("landlock" in named) == bool(landlock.version())
    assert ("seccomp" in named) == (os.uname().machine in ("x86_64", "aarch64"))


def _send_walls(connection: Connection, home: Path, without: tuple[str, ...] = ()) -> None:
    connection.send(isolation.enter(home, memory=8 << 30, kept=[connection.fileno()], without=without))


_FRESH = """
import multiprocessing, os, sys
from pathlib import Path
from workspace.sandbox import isolation
from tests.workspace.sandbox.test_isolation import _find_in_memory, _in_a_child, _try
if __name__ == "__main__":
    home, start, end = Path(sys.argv[1]), os.environ["HF_TOKEN"][:12].encode(), os.environ["HF_TOKEN"][:11:-1]
    print(_try(home, _find_in_memory, start, end), _try(home, _find_in_memory, start, end, "planted-elsewhere"))
"""


def _find_in_memory(start: bytes, end_backwards: str, planted: str | None = None) -> int:
    """How often the token lies in this process's memory. It comes in two pieces, one backwards, so as not to be here
    because it is looked for; `planted` puts it there after all."""
    here = start.decode() + end_backwards[::-1] if planted else None
    found = 0
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for line in Path("/proc/self/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            first, last = (int(number, 16) for number in place.split("-"))
            found += _occurrences(memory, first, last, start, end_backwards)
    return found if here is None or found else -1


def _occurrences(memory: Any, first: int, last: int, start: bytes, end_backwards: str) -> int:
    found = 0
    for address in range(first, last, 1 << 24):
        memory.seek(address)
        try:
            content = memory.read(min(1 << 24, last - address) + 100)
        except OSError:
            continue
        place = content.find(start)
        while place >= 0:
            after = content[place + len(start) : place + len(start) + len(end_backwards)]
            found += after[::-1] == end_backwards.encode()
            place = content.find(start, place + 1)
    return found


def test_a_token_of_the_supervisor_is_nowhere_in_the_memory_of_the_child(home: Path) -> None:
    import secrets
    import subprocess

    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "HF_TOKEN": f"hf_{secrets.token_hex(20)}"}
    script = home.parent / "fresh.py"
    script.write_text(_FRESH)
    done = subprocess.run([sys.executable, str(script), str(home)], env=environment, capture_output=True, check=True)
    absent, planted = map(int, done.stdout.split())
    assert absent == 0
    assert planted > 0
