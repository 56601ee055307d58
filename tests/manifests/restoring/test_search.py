import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.restoring.search import find_images
from workspace.locator import LocatorReader

CONTENTS = {f"train/{number:02d}.jpg": f"image {number}".encode() * 50 for number in range(12)}
WANTED = {hashlib.sha256(content).hexdigest(): name for name, content in CONTENTS.items()}


def as_it_was(root: Path) -> None:
    for name, content in CONTENTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def renamed(root: Path) -> None:
    for number, content in enumerate(CONTENTS.values()):
        folder = root / "other" / str(number % 3)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number} of it.JPEG").write_bytes(content)


def in_archives(root: Path) -> None:
    as_it_was(root / "loose")
    with tarfile.open(root / "a.tar", "w") as tar:
        tar.add(root / "loose/train", "deep")
    for file in (root / "loose/train").iterdir():
        file.unlink()


def in_a_table(root: Path) -> None:
    images = [{"bytes": content, "path": None} for content in CONTENTS.values()]
    pq.write_table(pa.table({"image": images}), root / "part.parquet", row_group_size=5)


def exchanged(root: Path) -> None:
    """Every name is there, with another image in it."""
    names = list(CONTENTS)
    for name, content in zip(names, [*list(CONTENTS.values())[1:], CONTENTS[names[0]]], strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def elsewhere_behind_links(root: Path) -> None:
    outside = root.parent / "elsewhere"
    renamed(outside)
    (root / "linked").symlink_to(outside)
    (outside / "back").symlink_to(root)


@pytest.mark.parametrize(
    "laid_out",
    [as_it_was, renamed, in_archives, in_a_table, exchanged, elsewhere_behind_links],
    ids=lambda function: function.__name__,
)
def test_images_are_found_in_any_layout_of_the_copy(tmp_path: Path, laid_out: Callable[[Path], None]) -> None:
    root = tmp_path / "copy"
    root.mkdir()
    (root / "broken.tar").write_bytes(b"no archive")
    (root / "broken.parquet").write_bytes(b"no table")
    (root / "dangling").symlink_to(root / "nowhere")
    (root / "a.tar#b").write_bytes(b"a file whose name looks like something else")
    os.mkfifo(root / "a pipe")
    Path(os.fsdecode(os.fsencode(root) + b"/not \xff utf-8")).write_bytes(b"any")
    laid_out(root)
    heard: list[int] = []
    found = find_images([root], WANTED, lambda more, _where: heard.append(more))
    assert found.keys() == WANTED.keys()
    assert sum(heard) == len(WANTED)
    reader = LocatorReader()
    assert {sha256: reader.read(place) for sha256, place in found.items()} == {
        sha256: CONTENTS[name] for sha256, name in WANTED.items()
    }


def test_several_copies_are_searched_and_an_archive_may_be_one(tmp_path: Path) -> None:
    for laid_out in (as_it_was, in_archives):
        (tmp_path / laid_out.__name__).mkdir()
        laid_out(tmp_path / laid_out.__name__)
    for number in range(6):
        (tmp_path / f"as_it_was/train/{number:02d}.jpg").unlink()
    found = find_images([tmp_path / "as_it_was", tmp_path / "in_archives/a.tar"], WANTED)
    assert found.keys() == WANTED.keys()
    assert sum("a.tar#deep/" in place for place in found.values()) == 6


def test_images_at_the_listed_path_are_found_without_reading_other_files(tmp_path: Path) -> None:
    as_it_was(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/large.bin").write_bytes(b"x")
    looked_at: list[str] = []
    assert len(find_images([tmp_path], WANTED, lambda _more, where: looked_at.append(where))) == len(WANTED)
    assert looked_at == [f"{tmp_path}/train/11.jpg"]


def test_a_changed_or_missing_image_is_not_found(tmp_path: Path) -> None:
    as_it_was(tmp_path)
    (tmp_path / "train/03.jpg").write_bytes(b"another")
    (tmp_path / "train/04.jpg").unlink()
    missing = WANTED.keys() - find_images([tmp_path], WANTED).keys()
    assert {WANTED[sha256] for sha256 in missing} == {"train/03.jpg", "train/04.jpg"}


def test_an_id_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    outside.write_bytes(b"secret")
    sha256 = hashlib.sha256(b"secret").hexdigest()
    for real_id in ("../secret", str(outside), "a/../../secret", "\0"):
        assert find_images([root], {sha256: real_id}) == {}


@pytest.mark.parametrize("real_id", ["a pipe", "a pipe.tar", "a pipe.tar#b.png", "a pipe.parquet#row=000000000"])
def test_reading_does_not_wait_for_a_pipe(tmp_path: Path, real_id: str) -> None:
    for name in ("a pipe", "a pipe.tar", "a pipe.parquet"):
        os.mkfifo(tmp_path / name)
    assert find_images([tmp_path], {"0" * 64: real_id}) == {}
