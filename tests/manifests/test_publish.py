"""Published to a Hub by the command line, in a process of its own, and read back by what people use."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from manifests.manifest import manifest_path
from manifests.publish import publish_dataset
from tests.manifests.making import Builder, fill
from workspace.errors import UsageError
from workspace.layout import Workspace

PUBLISH = [sys.executable, "-c", "from manifests.cli import publish; publish()"]
WRITER = "hf_writer"

# Reads a published dataset in every usual way, the card's own snippets among them; prints what it found as JSON.
# There is no viewer beside this Hub, which `datasets` would ask for at an address of its own making.
READ_BACK = """
import contextlib, hashlib, json, pathlib, re, sys
import datasets, pandas
datasets.config.USE_PARQUET_EXPORT = False
from huggingface_hub import snapshot_download

repository = sys.argv[1]
sha256 = lambda content: hashlib.sha256(content).hexdigest()
raw = datasets.Image(decode=False)
plain = {name: split.cast_column("image", raw) for name, split in datasets.load_dataset(repository).items()}
streamed = datasets.load_dataset(repository, streaming=True)
decoded = datasets.load_dataset(repository, split="Systematic")[0]["image"]
folder = snapshot_download(repository, repo_type="dataset")
frames = [pandas.read_parquet(f"hf://datasets/{repository}/{path}") for path in sys.argv[2:]]
snippets = re.findall("```python\\n(.*?)```", pathlib.Path(folder, "README.md").read_text(), re.DOTALL)
for snippet in snippets:
    with contextlib.redirect_stdout(sys.stderr):
        exec(snippet, {})
print(json.dumps({
    "snippets": len(snippets),
    "plain": {name: [(sha256(row["image"]["bytes"]), row["sha256"]) for row in split] for name, split in plain.items()},
    "streamed": {name: [(sha256(row["image"]["bytes"]), row["sha256"]) for row in split.cast_column("image", raw)]
                 for name, split in streamed.items()},
    "pandas": [(sha256(row.image["bytes"]), row.sha256) for frame in frames for row in frame.itertuples()],
    "size": decoded.size, "folder": folder,
    "generators": len(datasets.load_dataset(repository, "generators")["train"]),
    "real_images": datasets.load_dataset(repository, "real_images")["train"].to_list(),
}))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), tokens=[WRITER]) as hub:
        yield hub


@pytest.fixture
def clean(hub: HubProcess) -> Iterator[HubProcess]:
    hub.clear_requests()
    yield hub
    hub.clear_faults()


@pytest.fixture
def filled(tmp_path: Path) -> Builder:
    # The Hub keeps equal contents once, whoever sends them: each test has pictures of its own.
    return fill(Builder(Workspace.open(tmp_path / "workspace"), salt=tmp_path.name))


@pytest.fixture
def ready(filled: Builder) -> Workspace:
    workspace = filled.write()
    build(workspace)
    return workspace


def environment(hub: HubProcess, token: str | None = WRITER) -> dict[str, str]:
    # Not set for the user either: the Hub's having no Xet is for the program to find out.
    inherited = {**os.environ, **hub.environment(token)}
    return {name: value for name, value in inherited.items() if name != "HF_HUB_DISABLE_XET"}


def publish(
    hub: HubProcess, workspace: Workspace, repo_id: str, *options: str, token: str | None = WRITER
) -> subprocess.CompletedProcess[str]:
    command = [*PUBLISH, repo_id, "--workspace", str(workspace.root), *options]
    return subprocess.run(command, env=environment(hub, token), capture_output=True, text=True, timeout=120)


def sent(hub: HubProcess) -> list[str]:
    """Contents that were uploaded since the requests were cleared, by their sha256."""
    puts = [row["path"] for row in hub.requests() if row["method"] == "PUT" and row["status"] == 200]
    return [path.rsplit("/", 1)[1] for path in puts if "lfs-storage" in path]


def files(hub: HubProcess, repo_id: str, revision: str = "main") -> dict[str, str]:
    """Path and content hash of all files at a revision, as the Hub's own store has them."""
    store = Store(hub.directory)
    commit = store.commit_of(store.repo("dataset", repo_id), revision)
    return {path: file.etag for path, file in commit.files.items()}


