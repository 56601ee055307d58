"""Published to a Hub by the command line, in a process of its own, and read back by what people use."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from manifests.choices import Choices
from manifests.manifest import ManifestRow, manifest_path
from manifests.publish import Wish, publish_dataset
from tests.manifests.making import Builder, fill
from tests.scale import scaled
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

PUBLISH = [sys.executable, "-c", "from manifests.cli import publish; publish()"]
WRITER, READER = "hf_writer", "hf_reader"

AT_ONCE = {"Retry-After": "0"}
NO_ROOM = "Private repository storage limit reached"
REFUSED_BATCH = {
    "transfer": "basic",
    "objects": [{"oid": "0" * 64, "size": 1, "error": {"code": 402, "message": NO_ROOM}}],
}

# Reads a published dataset in every usual way, the card's own snippets among them; prints what it found as JSON.
# There is no viewer beside this Hub, which `datasets` would ask for at an address of its own making.
READ_BACK = """
import contextlib, hashlib, json, pathlib, re, sys
import datasets, duckdb, pandas
datasets.config.USE_PARQUET_EXPORT = False
from huggingface_hub import snapshot_download

repository, layout = sys.argv[1:3]
viewer = layout == "viewer"
sha256 = lambda content: hashlib.sha256(content).hexdigest()
raw = lambda split: split.cast_column("image", datasets.Image(decode=False)) if viewer else split
found = lambda row: [sha256(row["image"]["bytes"] if viewer else row["image_data"]), row.get("sha256")]
plain = {name: raw(split) for name, split in datasets.load_dataset(repository).items()}
streamed = datasets.load_dataset(repository, streaming=True)
folder = snapshot_download(repository, repo_type="dataset")
shards = sorted(pathlib.Path(folder, "data").glob("*.parquet"))
frames = [pandas.read_parquet(f"hf://datasets/{repository}/data/{path.name}") for path in shards]
queried = duckdb.sql(f"SELECT {'image.bytes' if viewer else 'image_data'} FROM '{folder}/data/*.parquet'").fetchall()
snippets = re.findall("```python\\n(.*?)```", pathlib.Path(folder, "README.md").read_text(), re.DOTALL)
for snippet in snippets:
    with contextlib.redirect_stdout(sys.stderr):
        exec(snippet, {})
print(json.dumps({
    "snippets": len(snippets), "folder": folder,
    "plain": {name: [found(row) for row in split] for name, split in plain.items()},
    "streamed": {name: [found(row) for row in raw(split)] for name, split in streamed.items()},
    "alone": {name: len(datasets.load_dataset(repository, name, split=name)) for name in plain},
    "pandas": [found(row) for frame in frames for row in frame.to_dict("records")],
    "duckdb": [sha256(content) for content, in queried],
    "image": str(datasets.load_dataset(repository, split="Systematic")[0].get("image")),
    "generators": len(datasets.load_dataset(repository, "generators")["train"]),
    "real_images": datasets.load_dataset(repository, "real_images")["train"].to_list(),
}))
"""

# How the study's public training code reads a dataset, as anybody would write it.
TRAINING = """
import hashlib, io, json, sys
import datasets, PIL.Image
datasets.config.USE_PARQUET_EXPORT = False

class Images:
    def __init__(self, repository, split, cache_dir, processes, seed):
        rows = datasets.load_dataset(repository, split=split, cache_dir=cache_dir, num_proc=processes)
        self.rows = rows.shuffle(seed=seed, writer_batch_size=3000)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        image = PIL.Image.open(io.BytesIO(row["image_data"])).convert("RGB")
        return image, int(row["label"]), row["model_name"]

