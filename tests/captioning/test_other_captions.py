"""Captions in JSON documents, in the other texts of an archive's example, and of images whose paths a table has."""

import io
import json
import re
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.caption_text import not_a_caption
from captioning.selection import select
from captioning.sources.caption_documents import rows_of
from captioning.sources.columns import Columns
from captioning.sources.source import Collection
from tests.captioning.archives import write_parquet, write_tar
from tests.captioning.oddities import encoded, picture
from workspace.errors import UsageError
from workspace.locator import LocatorReader

JPEG = encoded(picture(), "JPEG")


def opened(root: Path, columns: Columns = Columns()) -> Collection:
    return select("x", root, columns=columns).collection


def captions(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {real_id: collection.image(real_id).captions for real_id in collection.ids}


def folder(root: Path, *images: str, **texts: str) -> Path:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(JPEG)
    for name, text in texts.items():
        (root / f"{name}.json").write_text(text)
    return root


KARPATHY = {"images": [{"filename": "a.jpg", "filepath": "deep", "sentences": [{"raw": "one"}, {"raw": "two"}]}]}
COCO = {
    "images": [{"id": 1, "file_name": "deep/a.jpg"}, {"id": "2", "file_name": "b.jpg"}],
    "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": "1", "caption": "two"}, {"image_id": 9}],
}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("dataset_flickr8k", KARPATHY),
        ("dataset", KARPATHY),
        ("captions_val2014", COCO),
        ("captions", {"deep/a.jpg": ["one", "two"], "other.jpg": "none"}),
        ("captions", [{"file_name": "a.jpg", "caption": "one"}, {"file_name": "a.jpg", "caption": "two"}, 7]),
        ("metadata", {"a.jpg": {"caption": ["one", "two"], "seed": 7}}),
    ],
)
def test_a_json_document_has_the_captions_of_many_images(tmp_path: Path, name: str, document: object) -> None:
    collection = opened(folder(tmp_path, "deep/a.jpg", "b.jpg", **{name: "\ufeff" + json.dumps(document)}))
    assert captions(collection) == {"b.jpg": (), "deep/a.jpg": ("one", "two")}
    assert collection.remarks == []


@pytest.mark.parametrize("text", ["", "[", "[[]]", "7", '{"version": 1}', "[" * 10_000, '[{"a": 1}]', "null"])
def test_a_json_document_that_is_not_understood_is_named_or_refused_in_one_line(tmp_path: Path, text: str) -> None:
    root = folder(tmp_path, "a.jpg", captions=text)
    try:
        (line,) = opened(root, Columns(caption="words")).remarks
    except UsageError as error:
        line = str(error)
    assert "captions.json" in line
    assert "\n" not in line


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_document_has_rows_or_none(document: object) -> None:
    assert all(isinstance(row, dict) for row in rows_of(document))


