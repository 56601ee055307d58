"""Containers of strangers: whatever is in them, one clear error, soon, and no memory of this process."""

import io
import os
import resource
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bounds import within
from tests.fuzzing import fuzzed
from workspace import containers
from workspace.containers import DamagedFileError, ParquetImages, Tar
from workspace.limited.process import LimitedProcess, Limits
from workspace.regular_file import NotRegularError, OutsideError

BLOCK = 512


def header(name: str, size: bytes, kind: bytes = b"0", data: bytes = b"") -> bytes:
    """A member whose field of the size has these twelve bytes."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT)[:BLOCK])
    block[124:136], block[156:157], block[148:156] = size, kind, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % BLOCK)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def negative(size: int) -> bytes:
    """A negative number in the binary form of large sizes."""
    return b"\xff" + (256**11 - size).to_bytes(11, "big")


def extended(records: bytes) -> bytes:
    return header("x", octal(len(records)), b"x", records)


def member(name: str, data: bytes) -> bytes:
    return header(name, octal(len(data)), data=data)


EMPTY, IMAGE = member("empty.txt", b""), member("a.jpg", b"an image")
LONG_NAME = header("././@LongLink", octal(10), b"L", b"long name\0")

ARCHIVES = {
    # The member before it is read again, for ever.
    "a negative size": EMPTY + header("b.jpg", negative(2 * BLOCK)),
    "a negative size in an extended header": IMAGE + extended(b"19 size=-99999999\n") + EMPTY,
    "a size beyond all numbers": extended(b"40 size=" + b"9" * 31 + b"\n") + IMAGE,
    "a number that is too long to be read": extended(b"9" * 5000 + b" size=1\n") + IMAGE,
    "no number": extended(b"12 size=abc\n") + IMAGE,
    "a chain of long names": IMAGE + LONG_NAME * 5000,
    "a name of gigabytes": IMAGE + header("././@LongLink", octal(7 << 30), b"L", b"x"),
    "a member beyond the end": IMAGE + header("b.jpg", octal(1 << 40)),
    "a damaged header in the middle": IMAGE + b"x" * BLOCK + IMAGE,
    "a name as long as a book": extended(b"9015 path=" + b"n" * 9004 + b"\n") + EMPTY,
}


@pytest.mark.attack
@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_hostile_archive_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.tar").write_bytes(ARCHIVES[kind] + bytes(2 * BLOCK))
    started = time.monotonic()
    with pytest.raises(DamagedFileError, match=r"not a whole, uncompressed tar archive: .") as refused:
        Tar(str(tmp_path / "a.tar"))
    assert "\n" not in str(refused.value.strerror)
    assert time.monotonic() - started < 20


def test_an_archive_without_its_end_mark_is_whole(tmp_path: Path) -> None:
    for end in (b"", bytes(BLOCK), bytes(100)):
        (tmp_path / "a.tar").write_bytes(IMAGE + member("b.jpg", b"another") + end)
        archive = Tar(str(tmp_path / "a.tar"))
        assert [archive.read(name) for name in archive.members] == [b"an image", b"another"]
        archive.close()


def test_links_and_devices_in_an_archive_are_named(tmp_path: Path) -> None:
    kinds = {"s.jpg": tarfile.SYMTYPE, "h.jpg": tarfile.LNKTYPE, "p.jpg": tarfile.FIFOTYPE, "d": tarfile.DIRTYPE}
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.jpg"
            tar.addfile(info)
        for name in ("a.jpg", "p.jpg"):  # of two members with one name the last counts
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    archive = Tar(str(tmp_path / "a.tar"))
    archive.close()
    assert archive.irregular == {"s.jpg": "a link in the archive", "h.jpg": "a link in the archive"}
    assert set(archive.members) == {"a.jpg", "p.jpg"}


Small = Callable[[Limits], None]


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """Opens containers within other limits."""
    started = []

    def limit(limits: Limits) -> None:
        def start() -> LimitedProcess:
            started.append(LimitedProcess("workspace.container_process", limits))
            return started[-1]

        monkeypatch.setattr(containers, "_PROCESSES", containers._Processes(start))

    yield limit
    for process in started:
        process.close()


@pytest.mark.attack
def test_a_large_value_in_a_dictionary_takes_no_memory_here(tmp_path: Path, limited: Small) -> None:
    """A file of kilobytes, in which sixteen rows are the same value of 45 MB: 700 MB when they are decoded."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 16), pa.array([b"x" * 45_000_000]))
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": values}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 100_000
    limited(Limits(memory=300 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    file = ParquetImages(str(path))
    with pytest.raises(DamagedFileError) as refused:
        file.read(0)
    file.close()
    assert "memory" in str(refused.value) or "the process that reads it" in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.attack
def test_a_process_that_takes_too_long_is_killed(tmp_path: Path, limited: Small) -> None:
    """Python's tarfile reads this header with an expression that takes the square of its length."""
    (tmp_path / "a.tar").write_bytes(extended(b"9" * 300_000) + IMAGE)
    limited(Limits(processor=0.4))
    with pytest.raises(DamagedFileError, match=r"took more than 0\.4 seconds of processor time"):
        Tar(str(tmp_path / "a.tar"))


def test_a_process_that_was_killed_by_accident_is_replaced(tmp_path: Path, limited: Small) -> None:
    pq.write_table(pa.table({"image": [b"a", b"b", b"c"]}), tmp_path / "a.parquet")
    limited(Limits())
    file = ParquetImages(str(tmp_path / "a.parquet"))
    assert file._process is not None
    os.kill(file._process.pid, 9)
    assert [file.read(row) for row in range(3)] == [b"a", b"b", b"c"]
    assert file._process is not None
    os.kill(file._process.pid, 9)
    with pytest.raises(DamagedFileError, match="the process that reads it was killed by signal 9"):
        file.read(0)
    file.close()


@pytest.mark.attack
@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_pipes_devices_and_links_out_are_no_containers(tmp_path: Path, suffix: str) -> None:
    kind = Tar if suffix == "tar" else ParquetImages
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / f"pipe.{suffix}")
    (source / f"device.{suffix}").symlink_to("/dev/zero")
    (tmp_path / "secret").write_bytes(b"x")
    (source / f"out.{suffix}").symlink_to("../secret")
    for name in ("pipe", "device"):
        with pytest.raises(NotRegularError):
            kind(f"{source}/{name}.{suffix}", within=source)
    with pytest.raises(OutsideError):
        kind(f"{source}/out.{suffix}", within=source)


@pytest.mark.attack
@pytest.mark.parametrize("name", ["../secret", "link.jpg", "/etc/hostname", "deep/../../secret"])
def test_a_path_in_a_row_stays_below_the_folder_of_its_file(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"hf_secret")
    (source / "link.jpg").symlink_to("../secret")
    (source / "deep/a.jpg").write_bytes(b"an image")
    rows = pa.array([{"bytes": None, "path": path} for path in ("deep/a.jpg", name)])
    pq.write_table(pa.table({"image": rows}), source / "a.parquet")
    file = ParquetImages(str(source / "a.parquet"))
    assert file.read(0) == b"an image"
    with pytest.raises(OutsideError):
        file.read(1)
    file.close()


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
@fuzzed(30)
@given(noise=st.binary(max_size=2000), at=st.integers(0, 1500))
def test_no_damage_raises_anything_but_an_error_of_the_file(tmp_path: Path, noise: bytes, at: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "tar":
        whole = IMAGE + extended(b"15 path=b.jpg\n") + EMPTY + bytes(1024)
    else:
        pq.write_table(pa.table({"image": [b"a" * 100, b"b"], "text": ["x", "y"]}), path)
        whole = path.read_bytes()
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    try:
        with within(seconds=5), closing(Tar(str(path)) if suffix == "tar" else ParquetImages(str(path))) as container:
            names = container.members if isinstance(container, Tar) else range(container.rows)
            for name in list(names)[:10]:
                container.read(name)
    except OSError:
        pass


IMAGES = [b"first image", b"second image"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(IMAGES, pa.binary_view()),
        pa.array(IMAGES, pa.large_binary()),
        pa.array(IMAGES).dictionary_encode(),
        pa.array([[image] for image in IMAGES]),
        pa.array([[{"bytes": image, "path": None}] for image in IMAGES]),
        pa.array([{"bytes": image, "path": "x.jpg"} for image in IMAGES]),
        pa.array([{"path": name} for name in ("1.jpg", "2.jpg")]),
        pa.array([{"bytes": None, "path": name} for name in ("1.jpg", "2.jpg")]),
        pa.array(["1.jpg", "2.jpg"]),
        pa.array(["1.jpg", "2.jpg"]).dictionary_encode(),
        pa.array(["Zmlyc3QgaW1hZ2U=", "c2Vjb25kIGltYWdl"]),
        pa.array(["data:image/jpeg;base64,Zmlyc3QgaW1hZ2U=", "data:image/png;base64,c2Vjb25k\nIGltYWdl"]),
    ],
    ids=lambda column: str(column.type),
)
def test_images_are_read_from_columns_of_every_kind(tmp_path: Path, column: pa.Array) -> None:
    (tmp_path / "1.jpg").write_bytes(IMAGES[0])
    (tmp_path / "2.jpg").write_bytes(IMAGES[1])
    pq.write_table(pa.table({"image": column, "text": ["a", "b"]}), tmp_path / "a.parquet")
    file = ParquetImages(str(tmp_path / "a.parquet"))
    assert file.image_columns == ["image"]
    assert [file.read(row) for row in range(2)] == IMAGES
    assert [file.read(row, "image") for row in range(2)] == IMAGES
    file.close()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, "the row has no image"),
        ([], "the row has no image"),
        ([b"a", b"b"], "the row has 2 images, and one is needed"),
    ],
)
def test_a_list_in_a_row_must_have_one_image(tmp_path: Path, value: object, error: str) -> None:
    pq.write_table(pa.table({"image": pa.array([value], pa.list_(pa.binary()))}), tmp_path / "a.parquet")
    file = ParquetImages(str(tmp_path / "a.parquet"))
    with pytest.raises(OSError, match=error):
        file.read(0)
    file.close()


@pytest.mark.attack
def test_rows_without_values_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.nulls(1_500_000, pa.binary())}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(DamagedFileError, match=r"1,500,000 rows in [0-9,]+ bytes"):
        ParquetImages(str(path))