images = Images(sys.argv[1], sys.argv[2], sys.argv[3], 2, 7)
print(json.dumps([[image.size, label, name] for image, label, name in (images[at] for at in range(len(images)))]))
"""

# The columns of the table of real images that an edition leaves out, beside those that a manifest has.


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), tokens=[WRITER, f"{READER}:read"]) as hub:
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
def many(tmp_path: Path) -> Workspace:
    builder = Builder(Workspace.open(tmp_path / "workspace"), salt=tmp_path.name)
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(400):
        builder.sample(generator, None)
    build(builder.write(rows_a_part=400))
    return builder.workspace


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


@pytest.mark.parametrize("layout", ["viewer", "community-forensics"])
def test_what_is_published_is_read_back_by_everybody_with_every_byte(
    clean: HubProcess, filled: Builder, layout: str
) -> None:
    workspace = in_public(filled)
    expected = published_images(workspace)
    repository = f"org/whole-{layout}"
    done = publish(clean, workspace, repository, "--public", "--layout", layout, "--max-shard-size", "16KB")
    assert done.returncode == 0, done.stderr
    assert f"{repository}: 25 rows (Manual 4, PublicEval 15, Real 3, Systematic 3) in " in done.stdout
    assert "9 rows of the manifest are in no split and are not published" in done.stdout

    read = json.loads(child(clean, READ_BACK, repository, layout))
    rows = {name: len(hashes) for name, hashes in expected.items()}
    everything = Counter(sha256 for hashes in expected.values() for sha256 in hashes)
    for way in ("plain", "streamed"):
        # The shards of a split stand in the order of their names, which are hashes.
        assert {name: sorted(found for found, _ in pairs) for name, pairs in read[way].items()} == expected, way
        assert all(said in (found, None) for pairs in read[way].values() for found, said in pairs), way
    assert read["alone"] == rows
    assert Counter(found for found, _ in read["pandas"]) == Counter(read["duckdb"]) == everything
    assert ("PngImageFile" in read["image"]) == (layout == "viewer")
    assert read["generators"] == 6
    assert [row["real_id"] for row in read["real_images"]] == [f"folder/{number}.png" for number in (100, 101, 102)]
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=read["folder"], capture_output=True, text=True)
    assert checked.returncode == 0
    assert "metadata/generators.csv: OK" in checked.stdout
    assert read["snippets"] == 3

    clean.clear_requests()
    again = publish(clean, workspace, repository, "--public", "--layout", layout, "--max-shard-size", "16KB")
    assert again.returncode == 0, again.stderr
    assert "nothing new" in again.stdout
    assert sent(clean) == []
    assert not [row for row in clean.requests() if "/commit/" in row["path"]]


def test_the_studys_training_code_reads_its_layout(clean: HubProcess, ready: Workspace, tmp_path: Path) -> None:
    done = publish(clean, ready, "org/study", "--layout", "community-forensics")
    assert done.returncode == 0, done.stderr
    read = json.loads(child(clean, TRAINING, "org/study", "Systematic+Manual+Real", str(tmp_path / "cache")))
    rows = pq.read_table(manifest_path(ready)).to_pylist()
    expected = [[[row["width"], row["height"]], row["label"], row["model_name"] or row["real_source"]] for row in rows]
    assert sorted(read) == sorted(expected)
    assert read != expected


def test_another_layout_replaces_all_shards_in_one_commit(clean: HubProcess, ready: Workspace) -> None:
    publish(clean, ready, "org/turned")
    before = files(clean, "org/turned")
    commits = len(history(clean, "org/turned"))
    done = publish(clean, ready, "org/turned", "--layout", "community-forensics")
    assert done.returncode == 0, done.stderr
    after = files(clean, "org/turned")
    shards = [{path for path in listing if path.startswith("data/")} for listing in (before, after)]
    assert not shards[0] & shards[1]
    assert len(history(clean, "org/turned")) == commits + 1
    assert "image_data" in text(clean, "org/turned", "README.md")


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
    assert rows == 33  # one more of the generator, and one more real image


def test_killed_at_any_moment_readers_see_one_version_and_nothing_is_sent_twice(
    clean: HubProcess, filled: Builder
) -> None:
    command = [*PUBLISH, "org/steady", "--workspace", str(filled.workspace.root)]
    command += ["--max-shard-size", "12KB", "--max-staging", "24KB"]
    # Slow enough to be met in the middle: an upload takes a while.
    clean.fail("stall", method="PUT", seconds=0.05)

    def make_version(number: int) -> None:
        # Another row in nearly every shard.
        for generator in filled.catalog[:3]:
            for row in range(len(filled.samples[generator.model_name])):
                filled.change(generator.model_name, row, seed=1000 * number + row)
        build(filled.write())

    build(filled.write())
    started = time.monotonic()
    subprocess.run(command, env=environment(clean), check=True, capture_output=True)
    usual = time.monotonic() - started
    make_version(1)
    clean.clear_requests()
    chosen = random.Random(6)
    commits, versions, kills = len(history(clean, "org/steady")), 1, 0
    with Watcher(clean, "org/steady") as watcher:
        while kills < scaled(3, 30):
            killed = subprocess.Popen(command, env=environment(clean), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                killed.wait(chosen.uniform(0.3, 0.8) * usual)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
            kills += killed.returncode == -signal.SIGKILL
            if killed.returncode == 0:
                # It was through: the next version is the one to interrupt.
                versions += 1
                make_version(versions)
        done = subprocess.run(command, env=environment(clean), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        time.sleep(0.2)
    assert watcher.wrong == []
    assert len(history(clean, "org/steady")) == commits + versions
    assert set(watcher.versions) <= set(history(clean, "org/steady"))
    assert max(Counter(sent(clean)).values()) == 1
    shards = {path: sha256 for path, sha256 in files(clean, "org/steady").items() if path.startswith("data/")}
    rows = [
        (row["model_name"] or row["real_source"], row["image_name"])
        for sha256 in shards.values()
        for row in pq.read_table(blob(clean, sha256), columns=["model_name", "real_source", "image_name"]).to_pylist()
    ]
    assert len(rows) == len(set(rows)) == pq.read_metadata(manifest_path(filled.workspace)).num_rows
    assert branches(clean, "org/steady") == {"main"}
    assert not list(filled.workspace.manifest.glob(".*"))


def test_no_more_is_staged_than_may_be(clean: HubProcess, many: Workspace) -> None:
    clean.fail("stall", method="PUT", seconds=0.1)
    options = ["--max-shard-size", "100KB", "--max-staging", "200KB"]
    command = [*PUBLISH, "org/little-room", "--workspace", str(many.root), *options]
    publishing = subprocess.Popen(command, env=environment(clean), stdout=subprocess.PIPE)
    staged, most = many.manifest / ".shards", [0, 0]
    while publishing.poll() is None:
        sizes = []
        for path in staged.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        most = [max(most[0], sum(sizes)), max(most[1], len(sizes))]
        time.sleep(0.005)
    assert publishing.communicate()[0]
    assert publishing.returncode == 0
    assert 100_000 < most[0] <= 200_000
    assert most[1] > 1
    assert sum(path.startswith("data/") for path in files(clean, "org/little-room")) > 4
    commits = [row for row in clean.requests() if "/commit/cf-publish" in row["path"]]
    assert len(commits) > 2


def test_room_for_less_than_a_shard_is_no_room(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/no-room", "--max-staging", "100MB")
    assert done.returncode == 2
    assert "--max-staging" in done.stderr
    assert done.stderr.count("\n") == 1
    assert clean.requests() == []


def test_what_the_refusal_advises_is_then_published(clean: HubProcess, ready: Workspace) -> None:
    build_manifest = [sys.executable, "-c", "from manifests.cli import build_manifest; build_manifest()"]
    options = ["--edition", "public", "--workspace", str(ready.root)]
    built = subprocess.run([*build_manifest, *options], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "public edition: 3 real images are listed without their pixels" in built.stdout
    done = publish(clean, ready, "org/advised", "--public")
    assert done.returncode == 0, done.stderr
    assert not Store(clean.directory).repo("dataset", "org/advised").private
    assert "metadata/real_images.parquet" in files(clean, "org/advised")


def test_what_may_not_be_passed_on_is_not_made_public(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/open", "--public")
    assert done.returncode == 2
    assert "cf-build-manifest --edition public" in done.stderr
    assert "3 real images" in done.stderr
    assert done.stderr.count("\n") == 1
    Store(clean.directory).create("dataset", "org/opened", private=False, created_at="2026-01-01T00:00:00.000Z")
    again = publish(clean, ready, "org/opened")
    assert again.returncode == 2
    assert "is public" in again.stderr
    assert {row["method"] for row in clean.requests()} == {"GET"}
    assert sum(path.startswith("data/") for path in files(clean, "org/opened")) == 0


def test_a_list_that_is_no_longer_needed_goes(clean: HubProcess, filled: Builder) -> None:
    workspace = in_public(filled)
    publish(clean, workspace, "org/listed")
    assert "metadata/real_images.parquet" in files(clean, "org/listed")
    build(workspace)
    done = publish(clean, workspace, "org/listed")
    assert done.returncode == 0, done.stderr
    after = files(clean, "org/listed")
    assert "metadata/real_images.parquet" not in after
    assert "real_images" not in text(clean, "org/listed", "README.md")


@pytest.mark.parametrize(("revision", "lie"), [("cf-publish", "size"), ("cf-publish", "lfs"), ("main", "size")])
def test_a_hub_that_holds_something_else_than_was_sent_is_noticed(
    clean: HubProcess, ready: Workspace, revision: str, lie: str
) -> None:
    publish(clean, ready, "org/truth")
    listing = ask(clean, "/api/datasets/org/truth/tree/main?recursive=true")
    shard = next(file for file in listing if file["path"].startswith("data/"))
    shard[lie] = shard[lie] + 1 if lie == "size" else {**shard["lfs"], "oid": "0" * 64}
    # `main` is listed once before anything is sent.
    clean.fail("status", path=f"org/lied/tree/{revision}", skip=int(revision == "main"), status=200, body=listing)
    done = publish(clean, ready, "org/lied")
    assert done.returncode == 1
    assert f"org/lied@{revision}: the Hub does not hold what was sent as {shard['path']}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert any(path.startswith("data/") for path in files(clean, "org/lied")) == (revision == "main")


def test_a_dry_run_says_what_it_would_do_and_does_nothing(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/imagined", "--dry-run", token=None)
    assert done.returncode == 0, done.stderr
    assert "dry run: 3 shards" in done.stdout
    assert {row["method"] for row in clean.requests()} <= {"GET", "HEAD"}


def test_another_datasets_files_are_not_touched(clean: HubProcess, ready: Workspace) -> None:
    Store(clean.directory).create("dataset", "org/theirs", private=True, created_at="2026-01-01T00:00:00.000Z")
    add_by_hand(clean, "org/theirs", {"data/train.csv": b"a,b\n"})
    before = files(clean, "org/theirs")
    done = publish(clean, ready, "org/theirs")
    assert done.returncode == 1
    assert "holds something else (data/train.csv)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(clean, "org/theirs") == before


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(clean: HubProcess, filled: Builder) -> None:
    clean.fail("status", path="/api/repos/create", status=429, headers={"Retry-After": "1"}, times=1)
    clean.fail("status", method="POST", path="/commit/", status=503, times=2)
    clean.fail("reset", path="/tree/", times=1)
    done = publish(clean, in_public(filled), "org/busy", "--public")
    assert done.returncode == 0, done.stderr
    assert not Store(clean.directory).repo("dataset", "org/busy").private
    assert sum(path.startswith("data/") for path in files(clean, "org/busy")) == 4
    assert [rule["struck"] for rule in clean.faults()] == [1, 2, 1]


@pytest.mark.parametrize(
    ("fault", "token", "told"),
    [
        ({}, None, "hf auth login"),
        ({}, "hf_unknown", "hf auth login"),
        ({}, READER, "no right to write there"),
        ({"method": "PUT", "status": 403, "body": {"error": "Signature expired"}}, WRITER, "(the Hub says: Signature"),
        ({"method": "POST", "path": "/commit/", "status": 413}, WRITER, "smaller --max-shard-size"),
        (
            {"path": "/commit/cf-publish", "status": 500, "headers": {"Retry-After": "0"}},
            WRITER,
            "run the same command",
        ),
        ({"path": "/commit/main", "status": 503, "headers": AT_ONCE}, WRITER, "run the same command"),
        ({"path": "/commit/cf-publish", "status": 402, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
        ({"path": "/commit/cf-publish", "status": 403, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
        ({"path": "objects/batch", "status": 507, "body": {"error": NO_ROOM}}, WRITER, NO_ROOM),
        ({"path": "objects/batch", "status": 200, "body": REFUSED_BATCH}, WRITER, NO_ROOM),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do_and_nothing_is_half_visible(
    clean: HubProcess, ready: Workspace, fault: dict[str, Any], token: str | None, told: str
) -> None:
    if fault:
        clean.fail("status", **fault)
    name = f"org/refused-{hashlib.sha256(ready.root.parent.name.encode()).hexdigest()[:8]}"
    done = publish(clean, ready, name, token=token)
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: http://")
    if token == WRITER:
        assert files(clean, name).keys() <= {".gitattributes"}


def test_after_a_failure_in_the_middle_the_same_command_continues(clean: HubProcess, ready: Workspace) -> None:
    clean.fail("status", path="/commit/main", status=502, headers=AT_ONCE)
    clean.fail("status", method="PUT", status=500, headers=AT_ONCE, skip=2, times=2)
    failed = publish(clean, ready, "org/continued")
    assert failed.returncode == 1
    assert "run the same command again" in failed.stderr
    assert files(clean, "org/continued").keys() <= {".gitattributes"}
    before = sent(clean)
    clean.clear_faults()
    done = publish(clean, ready, "org/continued")
    assert done.returncode == 0, done.stderr
    assert sent(clean)[: len(before)] == before
    assert max(Counter(sent(clean)).values()) == 1


@pytest.mark.parametrize("name", ["nobody", "a/b/c", "org/../name", "org/na me", ""])
def test_a_name_that_is_none_is_refused_before_anything_is_done(clean: HubProcess, ready: Workspace, name: str) -> None:
    with pytest.raises(UsageError):
        publish_dataset(ready, name, Wish())
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


def text(hub: HubProcess, repo_id: str, path: str, revision: str = "main") -> str:
    return str(ask(hub, f"/datasets/{repo_id}/resolve/{revision}/{path}"))


def in_public(builder: Builder) -> Workspace:
    """A public edition with an evaluation set, real images that it only lists, and rows that are in neither split."""
    stranger = builder.generator("org/stranger", base_model=None, lineage=())
    for prompt in [builder.prompts["photos"][-1], *(builder.real("photos", number) for number in (200, 201))]:
        builder.sample(stranger, prompt)
    workspace = builder.write()
    build(workspace, choices=Choices.made("public", ["family=openrail,none"], ["name=org/sketcher"]))
    return workspace


def published_images(workspace: Workspace) -> dict[str, list[str]]:
    """The sha256 of each published split's images."""
    expected: dict[str, list[str]] = {}
    for row in records.read(manifest_path(workspace), ManifestRow):
        if row.split is not None:
            name = "PublicEval" if row.split == "test" else row.subset
            expected.setdefault(name, []).append(row.sha256)
    return {name: sorted(hashes) for name, hashes in expected.items()}


