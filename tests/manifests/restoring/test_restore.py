"""A public edition, published and downloaded, is completed by the command line from copies of the real data sets."""

import contextlib
import hashlib
import json
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import snapshot_download

from localhub.process import HubProcess
from manifests.building import build
from manifests.options import BuildOptions
from manifests.publishing.sums import parse_sums, sums_text
from manifests.restoring.restore import restore
from manifests.tables.withheld import WithheldRow
from tests.manifests.making import BUILD, Builder
from tests.manifests.publishing.publishing import WRITER, publish
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

#: The real command's work with shards so small that there are many of them.
RESTORE_IN_SMALL = """
import sys
from pathlib import Path
from manifests.restoring.restore import restore
restore(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]], max_shard=6_000)
"""

LIST = "metadata/real_images.parquet"
LOCKED = 12


@dataclass(frozen=True)
class Edition:
    """One dataset published twice: whole, and without the real images that may not be passed on."""

    full: Path
    public: Path
    name: str
    real: Path
    hub: HubProcess

    def downloaded(self, folder: Path) -> Path:
        """A download of its own, which a test may change."""
        shutil.copytree(self.public, folder)
        return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), tokens=[WRITER]) as hub:
        yield hub


@pytest.fixture(scope="module")
def edition(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Edition:
    return published(hub, tmp_path_factory.mktemp("viewer"), "viewer", free=True)


def published(hub: HubProcess, folder: Path, layout: str, free: bool) -> Edition:
    """Two generators without common ancestors, one of them held out; `free`: some real images may be passed on."""
    builder = Builder(Workspace.open(folder / "workspace"), salt=f"{layout} {free}")
    prompts = [builder.real("photos", number) for number in range(4)] if free else []
    for number in range(100, 100 + LOCKED):
        prompts.append(
            builder.real(
                "locked",
                number,
                redistributable=False,
                license=None,
                license_link="https://locked.example/terms",
                real_mode="RGB",
            )
        )
    prompts += [builder.real("unsure", number, redistributable=None, caption_origin="generated") for number in range(3)]
    archive = folder / "real/photos.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(2):
            content = builder.real("packed", number, redistributable=False)
            tar.add(content.real_path, f"{number}.png")
    for number, prompt in enumerate(builder.prompts["packed"]):
        inside = replace(prompt, real_id=f"photos.tar#{number}.png", real_path=f"{archive}#{number}.png")
        builder.prompts["packed"][number] = inside
        prompts.append(inside)
    painter = builder.generator("org/painter", base_model=None, lineage=())
    sketcher = builder.generator("org/sketcher", base_model=None, lineage=())
    for number, prompt in enumerate(prompts):
        builder.sample(sketcher if number % 3 == 0 else painter, prompt)
    workspace = builder.write()
    name = f"org/{layout}-{'some' if free else 'none'}-free"
    downloads = []
    for choice, options in (("full", []), ("public", ["--public"])):
        build(workspace, BuildOptions(edition=choice, holdout=("name=org/sketcher",)))
        done = publish(hub, workspace, f"{name}-{choice}", *options, "--layout", layout)
        assert done.returncode == 0, done.stderr
        target = folder / choice
        snapshot_download(
            f"{name}-{choice}", repo_type="dataset", local_dir=target, endpoint=hub.endpoint, token=WRITER
        )
        downloads.append(target)
    return Edition(downloads[0], downloads[1], f"{name}-public", folder / "real", hub)


def rows(folder: Path) -> Counter[str]:
    """All rows of a downloaded dataset, every column and byte of them."""
    found: Counter[str] = Counter()
    for path in sorted((folder / "data").glob("*.parquet")):
        split = path.name.rpartition("-")[0]
        found.update(f"{split} {row!r}" for row in pq.read_table(path).to_pylist())
    return found


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of change of every file, hidden ones too."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }


def restored_by(folder: Path, *copies: Path) -> subprocess.CompletedProcess[str]:
    options = [word for copy in copies for word in ("--restore", str(copy))]
    return subprocess.run([*BUILD, "--workspace", str(folder), *options], capture_output=True, text=True, timeout=120)


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


@pytest.mark.parametrize("free", [True, False], ids=["some-free", "none-free"])
@pytest.mark.parametrize("layout", ["viewer", "community-forensics"])
def test_by_the_cards_own_words_a_download_becomes_the_full_edition(
    hub: HubProcess, tmp_path: Path, layout: str, free: bool
) -> None:
    edition = published(hub, tmp_path / "made", layout, free)
    copy = laid_out_anew(edition.real, tmp_path / "copy")
    card = (edition.public / "README.md").read_text()
    (words,) = re.findall("```bash\n(.*?)```", card, re.DOTALL)
    download, command = (shlex.split(line) for line in words.strip().splitlines())
    assert download == ["hf", "download", edition.name, "--repo-type", "dataset", "--local-dir", "dataset"]
    assert command[:-1] == ["cf-build-manifest", "--workspace", "dataset", "--restore"]
    folder = edition.downloaded(tmp_path / "dataset")
    done = subprocess.run([*BUILD, *command[1:-1], str(copy)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"LOCKED: {LOCKED} of {LOCKED} real images restored" in done.stdout

    assert rows(edition.full) - rows(edition.public)
    assert rows(folder) == rows(edition.full)
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS", "SHA256SUMS.restored"], cwd=folder, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    assert not list(folder.glob(".cf-restore")) + list(folder.rglob("*.partial"))
    assert read_by_datasets(folder, tmp_path) == read_by_datasets(edition.full, tmp_path)
    names = ["image_name", "prompt", "real_source", "label"]
    ours, theirs = (pandas.read_parquet(place / "data")[names].sort_values(names) for place in (folder, edition.full))
    assert ours.to_dict("records") == theirs.to_dict("records")
    text = (folder / "README.md").read_text()
    assert text.split("\n---\n", 1)[1] == card.split("\n---\n", 1)[1]
    assert (text == card) == free

    before = state(folder)
    again = restored_by(folder, tmp_path / "made/public")  # the copy may be gone by now
    assert again.returncode == 0, again.stderr
    assert state(folder) == before


def read_by_datasets(folder: Path, tmp_path: Path) -> dict[str, Any]:
    """What `load_dataset` gives of a folder, by split: the bytes of all images."""
    script = """
import hashlib, json, sys
import datasets
read = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2])
alone = {name: len(datasets.load_dataset(sys.argv[1], name, split=name, cache_dir=sys.argv[2])) for name in read}
viewer = "image" in read["Real"].column_names
if viewer:
    assert read["Real"][0]["image"].size
    read = read.cast_column("image", datasets.Image(decode=False))
sha256 = lambda row: hashlib.sha256(row["image"]["bytes"] if viewer else row["image_data"]).hexdigest()
print(json.dumps([alone, {name: sorted(sha256(row) for row in split) for name, split in read.items()}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(tmp_path / "cache")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_one_copy_after_the_other_and_the_first_one_gone(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    first, second = tmp_path / "first", tmp_path / "second"
    shutil.copytree(edition.real / "locked", first)
    (first / "105.png").unlink()
    shutil.copytree(edition.real, second)
    shutil.rmtree(second / "locked")
    (second / "at last.png").write_bytes((edition.real / "locked/105.png").read_bytes())

    partly = restored_by(folder, first)
    assert partly.returncode == 1
    assert "LOCKED: 11 of 12 real images restored" in partly.stdout
    assert (
        "6 real images were not found: LOCKED 1 (see https://locked.example/terms), PACKED 2, UNSURE 3;"
        in partly.stderr
    )
    assert partly.stderr.count("\n") == 1
    before = rows(folder)
    assert before < rows(edition.full)
    assert sum(before.values()) == sum(rows(edition.full).values()) - 6
    shutil.rmtree(first)
    done = restored_by(folder, second)
    assert done.returncode == 0, done.stderr
    assert rows(folder) == rows(edition.full)
    at_once = edition.downloaded(tmp_path / "at-once")
    assert restored_by(at_once, edition.real / "locked", edition.real).returncode == 0
    assert {name: found for name, (found, _) in state(folder).items()} == {
        name: found for name, (found, _) in state(at_once).items()
    }


def test_an_image_is_known_by_its_bytes_and_not_by_its_name(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    copy = tmp_path / "copy/folder"
    shutil.copytree(edition.real / "locked", copy)
    (copy / "103.png").write_bytes((edition.real / "photos/0.png").read_bytes())
    done = restored_by(folder, copy.parent)
    assert done.returncode == 1
    assert "LOCKED: 11 of 12 real images restored" in done.stdout
    assert not rows(folder) - rows(edition.full)


@pytest.mark.parametrize("damage", ["flipped", "shortened", "gone", "table"])
def test_a_damaged_download_is_named_and_nothing_is_written(edition: Edition, tmp_path: Path, damage: str) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    path = folder / LIST if damage == "table" else next((folder / "data").glob("Systematic-*"))
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content[:-10] if damage == "shortened" else content)
    before = state(folder)
    done = restored_by(folder, edition.real)
    assert done.returncode == 1
    assert str(path.relative_to(folder)) in done.stderr
    assert "run the same `hf download` again" in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(folder) == before


def test_a_restored_shard_that_has_changed_is_named(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    came = set((folder / "data").iterdir())
    restore(folder, [edition.real])
    shard = sorted(set((folder / "data").iterdir()) - came)[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"x")
    done = restored_by(folder, edition.real)
    assert done.returncode == 1
    assert f"data/{shard.name} in {folder} were restored and have changed since: remove them" in done.stderr
    shard.unlink()
    restore(folder, [edition.real])
    assert shard.read_bytes() == content


def test_what_is_no_download_is_said_to_be_none(edition: Edition, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        done = restored_by(folder, edition.real)
        assert done.returncode == 2
        assert "hf download ORG/NAME --repo-type dataset --local-dir FOLDER" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
    folder = edition.downloaded(tmp_path / "dataset")
    missing = restored_by(folder, tmp_path / "no-copy")
    assert missing.returncode == 2
    assert "no-copy: no such folder" in missing.stderr


@pytest.mark.parametrize(
    "option", [("--edition", "full"), ("--edition", "public"), ("--holdout", "name=a/b"), ("--license-allow", "mit")]
)
def test_restoring_is_not_building(edition: Edition, option: tuple[str, str]) -> None:
    command = [*BUILD, "--workspace", str(edition.public), "--restore", str(edition.real), *option]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--restore completes an edition as it was published" in done.stderr


def test_a_full_edition_is_verified_and_has_nothing_to_restore(edition: Edition, tmp_path: Path) -> None:
    folder = shutil.copytree(edition.full, tmp_path / "dataset")
    before = state(folder)
    done = restored_by(folder, edition.real)
    assert done.returncode == 0, done.stderr
    assert "nothing to restore" in done.stdout
    assert re.search(r"\d+ files verified", done.stdout)
    assert state(folder) == before
    shard = next((folder / "data").iterdir())
    shard.unlink()
    assert restored_by(folder, edition.real).returncode == 1


def test_shards_of_another_version_are_named_before_they_are_read_twice(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    old = folder / f"data/Systematic-{'0' * 20}.parquet"
    old.write_bytes(next((folder / "data").glob("Systematic-*")).read_bytes())
    with pytest.raises(UsageError, match="are not of this version of the dataset") as refused:
        restore(folder, [edition.real])
    assert str(old) in str(refused.value)
    assert old.exists()


def test_a_newer_list_takes_away_what_it_no_longer_speaks_of(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    restore(folder, [edition.real])
    listed = records.read(folder / LIST, WithheldRow)
    with_list(folder, [replace(row, split=None) if row.real_title != "LOCKED" else row for row in listed])
    assert [source.name for source in restore(folder, [tmp_path]).sources] == ["LOCKED"]
    real = rows(folder) - rows(edition.public)
    assert sum(real.values()) == LOCKED
    assert real < rows(edition.full)
    (folder / LIST).unlink()
    sums = parse_sums((folder / "SHA256SUMS").read_bytes())
    (folder / "SHA256SUMS").write_bytes(sums_text({path: sums[path] for path in sums if path != LIST}))
    restore(folder, [tmp_path])
    assert rows(folder) == rows(edition.public)


def with_list(folder: Path, listed: list[WithheldRow] | pa.Table) -> None:
    """Give the download another list, and a sum that goes with it, as who publishes it can."""
    if isinstance(listed, pa.Table):
        pq.write_table(listed, folder / LIST)
    else:
        records.write(folder / LIST, WithheldRow, listed)
    sums = parse_sums((folder / "SHA256SUMS").read_bytes())
    sums[LIST] = hashlib.sha256((folder / LIST).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_bytes(sums_text(sums))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"real_sha256": "../../etc/passwd"}, "speaks of no image"),
        ({"real_sha256": "A" * 64}, "speaks of no image"),
        ({"real_sha256": ""}, "speaks of no image"),
        ({"split": "../train"}, "speaks of no image"),
        ({"width": -1}, "speaks of no image"),
        ({"height": 0}, "speaks of no image"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    edition: Edition, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    first, *others = records.read(folder / LIST, WithheldRow)
    with_list(folder, [replace(first, **change), *others])
    before = state(folder)
    done = restored_by(folder, edition.real)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(folder) == before


@pytest.mark.parametrize("real_id", ["../secret.png", "/etc/hostname", "a\0b", "", "x" * 5000, "\x1b[2J"])
def test_an_id_that_leads_elsewhere_does_no_harm(edition: Edition, tmp_path: Path, real_id: str) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    (tmp_path / "copy").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    listed = records.read(folder / LIST, WithheldRow)
    secret = replace(
        next(row for row in listed if row.split == "train"),
        real_id=real_id,
        real_title="\x1b[2Jevil",
        real_sha256=hashlib.sha256(b"secret").hexdigest(),
        width=2**31 - 1,
        license_link="\x1b]0;evil",
    )
    with_list(folder, [*listed, secret])
    done = restored_by(folder, edition.real, tmp_path / "copy")
    assert done.returncode == 1
    assert "1 real images were not found" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert rows(folder) == rows(edition.full)
    assert (tmp_path / "secret.png").exists()


def test_a_list_of_another_version_is_refused(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    with_list(folder, pq.read_table(folder / LIST).drop_columns(["prompt"]))
    done = restored_by(folder, edition.real)
    assert done.returncode == 2
    assert "it lacks prompt" in done.stderr


@pytest.mark.parametrize(
    "named", ["data/../../outside.parquet", "metadata/generators.parquet", "data/Real-mine.parquet", "own"]
)
def test_a_record_of_strangers_removes_nothing(edition: Edition, tmp_path: Path, named: str) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    own = next(path for path in (folder / "data").glob("Real-*"))
    path = f"data/{own.name}" if named == "own" else named
    (tmp_path / "outside.parquet").write_bytes(b"theirs")
    (folder / "SHA256SUMS.restored").write_bytes(f"{hashlib.sha256(b'theirs').hexdigest()}  {path}\n".encode())
    before = state(tmp_path)
    done = restored_by(folder, edition.real)
    assert done.returncode == 2
    assert "SHA256SUMS.restored" in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(tmp_path) == before


def test_sums_that_lead_out_of_the_folder_are_refused(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  data/../../secret\n")
    with pytest.raises(UsageError, match="names no file of ours"):
        restore(folder, [edition.real])


@pytest.mark.parametrize(
    "card", ["no front matter", "---\n- a list\n---\n", "---\nconfigs: []\n---\n", "---\n[" * 9000]
)
def test_a_card_that_is_none_is_an_error_and_a_good_one_mends_it(edition: Edition, tmp_path: Path, card: str) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    good = (folder / "README.md").read_bytes()
    (folder / "README.md").write_text(card)
    with pytest.raises(CommunityForensicsError, match="is not the dataset's card"):
        restore(folder, [edition.real])
    (folder / "README.md").write_bytes(good)
    restore(folder, [edition.real])
    assert rows(folder) == rows(edition.full)


def test_a_folder_that_cannot_be_written_is_one_line(edition: Edition, tmp_path: Path) -> None:
    folder = edition.downloaded(tmp_path / "dataset")
    (folder / "SHA256SUMS.restored").mkdir()
    done = restored_by(folder, edition.real)
    assert done.returncode == 1
    assert "SHA256SUMS.restored" in done.stderr
    assert done.stderr.count("\n") == 1


def test_killed_at_any_moment_the_same_command_ends_in_the_same_files(edition: Edition, tmp_path: Path) -> None:
    def command(folder: Path, *copies: Path) -> list[str]:
        return [sys.executable, "-c", RESTORE_IN_SMALL, str(folder), *map(str, copies)]

    first, second = edition.real / "locked", edition.real
    expected = edition.downloaded(tmp_path / "expected")
    subprocess.run(command(expected, first), check=True, capture_output=True)
    assert len(list((expected / "data").glob("Real-*"))) > 3
    between = shutil.copytree(expected, tmp_path / "between")
    started = time.monotonic()
    subprocess.run(command(expected, second), check=True, capture_output=True)
    usual = time.monotonic() - started
    assert rows(expected) == rows(edition.full)
    chosen = random.Random(9)
    kills = 0
    for number in range(scaled(3, 30)):
        folder = shutil.copytree(between, tmp_path / f"killed-{number}")
        for _ in range(2):
            killed = subprocess.Popen(command(folder, second), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with contextlib.suppress(subprocess.TimeoutExpired):
                killed.wait(chosen.uniform(0.5, 1) * usual)
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
            kills += killed.returncode == -signal.SIGKILL
            seen = rows(folder)
            assert not seen.keys() - rows(edition.full).keys()
            assert not rows(between).keys() - seen.keys()
        subprocess.run(command(folder, second), check=True, capture_output=True)
        assert {name: found for name, (found, _) in state(folder).items()} == {
            name: found for name, (found, _) in state(expected).items()
        }
        assert not list(folder.glob(".cf-restore")) + list(folder.rglob("*.partial"))
    assert kills
