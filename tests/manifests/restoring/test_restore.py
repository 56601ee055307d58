"""A public edition, published and downloaded, is completed from copies of the real data sets."""

import itertools
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from manifests.cli import build_manifest
from manifests.options import LayoutName
from manifests.publishing.checksums import checksums_text, parse_checksums
from manifests.restoring.restore import restore
from manifests.tables.withheld import WithheldRow
from tests.hubs import WITHOUT_TENSORS
from tests.manifests import commands
from tests.manifests.processes import finish, start
from tests.manifests.restoring.editions import LIST, LOCKED, Downloads, download_editions, rows, state, with_list
from tests.scale import scaled, weekly
from workspace import records


def laid_out_anew(real: Path, copy: Path) -> Path:
    """The real images under other names: some in an archive, some in a Parquet file, some loose."""
    files = sorted(path for path in real.rglob("*.png"))
    (copy / "deep/er").mkdir(parents=True)
    with tarfile.open(copy / "deep/some.tar", "w") as tar:
        for number, path in enumerate(files[0::3]):
            tar.add(path, f"anew/{number}.png")
    images = [{"bytes": path.read_bytes(), "path": None} for path in reversed(files[1::3])]
    pq.write_table(pa.table({"image": images}), copy / "part.parquet", row_group_size=2)
    for number, path in enumerate(files[2::3]):
        shutil.copy(path, copy / f"deep/er/{number}.dat")
    return copy


#: Which editions are completed: layout, and whether some real images are free.
Kind = tuple[LayoutName, bool]
KINDS: list[Kind] = [*product(get_args(LayoutName), (True, False))]


