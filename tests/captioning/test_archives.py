"""Images inside tar archives and Parquet files: listed, described, and fetched again by their locators."""

import contextlib
import hashlib
import multiprocessing
import tarfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from captioning.captioner import Captioner
from captioning.copying import copy_images
from captioning.images import ImageFacts, UnusableImageError, fetch, read_image
from captioning.prompt import read_prompts
from captioning.prompt_parts import Captioning, caption_part, parts_of
from captioning.selection import select
from captioning.sources.source import Collection
from manifests.images import ImageReader
from tests.captioning.archives import sample, write_parquet, write_tar
from tests.captioning.oddities import encoded, picture
from tests.captioning.runs import caption_here
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace
from workspace.locator import Locator, LocatorReader, split_locator
from workspace.roots import record_roots

JPEGS = [encoded(picture(16 + number, 16), "JPEG") for number in range(30)]


def opened(path: Path) -> Collection:
    return select("x", path).collection


def captions(collection: Collection) -> dict[str, tuple[str, ...]]:
    """Of the images; what is listed as skipped is left out."""
    found = {}
    for real_id in collection.ids:
        with contextlib.suppress(UnusableImageError):
            found[real_id] = collection.image(real_id).captions
    return found


def refused(collection: Collection) -> dict[str, str]:
    """The reason of what is listed as skipped."""
    reasons = {}
    for real_id in collection.ids:
        try:
            collection.image(real_id)
        except UnusableImageError as error:
            reasons[real_id] = error.reason
    return reasons


def facts_of(path: Locator) -> ImageFacts:
    return read_image(path, content=fetch(path))[0]


def contents(collection: Collection) -> list[bytes]:
    reader = LocatorReader()
    return [reader.read(collection.image(real_id).path) for real_id in captions(collection)]


# Tar archives


def test_the_samples_of_an_archive_are_its_images_with_their_captions(tmp_path: Path) -> None:
    members = [
        *sample("000000000", JPEGS[0], "a cat", noted="not this one"),
        *sample("000000001", JPEGS[1], noted="a dog"),
        *sample("000000002", JPEGS[2]),
        ("deep/000000003.PNG", JPEGS[3]),
        ("deep/000000003.txt", b"a bird"),
        ("000000000.seg.png", JPEGS[4]),
        ("000000000.cls", b"7"),
        ("__MACOSX/._000000000.jpg", b"x"),
        ("__MACOSX/000000000.jpg", b"x"),
        (".hidden.jpg", b"x"),
    ]
    write_tar(tmp_path / "shards/00000.tar", members)
    write_tar(tmp_path / "shards/00001.tar", sample("000010000", JPEGS[5], "a fish"))
    (tmp_path / "shards/00000_stats.json").write_text("{}")
    write_parquet(tmp_path / "shards/00000.parquet", {"url": ["https://a.example"], "status": ["success"]})
    collection = opened(tmp_path)
    assert captions(collection) == {
        "shards/00000.tar#000000000.jpg": ("a cat",),
        "shards/00000.tar#000000001.jpg": ("a dog",),
        "shards/00000.tar#000000002.jpg": (),
        "shards/00000.tar#deep/000000003.PNG": ("a bird",),
        "shards/00001.tar#000010000.jpg": ("a fish",),
    }
    assert refused(collection) == {"shards/00000.tar#000000000.seg.png": "field"}
    assert contents(collection) == [*JPEGS[:4], JPEGS[5]]
    assert captions(opened(tmp_path / "shards/00001.tar")) == {"00001.tar#000010000.jpg": ("a fish",)}


def test_of_two_members_with_one_name_the_last_is_read_as_when_unpacked(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("1.jpg", JPEGS[0]), ("1.txt", b"old"), ("1.jpg", JPEGS[1]), ("1.txt", b"new")])
    collection = opened(tmp_path)
    assert captions(collection) == {"a.tar#1.jpg": ("new",)}
    assert contents(collection) == [JPEGS[1]]


@pytest.mark.parametrize("damage", ["cut", "compressed", "text", "empty", "no images"])
def test_an_archive_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = write_tar(tmp_path / "00000.tar", sample("1", b"x" * 5000))
    whole = path.read_bytes()
    if damage == "compressed":
        with tarfile.open(path, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("a.jpg"))
    elif damage == "no images":
        write_tar(path, {"a.txt": b"x", "b.json": b"{}"})
    else:
        path.write_bytes({"cut": whole[:3000], "text": b"not a tar\n" * 200, "empty": b""}[damage])
    with pytest.raises(
        UsageError, match=r"--source x: .*" + ("" if damage == "no images" else r"00000\.tar")
    ) as refused:
        opened(tmp_path)
    assert "\n" not in str(refused.value)


