"""A locator says where the bytes of an image are: a file, a member of a tar archive, a row of a Parquet file."""

import errno
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localhub.process import HubProcess
from tests.hubs import DATE, fill, hub  # noqa: F401
from workspace.containers import ParquetImages, Tar
from workspace.errors import HubError
from workspace.hub_access import HubAccess
from workspace.locator import LocatorReader, is_plain_file, process_reader, row_locator, split_locator

Opened = Callable[[str], ParquetImages]
#: More rows than are decoded at once, in several row groups of different sizes.
IMAGES = [f"image {number}".encode() * (number + 1) for number in range(100)]
GROUP = 37


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        add(archive, "0.jpg", b"former")
        add(archive, "folder/1.jpg", b"one")
        add(archive, "0.jpg", b"zero")
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "0.jpg"
        archive.addfile(link)
    return tmp_path / "images.tar"


def write_parquet(path: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=GROUP, compression="none", use_dictionary=False)
    return path


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    images = pa.array([{"bytes": image, "path": f"{number}.jpg"} for number, image in enumerate(IMAGES)])
    return write_parquet(tmp_path / "images.parquet", image=images, label=pa.array(range(len(IMAGES))))


@pytest.mark.parametrize(
    ("locator", "inside"),
    [
        ("/data/0.jpg", None),
        ("/data/a.tar", None),
        ("/data/a.tar#", None),
        ("/data/a.tar.gz#0.jpg", None),
        ("/data/a.tar#0.jpg", ("/data/a.tar", "0.jpg")),
        ("/data/a.TAR#b.tar#0.jpg", ("/data/a.TAR", "b.tar#0.jpg")),
        ("/data/a.tar#line\nfeed.jpg", ("/data/a.tar", "line\nfeed.jpg")),
        ("/data/a.parquet#row=000000012", ("/data/a.parquet", "row=000000012")),
        ("/data/a.parquet#12", None),
        ("/data/a.parquet#row=x", None),
        ("/data/a.parquet#row=1x", None),
        ("hf://datasets/org/name@main/a.parquet#row=1", ("hf://datasets/org/name@main/a.parquet", "row=1")),
    ],
)
def test_a_locator_is_a_container_and_what_is_inside_or_a_plain_file(
    locator: str, inside: tuple[str, str] | None
) -> None:
    assert split_locator(locator) == inside
    assert is_plain_file(locator) == (inside is None)


def test_a_file_on_the_hub_is_no_plain_file() -> None:
    assert split_locator("hf://datasets/org/name@main/0.jpg") is None
    assert not is_plain_file("hf://datasets/org/name@main/0.jpg")


def test_a_file_with_the_name_of_a_locator_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "a.tar#0.jpg"
    odd.write_bytes(b"of its own")
    dangling = tmp_path / "b.tar#0.jpg"
    dangling.symlink_to(tmp_path / "nowhere")
    assert is_plain_file(odd)
    assert is_plain_file(dangling)
    assert LocatorReader().read(odd) == b"of its own"


def test_rows_have_names_that_sort_as_they_do() -> None:
    assert [row_locator(row) for row in (2, 10, 10**9)] == ["row=000000002", "row=000000010", "row=1000000000"]


def test_bytes_and_sizes_of_files_members_and_rows(tmp_path: Path, tar: Path, parquet: Path) -> None:
    (tmp_path / "plain.jpg").write_bytes(b"plain")
    expected = {
        str(tmp_path / "plain.jpg"): b"plain",
        f"{tar}#0.jpg": b"zero",
        f"{tar}#folder/1.jpg": b"one",
        f"{parquet}#row=99": IMAGES[99],
    }
    reader = LocatorReader()
    assert {locator: reader.read(locator) for locator in expected} == expected
    assert {locator: reader.size(locator) for locator in expected} == {name: len(b) for name, b in expected.items()}


