"""Published to a Hub, and read back by what people use."""

import contextlib
import json
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from localhub.store import Store
from manifests.building import build
from manifests.manifest import ManifestRow, manifest_path
from manifests.options import LayoutName
from tests.manifests.making import Builder, fill
from tests.manifests.publishing.publishing import (
    add_by_hand,
    blob,
    child,
    files,
    history,
    in_public,
    publish,
    publish_by_command,
    sent,
    text,
)
from tests.scale import scaled
from workspace import records
from workspace.layout import Workspace

LAYOUTS = get_args(LayoutName)
#: Whether each split of the study's layout is read alone too; in a folder tests/manifests/restoring does it.
EVERY_SPLIT = scaled(False, True)

# How the study's public training code reads a dataset, as anybody would write it.
TRAINING = """
import io, tempfile
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

def trained(repository, split):
    with tempfile.TemporaryDirectory() as cache:
        images = Images(repository, split, cache, 2, 7)
        return [[image.size, label, name] for image, label, name in (images[at] for at in range(len(images)))]
"""

# Reads published datasets in every usual way, the card's own snippets among them; prints what it found as JSON.
# There is no viewer beside this Hub, which `datasets` would ask for at an address of its own making.
READ_BACK = """
import contextlib, hashlib, json, pathlib, re, sys
import datasets, duckdb, pandas
datasets.config.USE_PARQUET_EXPORT = False
from huggingface_hub import snapshot_download

def sha256(content):
    return hashlib.sha256(content).hexdigest()

def read_back(repository, viewer, every):
    raw = lambda split: split.cast_column("image", datasets.Image(decode=False)) if viewer else split
    found = lambda row: [sha256(row["image"]["bytes"] if viewer else row["image_data"]), row.get("sha256")]
    plain = {name: raw(split) for name, split in datasets.load_dataset(repository).items()}
    streamed = datasets.load_dataset(repository, streaming=True)
    folder = snapshot_download(repository, repo_type="dataset")
    shards = sorted(pathlib.Path(folder, "data").glob("*.parquet"))
    frames = [pandas.read_parquet(f"hf://datasets/{repository}/data/{path.name}") for path in shards]
    contents = duckdb.sql(f"SELECT {'image.bytes' if viewer else 'image_data'} FROM '{folder}/data/*.parquet'")
    snippets = re.findall("```python\\n(.*?)```", pathlib.Path(folder, "README.md").read_text(), re.DOTALL)
    for snippet in snippets:
        with contextlib.redirect_stdout(sys.stderr):
            exec(snippet, {})
    return {
        "snippets": len(snippets), "folder": folder,
        "plain": {name: [found(row) for row in split] for name, split in plain.items()},
        "streamed": {name: [found(row) for row in raw(split)] for name, split in streamed.items()},
        "alone": {name: len(datasets.load_dataset(repository, name, split=name)) for name in plain if viewer or every},
        "pandas": [found(row) for frame in frames for row in frame.to_dict("records")],
        "duckdb": [sha256(content) for content, in contents.fetchall()],
        "image": str(datasets.load_dataset(repository, split="Systematic")[0].get("image")),
        "generators": len(datasets.load_dataset(repository, "generators")["train"]),
        "real_images": datasets.load_dataset(repository, "real_images")["train"].to_list(),
    }

every, viewer, study = sys.argv[1] == "True", *sys.argv[2:]
print(json.dumps({
    "viewer": read_back(viewer, True, every), "community-forensics": read_back(study, False, every),
    "trained": trained(study, "Systematic+Manual+Real"),
}))
"""


@dataclass(frozen=True)
class ReadBack:
    """A workspace that was published in both layouts, what was printed and read of each, and what is trained with."""

    workspace: Workspace
    printed: dict[str, str]
    read: dict[str, Any]