# Parquet files


def test_the_rows_of_parquet_files_are_images_in_their_order(tmp_path: Path) -> None:
    texts = [f"picture {number}" for number in range(25)]
    write_parquet(tmp_path / "data/train-0.parquet", {"image": JPEGS[:25], "TEXT": texts}, group=10)
    write_parquet(tmp_path / "data/train-1.parquet", {"image": JPEGS[25:30], "label": [1, 2, 3, 4, 5]})
    collection = opened(tmp_path)
    assert list(collection.ids)[9:12] == [f"data/train-0.parquet#row={row:09d}" for row in (9, 10, 11)]
    assert list(captions(collection).values()) == [(text,) for text in texts] + [()] * 5
    assert contents(collection) == JPEGS


def test_img2datasets_parquet_has_bytes_and_rows_that_were_not_downloaded(tmp_path: Path) -> None:
    columns = {"key": ["0", "1", "2"], "jpg": [JPEGS[0], None, b""], "caption": ["a cat", None, "a dog"]}
    collection = opened(write_parquet(tmp_path / "00000.parquet", columns))
    assert list(captions(collection).values()) == [("a cat",), (), ("a dog",)]
    images = [collection.image(real_id).path for real_id in collection.ids]
    assert facts_of(images[0]).sha256 == hashlib.sha256(JPEGS[0]).hexdigest()
    reasons = []
    for path in images[1:]:
        with pytest.raises(UnusableImageError) as raised:
            facts_of(path)
        reasons.append(raised.value.reason)
    assert reasons == ["missing", "empty"]


def test_several_captions_of_a_row_are_all_kept(tmp_path: Path) -> None:
    columns = {"image": JPEGS[:2], "captions": [["one", "two"], []]}
    assert list(captions(opened(write_parquet(tmp_path / "a.parquet", columns))).values()) == [("one", "two"), ()]


def test_rows_are_found_in_any_order(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", {"image": JPEGS}, group=20)
    reader = LocatorReader()
    for row in [29, 0, 19, 20, 5, 4, 6, 29, 28, 0]:
        assert reader.read(f"{tmp_path}/a.parquet#row={row}") == JPEGS[row]
    for outside in (30, 10**15):
        with pytest.raises(FileNotFoundError):
            reader.read(f"{tmp_path}/a.parquet#row={outside}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [b"x"], "b": [b"y"]}, r"several columns of bytes \(a, b\)"),
        ({"image": []}, "have no rows"),
        ({"url": ["x"]}, "holds no images"),
    ],
)
def test_parquet_files_that_hold_no_images_are_refused(
    tmp_path: Path, columns: dict[str, list[bytes]], message: str
) -> None:
    if columns == {"image": []}:
        write_parquet(tmp_path / "one.parquet", {"image": JPEGS[:1]})
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(tmp_path / "one.parquet").slice(0, 0), tmp_path / "one.parquet")
    else:
        write_parquet(tmp_path / "one.parquet", columns)
    with pytest.raises(UsageError, match=message):
        opened(tmp_path)


def test_a_damaged_parquet_file_is_refused_or_its_rows_are_skipped(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"image": JPEGS})
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(UsageError, match=r"a\.parquet"):
        opened(tmp_path)
    path.write_bytes(whole[:4] + b"\xff" * 2000 + whole[2004:])
    for real_id in opened(tmp_path).ids:
        with pytest.raises(UnusableImageError) as raised:
            facts_of(tmp_path / real_id)
        assert raised.value.reason == "broken"


def test_a_folder_that_holds_images_in_two_ways_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", sample("1", JPEGS[0]))
    (tmp_path / "b.jpg").write_bytes(JPEGS[1])
    with pytest.raises(UsageError, match=r"a\.tar.*b\.jpg"):
        opened(tmp_path)


# Locators


def test_a_file_is_a_file_whatever_its_name_looks_like(tmp_path: Path) -> None:
    for name in ("a.tar#b.jpg", "a.parquet#row=000000001", "c#d.jpg", "e.parquet#f.jpg"):
        (tmp_path / name).write_bytes(JPEGS[0])
        assert split_locator(tmp_path / name) is None
        assert facts_of(tmp_path / name).sha256 == hashlib.sha256(JPEGS[0]).hexdigest()
    assert split_locator(tmp_path / "gone.tar#x") == (f"{tmp_path}/gone.tar", "x")
    assert split_locator("/x/e.parquet#f.jpg") is None