def test_rows_are_read_in_any_order(parquet: Path) -> None:
    order = [0, 1, 15, 16, 17, 36, 37, 38, 99, 74, 73, 0, 50, 50, 36, 90]
    reader = LocatorReader()
    assert [reader.read(f"{parquet}#{row_locator(row)}") for row in order] == [IMAGES[row] for row in order]
    assert reader.values(str(parquet), 98, ["label", "image.path"]) == {"label": 98, "image": {"path": "98.jpg"}}


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens Parquet files, which are closed after the test."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(ParquetImages(path)))


def test_columns_of_images_are_bytes_or_structs_with_bytes(tmp_path: Path, opened: Opened) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", picture=pa.array([b"a", None], pa.large_binary()), text=pa.array(["x", "y"])
    )
    images = opened(str(path))
    assert (images.rows, images.image_columns) == (2, ["picture"])
    assert images.columns == ["picture", "text"]
    assert images.read(0) == b"a"
    with pytest.raises(FileNotFoundError, match="has no image"):
        images.read(1)
    several = {"left": pa.array([b"l"]), "right": pa.array([b"r"])}
    with pytest.raises(OSError, match="columns that may hold images: left, right"):
        opened(str(write_parquet(tmp_path / "b.parquet", **several))).read(0)
    named = opened(str(write_parquet(tmp_path / "c.parquet", **several, image=pa.array([b"i"]))))
    assert named.read(0) == b"i"
    with pytest.raises(OSError, match="no column holds images"):
        opened(str(write_parquet(tmp_path / "d.parquet", text=pa.array(["x"])))).read(0)
    nested = pa.array([{"bytes": "text", "path": "x"}])
    assert opened(str(write_parquet(tmp_path / "e.parquet", image=nested))).image_columns == []


@pytest.mark.parametrize("row", [100, 10**17])
def test_a_row_beyond_the_last_is_missing(parquet: Path, row: int) -> None:
    with pytest.raises(FileNotFoundError, match="fewer rows"):
        LocatorReader().read(f"{parquet}#row={row}")
    with pytest.raises(FileNotFoundError, match="fewer rows"):
        LocatorReader().values(str(parquet), -1, ["label"])


@pytest.mark.parametrize("member", ["none.jpg", "link.jpg", "folder"])
def test_a_member_that_is_no_regular_file_is_missing(tar: Path, member: str) -> None:
    reader = LocatorReader()
    for call in (reader.read, reader.size):
        with pytest.raises(FileNotFoundError, match="no such member"):
            call(f"{tar}#{member}")


def test_damage_is_an_error_that_names_the_file(tmp_path: Path, tar: Path, parquet: Path) -> None:
    for path, locator in ((tar, f"{tar}#0.jpg"), (parquet, f"{parquet}#row=0")):
        path.write_bytes(b"neither of both" * 1000)
        with pytest.raises(OSError, match="not a whole") as raised:
            LocatorReader().read(locator)
        assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(path))


def test_a_truncated_archive_is_damaged(tar: Path) -> None:
    archive = Tar(str(tar))
    offset, size = archive.members["0.jpg"]
    with tar.open("r+b") as file:
        file.truncate(offset + size - 1)
    with pytest.raises(OSError, match="truncated") as raised:
        archive.read("0.jpg")
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(tar))
    archive.close()


def test_after_a_damaged_row_others_are_read(parquet: Path, opened: Opened) -> None:
    images = opened(str(parquet))
    content = parquet.read_bytes()
    place = content.index(IMAGES[40][:50])
    with parquet.open("r+b") as file:
        # An impossible length of a value.
        file.seek(place - 4)
        file.write(b"\xff\xff\xff\x7f")
    with pytest.raises(OSError, match="Invalid or truncated") as raised:
        images.read(40)
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, str(parquet))
    assert images.read(0) == IMAGES[0]


def open_files(name: str) -> int:
    links = list(Path("/proc/self/fd").iterdir())
    return sum(1 for link in links if link.is_symlink() and name in str(link.readlink()))