def test_what_is_published_is_read_back_by_everybody_with_every_byte(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/whole", "--max-shard-size", "8KB")
    assert done.returncode == 0, done.stderr
    assert "org/whole: 28 rows (Manual 4, Real 6, Systematic 18)" in done.stdout

    shards = [path for path in files(clean, "org/whole") if path.startswith("data/")]
    assert len(shards) > 3
    reading = subprocess.run(
        [sys.executable, "-c", READ_BACK, "org/whole", *shards],
        env=environment(clean), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert reading.returncode == 0, reading.stderr
    read = json.loads(reading.stdout)
    rows = pq.read_table(manifest_path(ready), columns=["sha256", "subset", "real_source"]).to_pylist()
    expected = Counter(row["sha256"] for row in rows if row["real_source"] != "locked" or row["subset"] != "Real")
    for way in ("plain", "streamed"):
        pairs = [pair for split in read[way].values() for pair in split]
        assert Counter(found for found, _ in pairs) == expected, way
        assert all(found == said for found, said in pairs), way
        assert {name: len(split) for name, split in read[way].items()} == {"Manual": 4, "Real": 6, "Systematic": 18}
    assert Counter(found for found, _ in read["pandas"]) == expected
    assert read["size"] == [16, 16]
    assert read["generators"] == 5
    assert [row["real_id"] for row in read["real_images"]] == [f"folder/{number}.png" for number in (100, 101, 102)]

    with duckdb.connect() as connection:
        downloaded = connection.read_parquet(f"{read['folder']}/data/*.parquet")
        images = downloaded.project("image.bytes, sha256").fetchall()
    assert Counter(hashlib.sha256(content).hexdigest() for content, _ in images) == expected
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=read["folder"], capture_output=True)
    assert checked.returncode == 0

    clean.clear_requests()
    again = publish(clean, ready, "org/whole", "--max-shard-size", "8KB")
    assert again.returncode == 0, again.stderr
    assert "nothing new" in again.stdout
    assert sent(clean) == []
    assert not [row for row in clean.requests() if "/commit/" in row["path"]]
    assert read["snippets"] == 3
    assert "org/painter" in reading.stderr  # what the last of the card's snippets prints


def test_growth_sends_what_is_new_and_removes_only_what_it_replaces(clean: HubProcess, filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    publish(clean, workspace, "org/growing", "--max-shard-size", "8KB")
    assert Store(clean.directory).repo("dataset", "org/growing").private  # nobody said --public
    before = files(clean, "org/growing")
    replaced = next(path for path in before if path.startswith("data/Manual"))
    add_by_hand(clean, "org/growing", {"notes/mine.txt": b"a person's own file", replaced: b"not a shard"})
    filled.change("org/painter", 0, seed=99)
    filled.sample(filled.catalog[1], filled.prompts["photos"][6])
    filled.write()
    build(workspace)
    clean.clear_requests()

    done = publish(clean, workspace, "org/growing", "--max-shard-size", "8KB")
    assert done.returncode == 0, done.stderr
    after = files(clean, "org/growing")
    old, new = ({path for path in listing if path.startswith("data/")} for listing in (before, after))
    assert old & new
    assert after[replaced] == before[replaced]
    assert {after[path] for path in new - old} <= set(sent(clean))
    assert not {after[path] for path in new & old} & set(sent(clean))
    assert old - new
    assert "notes/mine.txt" in after
    rows = sum(pq.read_metadata(blob(clean, after[path])).num_rows for path in new)
    assert rows == 30  # one more of the generator, and one more real image


def test_readers_see_the_old_version_until_all_of_the_new_one_is_there(clean: HubProcess, filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    command = [*PUBLISH, "org/steady", "--workspace", str(workspace.root), "--max-shard-size", "3KB"]
    # Slow enough to be met in the middle: ten of the uploads take a while.
    clean.fail("stall", method="PUT", seconds=0.3, times=10)
    killed = subprocess.Popen(command, env=environment(clean), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(sent(clean)) < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = sent(clean)
    assert len(first) >= 12
    assert [path for path in files(clean, "org/steady") if path.endswith(".parquet")] == []

    clean.clear_faults()
    clean.clear_requests()
    done = publish(clean, workspace, "org/steady", "--max-shard-size", "3KB")
    assert done.returncode == 0, done.stderr
    after = files(clean, "org/steady")
    shards = {path: sha256 for path, sha256 in after.items() if path.startswith("data/")}
    assert sum(pq.read_metadata(blob(clean, sha256)).num_rows for sha256 in shards.values()) == 28
    assert not set(first) & set(sent(clean))
    assert branches(clean, "org/steady") == {"main"}
    assert not list(workspace.manifest.glob(".*"))


def test_a_dry_run_says_what_it_would_do_and_does_nothing(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/imagined", "--dry-run", token=None)
    assert done.returncode == 0, done.stderr
    assert "dry run: 3 shards" in done.stdout
    assert {row["method"] for row in clean.requests()} <= {"GET", "HEAD"}


def test_another_datasets_files_are_not_touched(clean: HubProcess, ready: Workspace) -> None:
    Store(clean.directory).create("dataset", "org/theirs", private=False, created_at="2026-01-01T00:00:00.000Z")
    add_by_hand(clean, "org/theirs", {"data/train.csv": b"a,b\n"})
    before = files(clean, "org/theirs")
    done = publish(clean, ready, "org/theirs")
    assert done.returncode == 1
    assert "holds something else (data/train.csv)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(clean, "org/theirs") == before


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(clean: HubProcess, ready: Workspace) -> None:
    clean.fail("status", path="/api/repos/create", status=429, headers={"Retry-After": "1"}, times=1)
    clean.fail("status", method="POST", path="/commit/", status=503, times=2)
    clean.fail("reset", path="/tree/", times=1)
    done = publish(clean, ready, "org/busy", "--public")
    assert done.returncode == 0, done.stderr
    assert not Store(clean.directory).repo("dataset", "org/busy").private
    assert sum(path.startswith("data/") for path in files(clean, "org/busy")) == 3
    assert [rule["struck"] for rule in clean.faults()] == [1, 2, 1]


@pytest.mark.parametrize(
    ("fault", "token", "told"),
    [
        (None, None, "hf auth login"),
        ({"method": "POST", "path": "/commit/", "status": 413}, WRITER, "smaller --max-shard-size"),
        ({"method": "PUT", "status": 403}, WRITER, "no right to write"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    clean: HubProcess, ready: Workspace, fault: dict[str, object] | None, token: str | None, told: str
) -> None:
    if fault:
        clean.fail("status", **fault)
    done = publish(clean, ready, "org/refused", token=token)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: http://")


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "org/../name", "org/na me", ""])
def test_a_name_that_is_none_is_refused_before_anything_is_done(clean: HubProcess, ready: Workspace, name: str) -> None:
    with pytest.raises(UsageError):
        publish_dataset(ready, name, public=False, dry_run=False, max_shard_bytes=10**6)
    assert clean.requests() == []


def test_without_a_manifest_the_reader_is_told_what_to_run(clean: HubProcess, filled: Builder) -> None:
    done = publish(clean, filled.write(), "org/early")
    assert done.returncode == 2
    assert "cf-build-manifest" in done.stderr
    assert clean.requests() == []


def test_damage_after_the_manifest_was_built_is_not_published(clean: HubProcess, ready: Workspace) -> None:
    (ready.images_of("org/painter") / "00000004.png").write_bytes(b"not what it was")
    done = publish(clean, ready, "org/damaged")
    assert done.returncode == 1
    assert "images/org--painter/00000004.png" in done.stderr
    assert [path for path in files(clean, "org/damaged") if path.startswith("data/")] == []


def blob(hub: HubProcess, sha256: str) -> Path:
    return Path(Store(hub.directory).blobs.path(sha256))


def add_by_hand(hub: HubProcess, repo_id: str, content: dict[str, bytes]) -> None:
    Store(hub.directory).commit("dataset", repo_id, add=content, message="by hand", date="2026-01-01T00:00:00.000Z")


def branches(hub: HubProcess, repo_id: str) -> set[str]:
    return set(Store(hub.directory).repo("dataset", repo_id).branches)
