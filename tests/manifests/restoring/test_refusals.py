"""Downloads that are damaged, foreign or hostile: one clear line, and nothing is written."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from manifests.restoring.restore import restore
from manifests.tables.withheld import WithheldRow
from tests.manifests import commands
from tests.manifests.restoring.editions import LIST, Downloads, rows, state, with_list
from workspace import records
from workspace.errors import CommunityForensicsError, UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace


@pytest.mark.parametrize("damage", ["flipped", "shortened", "gone", "table"])
def test_a_damaged_download_is_named_and_nothing_is_written(edition: Downloads, tmp_path: Path, damage: str) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    path = folder / LIST if damage == "table" else next((folder / "data").glob("Systematic-*"))
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content[:-10] if damage == "shortened" else content)
    before = state(folder)
    done = commands.restore(folder, edition.real)
    assert done.returncode == 1
    assert str(path.relative_to(folder)) in done.stderr
    assert "run the same `hf download` again" in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(folder) == before


def test_a_second_run_in_a_folder_is_refused_and_nothing_is_written(
    edition: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    before = state(folder)
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    with alone(Workspace(folder), "restore"):
        done = commands.restore(folder, edition.real)
    assert done.returncode == 1
    assert "another process is at work (restore: process " in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(folder) == before


def test_a_restored_shard_that_has_changed_is_named(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    came = set((folder / "data").iterdir())
    restore(folder, [edition.real])
    shard = sorted(set((folder / "data").iterdir()) - came)[0]
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"x")
    done = commands.restore(folder, edition.real)
    assert done.returncode == 1
    assert f"1 restored file in {folder} has changed since: data/{shard.name}; remove it" in done.stderr
    shard.unlink()
    restore(folder, [edition.real])
    assert shard.read_bytes() == content


def test_a_folder_that_is_not_a_download_is_refused(edition: Downloads, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        done = commands.restore(folder, edition.real)
        assert done.returncode == 2
        assert "hf download ORG/NAME --repo-type dataset --local-dir FOLDER" in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
    folder = edition.copy_of_public(tmp_path / "dataset")
    missing = commands.restore(folder, tmp_path / "no-copy")
    assert missing.returncode == 2
    assert "no-copy: no such folder" in missing.stderr


@pytest.mark.parametrize(
    "option", [("--edition", "full"), ("--edition", "public"), ("--holdout", "name=a/b"), ("--license-allow", "mit")]
)
def test_restoring_is_not_building(edition: Downloads, option: tuple[str, str]) -> None:
    done = commands.build(edition.public, "--restore", str(edition.real), *option)
    assert done.returncode == 2
    assert "--restore completes an edition as it was published" in done.stderr


def test_shards_of_another_version_are_named_before_they_are_read_twice(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    old = folder / f"data/Systematic-{'0' * 20}.parquet"
    old.write_bytes(next((folder / "data").glob("Systematic-*")).read_bytes())
    with pytest.raises(UsageError, match="is not part of this version of the dataset") as refused:
        restore(folder, [edition.real])
    assert str(old) in str(refused.value)
    assert old.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real_sha256": "../../etc/passwd"}, "has an invalid sha256, split or size"),
        ({"real_sha256": "A" * 64}, "has an invalid sha256, split or size"),
        ({"real_sha256": ""}, "has an invalid sha256, split or size"),
        ({"split": "../train"}, "has an invalid sha256, split or size"),
        ({"width": -1}, "has an invalid sha256, split or size"),
        ({"height": 0}, "has an invalid sha256, split or size"),
    ],
)
def test_an_invalid_list_is_refused(edition: Downloads, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    first, *others = records.read(folder / LIST, WithheldRow)
    with_list(folder, [replace(first, **change), *others])
    before = state(folder)
    done = commands.restore(folder, edition.real)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(folder) == before


def test_ids_with_a_path_outside_of_the_folder_do_no_harm(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    (tmp_path / "copy").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    listed = records.read(folder / LIST, WithheldRow)
    contents = {"../secret.png": b"secret", "/etc/hostname": Path("/etc/hostname").read_bytes()}
    ids = [*contents, "a\0b", "", "x" * 5000, "\x1b[2J"]
    secrets = [
        replace(
            next(row for row in listed if row.split == "train"),
            real_id=real_id,
            real_title="\x1b[2Jevil",
            real_sha256=hashlib.sha256(contents.get(real_id, real_id.encode())).hexdigest(),
            width=2**31 - 1,
            license_link="\x1b]0;evil",
        )
        for real_id in ids
    ]
    with_list(folder, [*listed, *secrets])
    done = commands.restore(folder, edition.real, tmp_path / "copy")
    assert done.returncode == 1
    assert f"{len(ids)} real images were not found" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert rows(folder) == rows(edition.full)
    assert (tmp_path / "secret.png").exists()


def test_a_list_of_another_version_is_refused(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    with_list(folder, pq.read_table(folder / LIST).drop_columns(["prompt"]))
    done = commands.restore(folder, edition.real)
    assert done.returncode == 2
    assert "was written by another version: use the one that the dataset's README.md names" in done.stderr


@pytest.mark.parametrize(
    "named", ["data/../../outside.parquet", "metadata/generators.parquet", "data/Real-mine.parquet", "own"]
)
def test_a_foreign_record_of_restored_files_removes_nothing(edition: Downloads, tmp_path: Path, named: str) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    own = next(path for path in (folder / "data").glob("Real-*"))
    path = f"data/{own.name}" if named == "own" else named
    (tmp_path / "outside.parquet").write_bytes(b"theirs")
    (folder / "SHA256SUMS.restored").write_bytes(f"{hashlib.sha256(b'theirs').hexdigest()}  {path}\n".encode())
    before = state(tmp_path)
    done = commands.restore(folder, edition.real)
    assert done.returncode == 2
    assert "SHA256SUMS.restored" in done.stderr
    assert done.stderr.count("\n") == 1
    assert state(tmp_path) == before


def test_checksums_of_files_outside_of_the_folder_are_refused(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  data/../../secret\n")
    with pytest.raises(UsageError, match="is not a file in data/ or metadata/"):
        restore(folder, [edition.real])


def test_an_invalid_card_is_an_error_and_a_valid_one_is_accepted_again(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    good = (folder / "README.md").read_bytes()
    for card in ("no front matter", "---\n- a list\n---\n", "---\nconfigs: []\n---\n", "---\n[" * 9000):
        (folder / "README.md").write_text(card)
        with pytest.raises(CommunityForensicsError, match="is not the dataset's card"):
            restore(folder, [edition.real])
    (folder / "README.md").write_bytes(good)
    restore(folder, [edition.real])
    assert rows(folder) == rows(edition.full)


def test_a_folder_that_cannot_be_written_is_one_line(edition: Downloads, tmp_path: Path) -> None:
    folder = edition.copy_of_public(tmp_path / "dataset")
    (folder / "SHA256SUMS.restored").mkdir()
    done = commands.restore(folder, edition.real)
    assert done.returncode == 1
    assert "SHA256SUMS.restored" in done.stderr
    assert done.stderr.count("\n") == 1