def child(hub: HubProcess, script: str, *arguments: str) -> str:
    """What a script prints that reads from the Hub."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env=environment(hub), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(hub: HubProcess, path: str) -> Any:
    """What the Hub answers to somebody who may read."""
    request = urllib.request.Request(hub.endpoint + path, headers={"Authorization": f"Bearer {WRITER}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
    return json.loads(content) if path.startswith("/api/") else content.decode()


class Watcher(threading.Thread):
    """A reader who looks at `main` all the time: each version it meets must be whole, as its SHA256SUMS says."""

    def __init__(self, hub: HubProcess, repo_id: str) -> None:
        super().__init__()
        self._hub, self._repo_id, self._leaving = hub, repo_id, threading.Event()
        self.versions: list[str] = []
        self.wrong: list[str] = []

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self.join()

    def run(self) -> None:
        while not self._leaving.wait(0.03):
            try:
                self._look()
            except Exception as error:
                self.wrong.append(repr(error))
                return

    def _look(self) -> None:
        here = f"/api/datasets/{self._repo_id}"
        version = ask(self._hub, here)["sha"]
        if version in self.versions:
            return
        self.versions.append(version)
        listing = ask(self._hub, f"{here}/tree/{version}?recursive=true")
        there = {file["path"]: file["lfs"]["oid"] for file in listing if file["path"].startswith("data/")}
        sums = text(self._hub, self._repo_id, "SHA256SUMS", version).splitlines()
        said = {line[66:]: line[:64] for line in sums if line[66:].startswith("data/")}
        if there != said or not there:
            self.wrong.append(version)


def history(hub: HubProcess, repo_id: str) -> list[str]:
    store = Store(hub.directory)
    repo = store.repo("dataset", repo_id)
    return [commit.id for commit in store.history(repo, store.commit_of(repo, "main"))]


def blob(hub: HubProcess, sha256: str) -> Path:
    return Path(Store(hub.directory).blobs.path(sha256))


def add_by_hand(hub: HubProcess, repo_id: str, content: dict[str, bytes]) -> None:
    Store(hub.directory).commit("dataset", repo_id, add=content, message="by hand", date="2026-01-01T00:00:00.000Z")


def branches(hub: HubProcess, repo_id: str) -> set[str]:
    return set(Store(hub.directory).repo("dataset", repo_id).branches)