@pytest.fixture(scope="module")
def both_layouts(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> ReadBack:
    workspace = in_public(fill(Builder(Workspace.open(tmp_path_factory.mktemp("whole") / "workspace"), salt="whole")))
    command = ("--public", "--layout", "viewer", "--max-shard-size", "16KB")
    options: dict[str, Any] = {"public": True, "layout": "community-forensics", "max_shard_size": "16KB"}
    ended = (
        publish_by_command(hub, workspace, "org/whole-viewer", *command),
        publish(hub, workspace, "org/whole-community-forensics", **options),
    )
    assert [done.returncode for done in ended] == [0, 0], ended
    printed = dict(zip(("viewer", "community-forensics"), (done.stdout for done in ended), strict=True))
    names = ("org/whole-viewer", "org/whole-community-forensics")
    return ReadBack(workspace, printed, json.loads(child(hub, TRAINING + READ_BACK, str(EVERY_SPLIT), *names)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_published_dataset_is_read_back_in_every_usual_way_with_every_byte(
    clean: HubProcess, both_layouts: ReadBack, layout: LayoutName
) -> None:
    repository = f"org/whole-{layout}"
    printed, read = both_layouts.printed[layout], both_layouts.read[layout]
    assert "9 rows of the manifest are in no split and are not published" in printed
    expected = published_images(both_layouts.workspace)
    if layout == "viewer":
        assert f"{repository}: 25 rows (Manual 4, PublicEval 15, Real 3, Systematic 3) in " in printed
    else:
        # 9 images of one generator, so 9 rows of its 6 real images.
        assert f"{repository}: 28 rows (Manual 4, PublicEval 18, Real 3, Systematic 3) in " in printed
        assert "PublicEval: 3 real rows repeat an image under the same generator" in printed
        paired = sorted(found for found, _ in read["plain"]["PublicEval"])
        assert set(paired) == set(expected["PublicEval"])
        expected["PublicEval"] = paired
    rows = {name: len(hashes) for name, hashes in expected.items()}
    everything = Counter(sha256 for hashes in expected.values() for sha256 in hashes)
    for way in ("plain", "streamed"):
        # The shards of a split are in the order of their names, which are hashes.
        assert {name: sorted(found for found, _ in pairs) for name, pairs in read[way].items()} == expected, way
        assert all(said in (found, None) for pairs in read[way].values() for found, said in pairs), way
    assert read["alone"] == (rows if layout == "viewer" or EVERY_SPLIT else {})
    assert Counter(found for found, _ in read["pandas"]) == Counter(read["duckdb"]) == everything
    assert ("PngImageFile" in read["image"]) == (layout == "viewer")
    assert read["generators"] == 6
    assert [row["real_id"] for row in read["real_images"]] == [f"folder/{number}.png" for number in (100, 101, 102)]
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=read["folder"], capture_output=True, text=True)
    assert checked.returncode == 0
    assert "metadata/generators.csv: OK" in checked.stdout
    assert read["snippets"] == 3

    clean.clear_requests()
    again = publish(clean, both_layouts.workspace, repository, public=True, layout=layout, max_shard_size="16KB")
    assert again.returncode == 0, again.stderr
    assert "nothing to send" in again.stdout
    assert sent(clean) == []
    assert not [row for row in clean.requests() if "/commit/" in row["path"]]


def test_the_studys_training_code_reads_its_layout(both_layouts: ReadBack) -> None:
    rows = [row for row in pq.read_table(manifest_path(both_layouts.workspace)).to_pylist() if row["split"] == "train"]
    expected = [[[row["width"], row["height"]], row["label"], row["model_name"] or row["real_title"]] for row in rows]
    read = both_layouts.read["trained"]
    assert sorted(read) == sorted(expected)
    assert read != expected


def test_lists_that_are_no_longer_needed_and_shards_of_another_layout_are_removed_in_one_commit(
    clean: HubProcess, filled: Builder
) -> None:
    workspace = in_public(filled)
    assert publish(clean, workspace, "org/listed", public=True).returncode == 0
    before = files(clean, "org/listed")
    lists = {"metadata/evaluation.parquet", "metadata/real_images.parquet"}
    assert lists <= before.keys()
    card = text(clean, "org/listed", "README.md")
    assert "config_name: evaluation" in card
    assert "## Evaluation sets" in card
    assert "config_name: real_images" in card
    assert "image_data" not in card
    commits = len(history(clean, "org/listed"))
    Store(clean.directory).update("dataset", "org/listed", private=True)
    build(workspace)
    done = publish(clean, workspace, "org/listed", layout="community-forensics")
    assert done.returncode == 0, done.stderr
    after = files(clean, "org/listed")
    assert not lists & after.keys()
    assert not [path for path in before.keys() & after.keys() if path.startswith("data/")]
    assert len(history(clean, "org/listed")) == commits + 1
    card = text(clean, "org/listed", "README.md")
    assert "config_name: evaluation" not in card
    assert "real_images" not in card
    assert "image_data" in card


def test_growth_sends_what_is_new_and_removes_only_what_it_replaces(
    clean: HubProcess, filled: Builder, ready: Workspace
) -> None:
    workspace = ready
    publish(clean, workspace, "org/growing", max_shard_size="8KB")
    assert Store(clean.directory).repo("dataset", "org/growing").private  # without --public
    before = files(clean, "org/growing")
    replaced = next(path for path in before if path.startswith("data/Manual"))
    add_by_hand(clean, "org/growing", {"notes/mine.txt": b"a person's own file", replaced: b"not a shard"})
    filled.change("org/painter", 0, seed=99)
    filled.sample(filled.catalog[1], filled.real("photos", 99))
    filled.write()
    build(workspace)
    clean.clear_requests()

    done = publish(clean, workspace, "org/growing", max_shard_size="8KB")
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


def test_no_more_is_staged_than_may_be(clean: HubProcess, many: Workspace) -> None:
    clean.fail("stall", method="PUT", seconds=0.1)
    sizes = {"max_shard_size": "100KB", "max_staging": "200KB"}
    most = [0, 0]
    with ThreadPoolExecutor(1) as thread:
        publishing = thread.submit(publish, clean, many, "org/little-room", **sizes)
        while not publishing.done():
            # Only what was there at one time: nothing was removed while it was looked at.
            with contextlib.suppress(FileNotFoundError):
                sizes_now = [path.stat().st_size for path in many.locks.glob("publish/*/manifest/.shards/*")]
                most = [max(most[0], sum(sizes_now)), max(most[1], len(sizes_now))]
            time.sleep(0.005)
    assert publishing.result().returncode == 0, publishing.result().stderr
    assert 100_000 < most[0] <= 200_000
    assert most[1] > 1
    assert sum(path.startswith("data/") for path in files(clean, "org/little-room")) > 4
    commits = [row for row in clean.requests() if "/commit/cf-publish" in row["path"]]
    assert len(commits) > 2


def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(clean: HubProcess, ready: Workspace) -> None:
    done = publish(clean, ready, "org/imagined", token=None, dry_run=True)
    assert done.returncode == 0, done.stderr
    assert "dry run: would send 3 shards" in done.stdout
    assert {row["method"] for row in clean.requests()} <= {"GET", "HEAD"}


def published_images(workspace: Workspace) -> dict[str, list[str]]:
    """The sha256 of each published split's images."""
    expected: dict[str, list[str]] = {}
    for row in records.read(manifest_path(workspace), ManifestRow):
        if row.split is not None:
            name = "PublicEval" if row.split == "test" else row.subset
            expected.setdefault(name, []).append(row.sha256)
    return {name: sorted(hashes) for name, hashes in expected.items()}