def test_forked_workers_and_threads_read_the_right_bytes(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [(f"{number:02d}.jpg", content) for number, content in enumerate(JPEGS)])
    write_parquet(tmp_path / "a.parquet", {"image": JPEGS}, group=7)
    locators = [f"{tmp_path}/a.tar#{n:02d}.jpg" for n in range(30)] + [
        f"{tmp_path}/a.parquet#row={n:09d}" for n in range(30)
    ]
    assert [hash_of(locator) for locator in locators[::9]] == [
        hashlib.sha256((JPEGS * 2)[n]).hexdigest() for n in range(0, 60, 9)
    ]
    wanted = [hashlib.sha256(content).hexdigest() for content in JPEGS * 2] * 4
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as processes:
        assert list(processes.map(hash_of, locators * 4)) == wanted
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(hash_of, locators * 4)) == wanted


def hash_of(locator: str) -> str:
    return facts_of(locator).sha256


def test_the_manifest_reads_the_bytes_that_a_prompt_points_to(tmp_path: Path) -> None:
    write_tar(tmp_path / "tars/a.tar", sample("1", JPEGS[0], "a cat on a mat"))
    write_parquet(tmp_path / "rows/a.parquet", {"image": JPEGS[:3], "text": ["a dog", "two dogs", "three dogs"]})
    caption_here(tmp_path / "w", {"t": tmp_path / "tars", "r": tmp_path / "rows"})
    workspace = Workspace.open(tmp_path / "w")
    prompts = read_prompts(workspace)
    assert [prompt.prompt for prompt in prompts] == ["a dog", "two dogs", "three dogs", "a cat on a mat"]
    images = ImageReader(workspace)
    for prompt in prompts:
        content = images.read(prompt.real_path)
        assert hashlib.sha256(content).hexdigest() == prompt.real_sha256
        assert images.size(prompt.real_path) == len(content)


# Copies


def test_copies_have_the_same_bytes_and_prompts_point_to_them(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name in ("a.jpg", "b.JPEG", "twin of a.jpg"):
        (tmp_path / "files" / name).write_bytes(JPEGS["ab".index(name[0]) if name[0] in "ab" else 0])
        (tmp_path / "files" / name).with_suffix(".txt").write_text(f"file {name[0]}")
    write_tar(tmp_path / "tars/a.tar", sample("1", JPEGS[2], "a cat"))
    sources = {"f": tmp_path / "files", "t": tmp_path / "tars"}
    for shard in ("1/2", "2/2"):
        caption_here(tmp_path / "w", sources, copy=True, shard=shard)
    workspace = Workspace.open(tmp_path / "w")
    prompts = read_prompts(workspace)
    kept = sorted(path.relative_to(workspace.root).as_posix() for path in workspace.root.glob("real/*/*/*"))
    assert sorted({prompt.real_path for prompt in prompts}) == kept
    assert len(kept) == 3
    with pytest.raises(UsageError, match="copy was True, now unset"):
        caption_here(tmp_path / "w", sources)
    (tmp_path / "files").rename(tmp_path / "gone")
    images = ImageReader(workspace)
    assert all(hashlib.sha256(images.read(p.real_path)).hexdigest() == p.real_sha256 for p in prompts)


def test_an_image_that_changed_before_it_was_copied_ends_the_run(tmp_path: Path) -> None:
    root = tmp_path / "files"
    root.mkdir()
    (root / "a.jpg").write_bytes(JPEGS[0])
    (root / "a.txt").write_text("a cat")
    (prompt,) = caption_part(parts_of([select("f", root)], 1)[0], Captioning("x@1", never, 1), lambda: None).prompts
    for damage, message in ((lambda path: path.write_bytes(JPEGS[1]), "changed while"), (Path.unlink, "No such file")):
        damage(root / "a.jpg")
        workspace = Workspace.open(tmp_path / "w")
        record_roots(workspace, {"f": root})
        with pytest.raises(CommunityForensicsError, match=message) as refused:
            copy_images(workspace, [prompt])
        assert str(root / "a.jpg") in str(refused.value)
        assert "run the same command again" in str(refused.value)


def never() -> Captioner:
    raise AssertionError("the captioner was loaded for an image that has a caption")