def test_side_files_in_upper_case_are_read(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.JPG", "b.jpg")
    (root / "a.TXT").write_text("a cat")
    (root / "b.jpg.Caption").write_text("a dog")
    assert captions(opened(root)) == {"a.JPG": ("a cat",), "b.jpg": ("a dog",)}
    members = {"a.JPG": JPEG, "a.TXT": b"a cat"}
    assert list(captions(opened(write_tar(tmp_path / "tars/0.tar", members).parent)).values()) == [("a cat",)]


def test_texts_that_no_image_has_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path, "images/a.jpg", "images/b.png")
    for name in ("images/a.txt", "images/b.png.caption", "captions/a.TXT", "labels/a.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("a cat")
    assert opened(root).remarks == ["texts with the name of no image are not read: 2, such as 'captions/a.TXT'"]


@pytest.mark.parametrize("header", ["file_name;text", "file_name,text", "file_name|text"])
def test_a_table_of_any_spreadsheet_is_read(tmp_path: Path, header: str) -> None:
    delimiter = header[len("file_name")]
    text = f"a cat{delimiter} and a dog" if delimiter != "|" else "a cat, and a dog"
    (folder(tmp_path, "a.jpg") / "metadata.csv").write_text(f"{header}\na.jpg{delimiter}{text}\n")
    assert captions(opened(tmp_path)) == {"a.jpg": (text,)}


TABLE_OF_IMAGE_FOLDER = {"file_name": ["a.jpg", "deep/b.jpg"], "text": [["a cat", "two cats"], ["a dog"]]}


def test_the_parquet_table_of_an_image_folder_is_read(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.jpg", "deep/b.jpg")
    write_parquet(root / "metadata.parquet", TABLE_OF_IMAGE_FOLDER)
    assert captions(opened(root)) == {"a.jpg": ("a cat", "two cats"), "deep/b.jpg": ("a dog",)}
    (root / "metadata.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(UsageError, match=r"metadata\.parquet cannot be read \(not a whole Parquet file"):
        opened(root)


def test_a_table_in_utf_16_is_read(tmp_path: Path) -> None:
    (folder(tmp_path, "a.jpg") / "metadata.csv").write_bytes("file_name,text\na.jpg,a caf\u00e9\n".encode("utf-16"))
    assert captions(opened(tmp_path)) == {"a.jpg": ("a caf\u00e9",)}


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_of_another_name_is_read_where_its_captions_are_certain_and_named_otherwise(
    tmp_path: Path, kind: str
) -> None:
    root = folder(tmp_path, "a.jpg")

    def write(column: str) -> None:
        text = {"csv": f"file_name,{column}\na.jpg,a cat\n", "tsv": f"file_name\t{column}\na.jpg\ta cat\n"}
        if kind == "parquet":
            write_parquet(root / "annotations.parquet", {"file_name": ["a.jpg"], column: ["a cat"]})
        else:
            text["jsonl"] = json.dumps({"file_name": "a.jpg", column: "a cat"})
            (root / f"annotations.{kind}").write_text(text[kind])

    write("Caption")
    assert (captions(opened(root)), opened(root).remarks) == ({"a.jpg": ("a cat",)}, [])
    write("text")  # which may be what is written in the picture
    (remark,) = opened(root).remarks
    assert f"are not read: 1, such as 'annotations.{kind}' with file_name, text: --caption-column names" in remark
    assert captions(opened(root)) == {"a.jpg": ()}
    assert captions(opened(root, Columns(caption="text"))) == {"a.jpg": ("a cat",)}


def test_a_table_of_another_kind_says_nothing(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.jpg")
    for name, text in {"x.csv": "\n", "y.jsonl": "[", "v.tsv": "id\tprice\n1\t2\n"}.items():
        (root / name).write_text(text)
    (root / "00000_stats.json").write_text("{}")
    assert opened(root).remarks == []
    (root / "annotations.json").write_text("{}")
    assert opened(root).remarks == ["texts with the name of no image are not read: 1, such as 'annotations.json'"]


@pytest.mark.parametrize(
    "text", ["images/a.JPG", "d41d8cd98f00b204e9800998ecf8427e", "123e4567-e89b-12d3-a456-426614174000"]
)
def test_a_name_of_a_file_or_a_hash_is_no_caption(text: str) -> None:
    assert not_a_caption(text) == "no-words"
    assert not_a_caption(f"{text} on a wall") is None


def test_an_address_is_no_caption() -> None:
    assert not_a_caption("https://example.org/a%20cat.jpg") == "no-words"
    assert not_a_caption("s3://bucket/a.jpg") == "no-words"
    assert not_a_caption("a cat, see https://example.org") is None


def test_the_texts_of_an_example_in_an_archive_are_read_or_named(tmp_path: Path) -> None:
    members = {
        "1.jpg": JPEG,
        "1.caption.txt": b"of the only image",
        "2.image.jpg": JPEG,
        "2.mask.png": JPEG,
        "2.caption": b"of two images",
        "3.jpg": JPEG,
        "3.jpg.txt": b"of its whole name",
        "3.tags.txt": b"some, tags",
        "4.jpg": JPEG,
        "4.tags.txt": b"some, tags",
        "4.user.txt": b"somebody",
        "__MACOSX/5.txt": b"?",
        "6.text.txt": b"of none",
    }
    collection = opened(write_tar(tmp_path / "0.tar", members).parent)
    assert {real_id.partition("#")[2]: said for real_id, said in captions(collection).items()} == {
        "1.jpg": ("of the only image",),
        "2.image.jpg": ("of two images",),
        "2.mask.png": ("of two images",),
        "3.jpg": ("of its whole name",),
        "4.jpg": (),
    }
    assert collection.remarks == ["texts with the name of no image are not read: 4, such as '0.tar#3.tags.txt'"]


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "deep/x.TGZ", "x.tar.zst", "x.7z", "x.zip.001"])
def test_an_archive_that_is_not_read_is_named(tmp_path: Path, name: str) -> None:
    for beside in ("a.jpg", "b.tar", "c.parquet", ""):
        root = tmp_path / f"beside {beside}"
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(b"any")
        line = f"archives that are not read: 1, such as {name!r}: unpack them"
        if beside == "":
            with pytest.raises(UsageError, match=f"holds no images; {re.escape(line)}"):
                opened(root)
            continue
        if beside == "a.jpg":
            folder(root, beside)
        elif beside == "b.tar":
            write_tar(root / beside, {"a.jpg": JPEG})
        else:
            write_parquet(root / beside, {"image": [JPEG], "caption": ["x"]})
        assert opened(root).remarks == [line]


def test_an_image_whose_name_occurs_again_in_its_archive_is_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for content in (b"lost", JPEG):
            member = tarfile.TarInfo("a.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    collection = opened(tmp_path)
    assert (collection.ids, "1, such as '0.tar#a.jpg'" in collection.remarks[0]) == (["0.tar#a.jpg"], True)


def test_an_archive_of_which_no_image_can_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"../a.jpg": JPEG})
    with pytest.raises(UsageError, match=r"such as '0\.tar#\.\./a\.jpg': its name leads out of the archive"):
        opened(tmp_path)


def test_images_may_be_lists_of_the_numbers_of_their_bytes(tmp_path: Path) -> None:
    columns = {"image": pa.array([list(JPEG), []], pa.list_(pa.uint8())), "txt": ["a cat", "a dog"]}
    pq.write_table(pa.table(columns), tmp_path / "0.parquet")
    collection = opened(tmp_path)
    assert list(captions(collection).values()) == [("a cat",), ("a dog",)]
    assert LocatorReader().read(collection.image(collection.ids[0]).path) == JPEG
    with pytest.raises(FileNotFoundError):
        LocatorReader().read(collection.image(collection.ids[1]).path)


@pytest.mark.parametrize("paths", [["img/a.jpg", "img/b.jpg"], [{"bytes": None, "path": "img/a.jpg"}]])
def test_a_table_may_stand_beside_the_images_whose_paths_it_has(tmp_path: Path, paths: list[object]) -> None:
    folder(tmp_path, "img/a.jpg", "img/b.jpg", "img/not-in-the-table.jpg")
    texts = [f"number {number}" for number in range(len(paths))]
    write_parquet(tmp_path / "0.parquet", {"photo": paths, "text": texts})
    collection = opened(tmp_path, Columns("photo") if isinstance(paths[0], str) else Columns())
    assert len(collection.ids) == len(paths)
    first = collection.image(collection.ids[0])
    assert first.captions == ("number 0",)
    assert LocatorReader().read(first.path) == JPEG


def test_a_table_with_bytes_beside_other_images_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, "img/a.jpg")
    write_parquet(tmp_path / "0.parquet", {"photo": [JPEG], "text": ["x"]})
    with pytest.raises(UsageError, match="holds both archives of images"):
        opened(tmp_path)


def test_a_licence_that_no_table_can_hold_is_made_printable(tmp_path: Path) -> None:
    root = folder(
        tmp_path, "a.jpg", "b.jpg", a='{"license": "\\ud800 free"}', licenses='{"b.jpg": {"license": "\\udfff"}}'
    )
    assert [opened(root).image(name).license for name in ("a.jpg", "b.jpg")] == ["\ufffd free", "\ufffd"]
