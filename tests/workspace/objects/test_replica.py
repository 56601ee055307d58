"""The folder and the bucket: what is brought, what is sent, and what is never overwritten."""

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.s3 import S3
from workspace.errors import ChangedElsewhereError, UsageError
from workspace.layout import Needs, Workspace
from workspace.objects.bucket import Bucket
from workspace.objects.hollow import write_hollow
from workspace.objects.replica import Replica
from workspace.objects.workspace import ObjectWorkspace
from workspace.opening import opened

GENERATOR = "org/name"


def _replica(bucket: Bucket, folder: Path) -> Replica:
    folder.mkdir(exist_ok=True)
    return Replica(bucket, folder)


def _part(path: Path, images: int = 4, size: int = 300_000) -> pa.Table:
    """A part as large as its images, with random bytes that nothing compresses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [
        {"bytes": (bytes([number]) * 7 + path.name.encode()) * (size // 20), "path": f"{number}.png"}
        for number in range(images)
    ]
    table = pa.table(
        {"index": list(range(images)), "image": pictures, "sha256": [str(number) for number in range(images)]}
    )
    plain = {"image.bytes": "none", "index": "zstd", "image.path": "zstd", "sha256": "zstd"}
    pq.write_table(table, path, compression=plain, use_dictionary=["sha256"], write_page_checksum=True)
    return table


def test_all_columns_but_the_image_bytes_are_read_from_a_hollow_part(tmp_path: Path) -> None:
    table = _part(tmp_path / "whole.parquet")
    content, read = (tmp_path / "whole.parquet").read_bytes(), []

    def ranges(wanted: "list[tuple[int, int]]") -> list[bytes]:
        read.extend(end - start for start, end in wanted)
        return [content[start:end] for start, end in wanted]

    write_hollow(tmp_path / "hollow.parquet", len(content), ranges)  # type: ignore[arg-type]
    with pq.ParquetFile(tmp_path / "hollow.parquet", page_checksum_verification=True) as file:
        columns = ["index", "image.path", "sha256"]
        assert file.read(columns) == pq.ParquetFile(tmp_path / "whole.parquet").read(columns)
        with pytest.raises(OSError, match="page header"):
            file.read(["image.bytes"])
    assert (tmp_path / "hollow.parquet").stat().st_size == len(content)
    assert sum(read) < len(content) / 2
    assert table.num_rows == 4


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"x" * 100_000, b"PAR1" + b"\xff" * 70_000 + b"\xff\xff\xff\x7fPAR1"]
)
def test_what_is_no_part_is_written_for_its_reader_to_find(content: bytes, tmp_path: Path) -> None:
    write_hollow(tmp_path / "a", len(content), lambda wanted: [content[start:end] for start, end in wanted])
    assert (tmp_path / "a").stat().st_size == len(content)


def test_a_generator_is_the_same_on_another_node_hollow_or_whole(s3: S3, tmp_path: Path) -> None:
    bucket = Bucket(s3.address())
    here, there = tmp_path / "here", tmp_path / "there"
    first, second = _replica(bucket, here), _replica(bucket, there)
    part = Workspace(here).samples_of(GENERATOR) / "part-00000.parquet"
    _part(part)
    first.send(GENERATOR)
    second.bring(GENERATOR, whole=False)
    other = there / part.relative_to(here)
    assert other.stat().st_size == part.stat().st_size
    assert other.read_bytes() != part.read_bytes()
    second.send(GENERATOR)
    second.bring(GENERATOR, whole=True)
    assert other.read_bytes() == part.read_bytes()
    part.unlink()
    first.send(GENERATOR)
    second.bring(GENERATOR, whole=True)
    assert not other.exists()


def test_what_another_node_has_written_is_not_overwritten(s3: S3, tmp_path: Path) -> None:
    bucket = Bucket(s3.address())
    folders = [tmp_path / "here", tmp_path / "there"]
    replicas = [_replica(bucket, folder) for folder in folders]
    parts = [Workspace(folder).samples_of(GENERATOR) / "part-00000.parquet" for folder in folders]
    _part(parts[0])
    replicas[0].send(GENERATOR)
    _part(parts[1], images=5)
    with pytest.raises(ChangedElsewhereError):
        replicas[1].send(GENERATOR)
    replicas[1].bring(GENERATOR, whole=True)
    assert parts[1].read_bytes() == parts[0].read_bytes()
    recipes = [Workspace(folder).recipe for folder in folders]
    recipes[0].write_text("[crawl]\n")
    replicas[0].send_others()
    recipes[1].write_text("[caption]\n")
    with pytest.raises(ChangedElsewhereError):
        replicas[1].send_others()


def test_journals_that_others_put_into_a_part_while_they_are_read_are_looked_for_again(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(s3.address())
    bucket.create("samples/org--name/journal-00000000-ab", b"rows")
    before = bucket.listing("samples/org--name/")
    bucket.create("samples/org--name/part-00000.parquet", b"the same rows")
    bucket.remove("samples/org--name/journal-00000000-ab")
    looks, listing = [before, before], bucket.listing
    monkeypatch.setattr(
        bucket, "listing", lambda prefix: looks.pop() if looks and "samples" in prefix else listing(prefix)
    )
    _replica(bucket, tmp_path / "node").bring(GENERATOR, whole=True)
    (only,) = Workspace(tmp_path / "node").samples_of(GENERATOR).iterdir()
    assert (only.name, looks) == ("part-00000.parquet", [])


def test_what_a_killed_process_left_in_its_folder_goes_when_the_next_one_begins(s3: S3, tmp_path: Path) -> None:
    bucket = Bucket(s3.address())
    killed = _replica(bucket, tmp_path / "node")
    Workspace(tmp_path / "node").recipe.write_text("[crawl]\n")
    killed.send_others()
    _part(Workspace(tmp_path / "node").samples_of(GENERATOR) / "part-00000.parquet")
    (tmp_path / "node" / ".crawl").mkdir()
    _replica(bucket, tmp_path / "node").bring_all()
    assert Workspace(tmp_path / "node").recipe.read_text() == "[crawl]\n"
    assert not list((tmp_path / "node").rglob("*.parquet"))
    assert (tmp_path / "node" / ".crawl").exists()


def test_the_logs_of_all_processes_are_one_for_the_status(s3: S3, tmp_path: Path) -> None:
    bucket = Bucket(s3.address())
    reader = _replica(bucket, tmp_path / "login")
    for number, node in enumerate(("one", "two")):
        replica = _replica(bucket, tmp_path / node)
        log = tmp_path / node / "logs" / "sample-1-of-1.jsonl"
        log.parent.mkdir()
        for line in range(2):
            with log.open("a") as file:
                file.write(json.dumps({"node": number, "line": line}) + "\n")
            replica.send_others()
            reader.bring_all(logs=True)
    seen = [json.loads(line) for line in (tmp_path / "login" / "logs" / log.name).read_text().splitlines()]
    assert [(one["node"], one["line"]) for one in seen] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_two_commands_of_a_node_have_folders_of_their_own_and_the_next_one_brings_nothing_again(s3: S3) -> None:
    address = s3.address()
    with opened(address) as first, opened(address) as second:
        assert first.root != second.root
        first.catalog.write_bytes(b"catalogue")
    with opened(address, Needs(writes=False)) as third:
        assert third.root in (first.root, second.root)
        assert third.catalog.read_bytes() == b"catalogue"
        before = third.catalog.stat().st_ino
    with opened(address, Needs(writes=False)) as fourth:
        assert (fourth.root, fourth.catalog.stat().st_ino) == (third.root, before)


def test_a_workspace_of_a_bucket_is_refused_to_other_processes(s3: S3) -> None:
    with opened(s3.address()) as space:
        assert isinstance(space, ObjectWorkspace)
        with pytest.raises(UsageError, match="belongs to one process"):
            pickle.dumps(space)
    with pytest.raises(UsageError, match="give the address to the function"):
        Workspace.open(s3.address())
