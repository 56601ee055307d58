"""Several supervisors of a node, each a process of its own, and the weights directory that they share."""

import contextlib
import itertools
import json
import os
import random
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import CatalogEntry
from localhub.process import HubProcess
from localhub.store import Store
from tests.hubs import fill
from tests.samplers.inputs import entry_of
from tests.samplers.weights.holder import Holder, Work
from tests.scale import scaled

#: Bytes of one content: large beside what else is written, small beside a test's patience.
CONTENT = 400_000
#: What the Hub's client writes beside a download, and a supervisor states, in blocks.
NOTES = 300_000


class Node:
    """A Hub, a weights directory, and supervisors that work there."""

    def __init__(self, hub: HubProcess, folder: Path) -> None:
        self.hub, self.folder, self.weights = hub, folder, folder / "weights"
        self.weights.mkdir()
        self.most = 0
        self.running: list[Holder] = []

    def generators(self, *contents: str) -> list[CatalogEntry]:
        """A generator for each word, with a content for each of its letters."""
        store = Store(self.hub.directory)
        entries = []
        for word in contents:
            name = f"node/{secrets.token_hex(4)}-{word}"
            files = {f"{letter}.safetensors": _content(letter + self.folder.name) for letter in word}
            fill(self.hub.directory, name, {**files, "notes.json": word.encode()})
            entries.append(entry_of(store, name))
        return entries

    def start(self, entries: Sequence[CatalogEntry], **about: Any) -> Holder:
        """A supervisor that waits for a line before it starts."""
        work = Work(**{"weights": self.weights, "endpoint": self.hub.endpoint, "entries": list(entries), **about})
        process = Holder(work)
        self.running.append(process)
        assert "folder" in json.loads(process.stdout.readline() or '{"error": 1}'), process.communicate()[1]
        return process

    def begin(self, *processes: Holder) -> None:
        """All at once."""
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()

    def finish(self, *processes: Holder) -> list[list[dict[str, str]]]:
        """Wait for them, measuring the disk meanwhile; what they printed."""
        while any(process.poll() is None for process in processes):
            self.most = max(self.most, _bytes_below(self.weights))
            time.sleep(0.005)
        said = []
        for process in processes:
            out, err = process.communicate()
            assert process.returncode == 0, err
            said.append([json.loads(line) for line in out.splitlines()])
        return said

    def wait_for_fault(self) -> None:
        """Wait until a fault of this Hub has struck."""
        while not any(rule["applied"] for rule in self.hub.faults()):
            time.sleep(0.01)

    def downloads(self) -> Counter[str]:
        """How often each content was requested."""
        rows = [row for row in self.hub.requests() if row["method"] == "GET" and "/resolve/" in row["path"]]
        return Counter(row["path"].rsplit("/", 1)[-1] for row in rows if row["path"].endswith(".safetensors"))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def node(hub: HubProcess, tmp_path: Path) -> Iterator[Node]:
    node = Node(hub, tmp_path)
    hub.clear_requests()
    yield node
    hub.clear_faults()
    for process in node.running:
        process.kill()
        process.communicate()


def _content(seed: str) -> bytes:
    return random.Random(seed).randbytes(CONTENT)


