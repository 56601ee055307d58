"""The command as people run it: a process of its own, with a token in its environment and Ctrl-C at hand."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.catalog import Hyperparameters
from localhub.process import HubProcess
from localhub.store import Store
from samplers.cli import main
from tests.manifests.commands import Done, run
from tests.samplers.conftest import ENDLESS, PIXELS
from tests.samplers.inputs import entry_of, files_of
from workspace.layout import Workspace

ROOT = Path(__file__).parents[2]
#: The command in a user's script, without `if __name__ == "__main__"`.
SCRIPT = """
print("the body runs", flush=True)
from samplers.cli import main
main()
"""
TOKEN = "hf_" + "q" * 34


def _run(workspace: Workspace, *options: str) -> Done:
    """Run the command in this process, where it samples nothing: to start another one takes a second."""
    return run(main, "--workspace", str(workspace.root), *options)


def _below(pid: int) -> list[int]:
    """A process's descendants."""
    children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in _below(child))]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shard", "17/16"], "--shard '17/16'"),
        (["--images", "5", "--max-tries", "4"], "--max-tries 4 is less than --images 5: make it at least as many"),
        (["--source-weight", "coco=2"], "--source-weight coco: no such real source in this workspace; it has: digits"),
        (["--source-weight", "digits"], "--source-weight digits: not of the form NAME=WEIGHT"),
        (["--max-disk", "some"], "--max-disk 'some' is not a size"),
        (["--only", "nobody/nothing"], "--only nobody/nothing: the catalogue has no such generator"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    store: Store, make_workspace: Callable[..., Workspace], options: list[str], words: str
) -> None:
    ended = _run(make_workspace(entry_of(store, PIXELS)), *options)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert words in line


def test_without_a_catalogue_the_message_names_cf_crawl(tmp_path: Path) -> None:
    ended = _run(Workspace.open(tmp_path))
    assert (ended.returncode, "run `cf-crawl` first" in ended.stderr) == (2, True)


def test_a_dry_run_shows_the_pending_work_and_changes_nothing(
    store: Store, make_workspace: Callable[..., Workspace]
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS))
    before = sorted(workspace.root.rglob("*"))
    ended = _run(workspace, "--dry-run", "--images", "7")
    assert ended.returncode == 0
    assert "1 generator to sample, 7 images" in ended.stdout
    assert sorted(workspace.root.rglob("*")) == before


def test_a_script_runs_its_body_once_no_process_that_opens_weights_has_the_token_and_ctrl_c_ends_all_processes(
    store: Store,
    hub: HubProcess,
    make_workspace: Callable[..., Workspace],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    endless = Hyperparameters(num_inference_steps=1_000_000)
    workspace = make_workspace(entry_of(store, PIXELS, 1), entry_of(store, ENDLESS, 2, hyperparameters=endless))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(script), "--workspace", str(workspace.root), "--images", "2"]
    command += ["--weights-dir", str(tmp_path / "weights")]
    environment = {**os.environ, **hub.environment(TOKEN), "AWS_SECRET_ACCESS_KEY": TOKEN}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    request.addfinalizer(process.kill)  # where this fails
    deadline = time.monotonic() + 120
    # The first generator is through; the child sits over the one that never ends.
    log = workspace.logs / "sample-1-of-1.jsonl"
    while not (workspace.outcome_of(PIXELS).exists() and ENDLESS in log.read_text()) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    time.sleep(0.3)
    descendants = _below(process.pid)
    assert len(descendants) >= 2
    assert TOKEN in Path(f"/proc/{process.pid}/environ").read_text()
    for pid in descendants:
        assert TOKEN not in Path(f"/proc/{pid}/environ").read_text()
    (child,) = [pid for pid in descendants if _is_filtered(pid)]
    assert not _sockets_of_the_network(child)

    # As a terminal does it: to every process of the foreground.
    os.killpg(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed.count("the body runs") == 1
    assert "run the same command again to continue" in said
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in descendants) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in descendants)
    kept = files_of(workspace)
    assert len([path for path in kept if path.endswith(".png")]) == 2
    assert not [path for path in kept if path.endswith(".partial")]
    assert list((tmp_path / "weights").iterdir()) == []
    told = (workspace.logs / "sample-1-of-1.jsonl").read_text().splitlines()
    assert '"why": "interrupted"' in told[-1]


def _is_filtered(pid: int) -> bool:
    """Whether a process lives behind a seccomp filter and can gain no privileges."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(
        re.search(r"^Seccomp:\s2$", status, re.MULTILINE) and re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    )


def _sockets_of_the_network(pid: int) -> list[str]:
    """The inode numbers of a process's sockets that the kernel lists as TCP or UDP."""
    opened = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    listed = [line.split()[9] for kind in ("tcp", "tcp6", "udp", "udp6") for line in _table(pid, kind)]
    return [inode for inode in listed if f"socket:[{inode}]" in opened]


def _table(pid: int, kind: str) -> list[str]:
    path = Path(f"/proc/{pid}/net/{kind}")
    return path.read_text().splitlines()[1:] if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