def test_the_commands_of_the_card_complete_a_download_to_the_full_edition(
    hub: HubProcess, edition: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editions = {("viewer", True): edition}
    for layout, free in scaled([("community-forensics", False)], KINDS[1:]):
        editions[layout, free] = download_editions(hub, tmp_path / f"made-{layout}-{free}", layout, free)
    folders = {}
    for kind, made in editions.items():
        folders[kind] = tmp_path / f"{kind}" / "dataset"
        folders[kind].parent.mkdir()
        monkeypatch.chdir(folders[kind].parent)
        complete_by_the_card(made, folders[kind], *kind)
    pairs = [(folder, editions[kind].full) for kind, folder in folders.items()]
    read = iter(read_by_datasets(tmp_path / "cache", *itertools.chain(*pairs)))
    for layout, _ in folders:
        found, expected = next(read), next(read)
        if layout == "viewer":
            assert found == expected
        else:
            assert {name: set(hashes) for name, hashes in found[1].items()} == {
                name: set(hashes) for name, hashes in expected[1].items()
            }


def complete_by_the_card(edition: Downloads, folder: Path, layout: LayoutName, free: bool) -> None:
    """Run the commands of the card in the working folder, which is above `folder`, and compare every row."""
    copy = laid_out_anew(edition.real, folder.parent / "copy")
    card = (edition.public / "README.md").read_text()
    (words,) = re.findall("```bash\n(.*?)```", card, re.DOTALL)
    download, command = (shlex.split(line) for line in words.strip().splitlines())
    assert download == ["hf", "download", edition.name, "--repo-type", "dataset", "--local-dir", "dataset"]
    assert command[:-1] == ["cf-build-manifest", "--workspace", "dataset", "--restore"]
    edition.copy_of_public(folder)
    done = commands.run(build_manifest, *command[1:-1], str(copy))
    assert done.returncode == 0, done.stderr
    assert f"LOCKED: {LOCKED} of {LOCKED} real images restored" in done.stdout

    assert rows(edition.full) - rows(edition.public)
    if layout == "viewer":
        assert rows(folder) == rows(edition.full)
    else:
        # Where readers evaluate generators, a real image may be several rows, and has the name of one: all are there.
        assert rows(folder).keys() == rows(edition.full).keys()
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS", "SHA256SUMS.restored"], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    assert not list(folder.glob(".cf-restore")) + list(folder.rglob("*.partial"))
    names = ["image_name", "prompt", "real_source", "label"]
    ours, theirs = (
        pandas.read_parquet(place / "data")[names].drop_duplicates().sort_values(names)
        for place in (folder, edition.full)
    )
    assert ours.to_dict("records") == theirs.to_dict("records")
    text = (folder / "README.md").read_text()
    assert text.split("\n---\n", 1)[1] == card.split("\n---\n", 1)[1]
    assert (text == card) == free

    before = state(folder)
    again = commands.restore(folder, edition.public)  # the copy may be gone by now
    assert again.returncode == 0, again.stderr
    assert state(folder) == before


def read_by_datasets(cache: Path, *folders: Path) -> list[Any]:
    """What `load_dataset` gives of each folder: the rows of each split alone, and the bytes of all images by split."""
    script = """
import hashlib, json, sys
import datasets

def read(folder, cache):
    # `datasets` refuses a split without rows, which the study's layout may have, where it is read alone.
    names = [name for name in datasets.get_dataset_split_names(folder, "default") if name != "Manual"]
    read = {name: datasets.load_dataset(folder, split=name, cache_dir=cache) for name in names}
    alone = {name: len(datasets.load_dataset(folder, name, split=name, cache_dir=cache)) for name in read}
    viewer = "image" in read["Real"].column_names
    if viewer:
        assert read["Real"][0]["image"].size
        read = datasets.DatasetDict(read).cast_column("image", datasets.Image(decode=False))
    sha256 = lambda row: hashlib.sha256(row["image"]["bytes"] if viewer else row["image_data"]).hexdigest()
    return alone, {name: sorted(sha256(row) for row in split) for name, split in read.items()}

print(json.dumps([read(folder, sys.argv[1]) for folder in sys.argv[2:]]))
"""
    command = [sys.executable, "-c", script, str(cache), *map(str, folders)]
    done = subprocess.run(command, env={**os.environ, **WITHOUT_TENSORS}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_copies_may_be_given_one_after_the_other_and_removed(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(edition.real / "locked", first)
    (first / "105.png").unlink()
    shutil.copytree(edition.real, second)
    shutil.rmtree(second / "locked")
    (second / "at last.png").write_bytes((edition.real / "locked/105.png").read_bytes())

    partly = commands.restore(folder, first)
    assert partly.returncode == 1
    assert f"LOCKED: {LOCKED - 1} of {LOCKED} real images restored" in partly.stdout
    assert (
        "6 real images were not found: LOCKED 1 (see https://locked.example/terms), PACKED 2, UNSURE 3;"
        in partly.stderr
    )
    assert partly.stderr.count("\n") == 1
    before = rows(folder)
    assert before < rows(edition.full)
    assert sum(before.values()) == sum(rows(edition.full).values()) - 6
    shutil.rmtree(first)
    done = commands.restore(folder, second)
    assert done.returncode == 0, done.stderr
    assert rows(folder) == rows(edition.full)
    at_once = edition.copy_of_public(tmp_path / "at-once")
    assert commands.restore(at_once, edition.real / "locked", edition.real).returncode == 0
    assert {name: found for name, (found, _) in state(folder).items()} == {
        name: found for name, (found, _) in state(at_once).items()
    }


def test_an_image_is_recognised_by_its_bytes_and_not_by_its_name(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    copy = tmp_path / "copy/folder"
    shutil.copytree(edition.real / "locked", copy)
    (copy / "103.png").write_bytes((edition.real / "photos/0.png").read_bytes())
    done = commands.restore(folder, copy.parent)
    assert done.returncode == 1
    assert f"LOCKED: {LOCKED - 1} of {LOCKED} real images restored" in done.stdout
    assert not rows(folder) - rows(edition.full)


def test_a_full_edition_is_verified_and_has_nothing_to_restore(edition: Downloads, tmp_path: Path) -> None:
    folder = shutil.copytree(edition.full, tmp_path / "dataset")
    before = state(folder)
    done = commands.restore(folder, edition.real)
    assert done.returncode == 0, done.stderr
    assert "nothing to restore" in done.stdout
    assert re.search(r"\d+ files verified", done.stdout)
    assert state(folder) == before
    shard = next((folder / "data").iterdir())
    shard.unlink()
    assert commands.restore(folder, edition.real).returncode == 1


def test_images_that_a_newer_list_does_not_name_are_removed(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    restore(folder, [edition.real])
    listed = records.read(folder / LIST, WithheldRow)
    with_list(folder, [replace(row, split=None) if row.real_title != "LOCKED" else row for row in listed])
    assert [source.name for source in restore(folder, [tmp_path]).sources] == ["LOCKED"]
    real = rows(folder) - rows(edition.public)
    assert sum(real.values()) == LOCKED
    assert real < rows(edition.full)
    (folder / LIST).unlink()
    sums = parse_checksums((folder / "SHA256SUMS").read_bytes())
    (folder / "SHA256SUMS").write_bytes(checksums_text({path: sums[path] for path in sums if path != LIST}))
    restore(folder, [tmp_path])
    assert rows(folder) == rows(edition.public)


# Restores in small shards, and is killed before or after the second one is moved to its place.
KILLED = """
import os, signal, sys
from pathlib import Path
from manifests.restoring.restore import restore

moved, replace, when = [], Path.replace, sys.argv[4]

def move(path, target):
    if Path(target).parent.name == "data":
        moved.append(target)
    if len(moved) == 2:
        if when == "after":
            replace(path, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)

Path.replace = move
restore(Path(sys.argv[1]), [Path(sys.argv[2])], int(sys.argv[3]))
"""
#: Bytes of a shard: so that there are many.
SMALL = 6_000


def test_killed_between_two_shards_the_same_command_ends_in_the_same_files(edition: Downloads, tmp_path: Path) -> None:
    expected, folder = (edition.copy_of_public(tmp_path / name) for name in ("expected", "killed"))
    restore(expected, [edition.real], SMALL)
    came = {path.name for path in (folder / "data").iterdir()}
    for when, there in (("before", 1), ("after", 3)):
        command = [sys.executable, "-c", KILLED, str(folder), str(edition.real), str(SMALL), when]
        assert subprocess.run(command).returncode == -signal.SIGKILL
        assert len({path.name for path in (folder / "data").iterdir()} - came) == there
        assert list(folder.glob(".cf-restore"))
        seen = rows(folder)
        assert not seen.keys() - rows(edition.full).keys()
        assert not rows(edition.public).keys() - seen.keys()
    restore(folder, [edition.real], SMALL)
    assert {name: found for name, (found, _) in state(folder).items()} == {
        name: found for name, (found, _) in state(expected).items()
    }
    assert not list(folder.glob(".cf-restore")) + list(folder.rglob("*.partial"))


@weekly("manifests/restoring/test_restore.py::test_killed_between_two_shards_the_same_command_ends_in_the_same_files")
def test_killed_at_any_moment_the_same_command_ends_in_the_same_files(edition: Downloads, tmp_path: Path) -> None:
    first, second = edition.real / "locked", edition.real
    expected = edition.copy_of_public(tmp_path / "expected")
    finish(restore, expected, [first], SMALL)
    assert len(list((expected / "data").glob("Real-*"))) > 3
    between = shutil.copytree(expected, tmp_path / "between")
    started = time.monotonic()
    finish(restore, expected, [second], SMALL)
    usual = time.monotonic() - started
    whole, before = rows(edition.full), rows(between)
    assert rows(expected) == whole
    at_the_end = {name: found for name, (found, _) in state(expected).items()}
    chosen = random.Random(9)
    kills = 0
    for number in itertools.count():
        folder = shutil.copytree(between, tmp_path / f"killed-{number}")
        for _ in range(2):
            started = time.monotonic()
            killed = start(restore, folder, [second], SMALL)
            killed.join(chosen.uniform(0.5, 1) * usual)
            killed.kill()
            killed.join()
            kills += killed.exitcode == -signal.SIGKILL
            seen = rows(folder)
            assert not seen.keys() - whole.keys()
            assert not before.keys() - seen.keys()
            if killed.exitcode == 0:
                # It was through: the machine has become quicker.
                usual = time.monotonic() - started
                break
        finish(restore, folder, [second], SMALL)
        assert {name: found for name, (found, _) in state(folder).items()} == at_the_end
        assert not list(folder.glob(".cf-restore")) + list(folder.rglob("*.partial"))
        shutil.rmtree(folder)
        if kills >= 50:
            break