def _bytes_below(folder: Path) -> int:
    """Bytes of disk, a content with several names counted once."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = Path(parent, name).stat()
                found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def _ends(said: list[dict[str, str]]) -> list[str]:
    """How the generators of one supervisor ended, in order: their words, and an exclamation mark for failures."""
    return [
        name.rsplit("-", 1)[-1] + mark
        for words in said
        for key, mark in (("done", ""), ("failed", "!"))
        if (name := words.get(key)) is not None
    ]


def test_supervisors_that_start_together_download_each_content_once(node: Node) -> None:
    words = ["abc", "abd", "abe"]
    # Whether file locks work, do nothing or are refused makes no difference.
    locks = itertools.cycle((None, "nothing", "ENOSYS"))
    processes = [
        node.start(node.generators(*words[at % 3 :], *words[: at % 3]), flock=next(locks)) for at in range(scaled(3, 8))
    ]
    node.begin(*processes)
    ends = [_ends(said) for said in node.finish(*processes)]
    assert all(sorted(one) == words for one in ends)
    assert node.downloads() == {f"{letter}.safetensors": 1 for letter in "abcde"}
    assert list(node.weights.iterdir()) == []


@pytest.mark.parametrize("flock", ["nothing", "ENOSYS"])
def test_another_supervisor_continues_the_download_of_a_killed_one(node: Node, flock: str | None) -> None:
    node.hub.fail("stall", times=1, method="GET", path="a.safetensors", after=CONTENT // 2, seconds=300)
    killed, other = (node.start(node.generators("ab"), flock=flock) for _ in range(2))
    node.begin(killed)
    node.wait_for_fault()
    node.begin(other)
    while not list(node.weights.glob("process-*/needs.json"))[1:] or not list(node.weights.glob("pool/*"))[1:]:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert [_ends(said) for said in node.finish(other)] == [["ab"]]
    assert node.downloads() == {"a.safetensors": 2, "b.safetensors": 1}
    assert list(node.weights.iterdir()) == []


def test_supervisors_killed_repeatedly_finish_and_leave_nothing(node: Node) -> None:
    chance = random.Random(7)
    words = ["abc", "abd", "abe", "bcf", "bcg"]
    entries = [node.generators(*words[at:], *words[:at]) for at in range(3)]
    may = 6 * CONTENT
    running = [node.start(one, max_disk=may, seconds=0.1) for one in entries]
    node.begin(*running)
    for _ in range(scaled(3, 200)):
        time.sleep(chance.random() * 0.8)
        at = chance.randrange(3)
        running[at].kill()
        running[at].communicate()
        running[at] = node.start(entries[at], max_disk=may, seconds=0.1)
        node.begin(running[at])
    assert [sorted(_ends(said)) for said in node.finish(*running)] == [words] * 3
    assert node.most <= may + NOTES
    assert list(node.weights.iterdir()) == []


def test_another_supervisor_downloads_what_one_could_not(node: Node) -> None:
    first, second = node.generators("a", "a")
    path = f"{first.model_name}/.*a.safetensors"
    # Busy for a second, in which the other one waits; then it does not exist.
    node.hub.fail("status", times=1, status=503, headers={"Retry-After": "1"}, method="GET", path=path)
    node.hub.fail("status", status=404, method="GET", path=path)
    processes = [node.start([first]), node.start([second])]
    node.begin(processes[0])
    node.wait_for_fault()
    node.begin(processes[1])
    assert [_ends(said) for said in node.finish(*processes)] == [["a!"], ["a"]]


@pytest.mark.parametrize(("generators", "links"), [(3, True), (1, True), (1, False)])
def test_the_disk_limit_holds_and_nothing_in_use_is_removed(node: Node, generators: int, links: bool) -> None:
    # Space for so many generators, where each of two supervisors would reserve space for four.
    may = generators * (3 * CONTENT + 8_192) * (1 if links else 2) + CONTENT // 2
    words = ["xab", "xcd", "xef", "xgh", "xij"]
    processes = [
        node.start(node.generators(*order), max_disk=may, seconds=0.1, links=links) for order in (words, words[::-1])
    ]
    node.begin(*processes)
    assert [_ends(said) for said in node.finish(*processes)] == [words, words[::-1]]
    assert node.most <= may + NOTES
    assert node.most > may - 3 * CONTENT
    assert list(node.weights.iterdir()) == []


def test_a_generator_that_never_fits_fails_alone(node: Node) -> None:
    process = node.start(node.generators("ab", "abcdef", "cd"), max_disk=3 * CONTENT)
    node.begin(process)
    (said,) = node.finish(process)
    assert _ends(said) == ["ab", "abcdef!", "cd"]
    (detail,) = [words["detail"] for words in said if "failed" in words]
    assert "need 2.4 MB, more than --max-disk 1.2 MB" in detail
    assert node.downloads() == {f"{letter}.safetensors": 1 for letter in "abcd"}


def test_an_interrupted_supervisor_does_not_wait_for_a_stalled_download(node: Node) -> None:
    node.hub.fail("stall", method="GET", path="a.safetensors", after=CONTENT // 2, seconds=300)
    process = node.start(node.generators("ab"))
    node.begin(process)
    node.wait_for_fault()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted")
    assert list(node.weights.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of fifteen contents."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={15 * CONTENT}", "none", str(disk)]
    if os.getuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def _fill(disk: Path, left: int) -> None:
    with (disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        while (free := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize) > left:
            ballast.write(b"\0" * (free - left))


@pytest.mark.parametrize("moment", ["before", "in the middle"])
def test_a_full_disk_ends_the_run_with_one_line_and_the_next_run_continues(
    small_disk: Path, node: Node, moment: str
) -> None:
    node.weights = small_disk / "weights"
    entries = node.generators("a", "bcd")
    if moment == "in the middle":
        node.hub.fail("stall", times=1, method="GET", path="d.safetensors", after=1, seconds=1)
    process = node.start(entries, seconds=1.0)
    if moment == "before":
        # It would fit, but not beside the space that stays free.
        _fill(small_disk, 3 * CONTENT + 60_000)
    node.begin(process)
    if moment == "in the middle":
        node.wait_for_fault()
        while process.poll() is None:
            _fill(small_disk, 0)
            time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode == 1
    # huggingface_hub may have warned before.
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert err.endswith(f"{line}\n")
    assert line.startswith("error: --weights-dir")
    assert ("are free" if moment == "before" else "No space left on device") in line
    assert _ends([json.loads(line) for line in out.splitlines()]) == ["a"]
    assert list(node.weights.iterdir()) == []
    (small_disk / "ballast").unlink()
    again = node.start(entries)
    node.begin(again)
    assert [_ends(said) for said in node.finish(again)] == [["a", "bcd"]]
    assert list(node.weights.iterdir()) == []


def test_a_small_disk_fails_only_generators_that_are_too_large(small_disk: Path, node: Node) -> None:
    node.weights = small_disk / "weights"
    process = node.start(node.generators("ab", "abcdefghijklmnop", "cd"))
    node.begin(process)
    assert [_ends(said) for said in node.finish(process)] == [["ab", "abcdefghijklmnop!", "cd"]]


@pytest.mark.parametrize("flock", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_a_disk_that_refuses_file_locks_makes_no_difference(node: Node, flock: str) -> None:
    process = node.start(node.generators("a"), flock=flock)
    node.begin(process)
    assert [_ends(said) for said in node.finish(process)] == [["a"]]
    assert process.communicate()[1] == ""