def test_the_containers_used_last_stay_open_and_no_more(tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        with tarfile.open(tmp_path / f"kept-{number}.tar", "w") as archive:
            add(archive, "0.jpg", b"%d" % number)
        paths.append(tmp_path / f"kept-{number}.tar")
    reader = LocatorReader()
    for path in paths[:4]:
        reader.read(f"{path}#0.jpg")
    assert open_files("kept-") == 4
    reader.read(f"{paths[0]}#0.jpg")
    reader.read(f"{paths[4]}#0.jpg")
    assert [open_files(path.name) for path in paths] == [1, 0, 1, 1, 1, 0]
    del reader
    assert open_files("kept-") == 0


def test_a_replaced_container_is_opened_again(tar: Path) -> None:
    reader = LocatorReader()
    assert reader.read(f"{tar}#0.jpg") == b"zero"
    other = tar.with_name("other")
    with tarfile.open(other, "w") as archive:
        add(archive, "0.jpg", b"now another")
    other.replace(tar)
    assert reader.read(f"{tar}#0.jpg") == b"now another"


def test_a_file_that_is_no_parquet_file_has_no_columns(tar: Path) -> None:
    with pytest.raises(OSError, match="not a Parquet file") as raised:
        LocatorReader().values(str(tar), 0, ["label"])
    assert (raised.value.errno, raised.value.filename) == (errno.EINVAL, str(tar))


def test_a_container_that_cannot_be_opened_leaves_no_open_file(tmp_path: Path) -> None:
    for name in ("damaged.tar", "damaged.parquet"):
        (tmp_path / name).write_bytes(b"x" * 2000)
        with pytest.raises(OSError, match="not a whole"):
            (Tar if name.endswith("tar") else ParquetImages)(str(tmp_path / name))
    assert open_files("damaged.") == 0


def test_closing_closes_the_file(tar: Path, parquet: Path) -> None:
    containers = [Tar(str(tar)), ParquetImages(str(parquet))]
    assert open_files(str(tar.parent)) == 2
    for container in containers:
        container.close()
    assert open_files(str(tar.parent)) == 0


def test_one_process_has_one_reader_for_each_hub() -> None:
    assert process_reader(HubAccess()) is process_reader(HubAccess())
    assert process_reader(HubAccess()) is not process_reader(HubAccess("http://127.0.0.1:1"))


def test_locators_of_a_hub_are_read_from_the_hub_that_is_named(
    hub: HubProcess,  # noqa: F811
    tar: Path,
    parquet: Path,
) -> None:
    files = {"a.tar": tar.read_bytes(), "a.parquet": parquet.read_bytes(), "0.jpg": b"plain"}
    commit = fill(hub.directory, "org/name", files, kind="dataset")
    reader = LocatorReader(HubAccess(hub.endpoint))
    root = f"hf://datasets/org/name@{commit}"
    assert reader.read(f"{root}/a.tar#0.jpg") == b"zero"
    assert reader.read(f"{root}/a.parquet#row=7") == IMAGES[7]
    assert reader.read(f"{root}/0.jpg") == b"plain"
    assert reader.size(f"{root}/0.jpg") == 5
    with pytest.raises(FileNotFoundError):
        reader.read(f"{root}/none.jpg")


def test_a_hub_that_fails_is_not_taken_for_a_damaged_file(hub: HubProcess, tar: Path) -> None:  # noqa: F811
    files = {"a.tar": tar.read_bytes(), "a.parquet": b"PAR1" * 10, "b.tar": b"no tar"}
    commit = fill(hub.directory, "org/name", files, kind="dataset")
    root = f"hf://datasets/org/name@{commit}"
    with pytest.raises(OSError, match="not a whole") as raised:
        LocatorReader(HubAccess(hub.endpoint)).read(f"{root}/b.tar#0.jpg")
    assert raised.value.errno == errno.EIO
    # A status that the client does not retry.
    hub.fail("status", path="/resolve/", status=400)
    for locator in (f"{root}/a.tar#0.jpg", f"{root}/a.parquet#row=0", f"{root}/a.tar"):
        with pytest.raises(
            HubError, match=r"a\.(tar|parquet) cannot be fetched .* run the same command again"
        ) as failed:
            LocatorReader(HubAccess(hub.endpoint)).read(locator)
        assert "\n" not in str(failed.value)
    with pytest.raises(HubError):
        LocatorReader(HubAccess(hub.endpoint)).size(f"{root}/a.tar#0.jpg")
