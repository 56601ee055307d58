"""Captions as people have them: in tables, beside images, in columns; and what looks like captions and is none."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.captioner import Captioner
from captioning.images import UnusableImageError
from captioning.prompt_parts import Captioning, PartResult, caption_part, parts_of
from captioning.selection import select
from captioning.sources.captions import Captions, captions_in_text, captions_in_value
from captioning.sources.coco import read_coco
from captioning.sources.columns import Columns
from captioning.sources.source import Collection
from tests.bounds import within
from tests.captioning.archives import write_tar
from tests.captioning.oddities import encoded, picture
from tests.fuzzing import fuzzed
from workspace.errors import UsageError
from workspace.locator import LocatorReader

JPEG = encoded(picture(), "JPEG")


def folder(root: Path, images: Sequence[str], files: dict[str, str | bytes]) -> Path:
    for name, content in {**dict.fromkeys(images, JPEG), **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def opened(root: Path, columns: Columns = Columns()) -> Collection:
    return select("x", root, columns=columns).collection


def captions(collection: Collection) -> dict[str, tuple[str, ...]]:
    return {real_id: collection.image(real_id).captions for real_id in collection.ids}


TABLES = {
    "metadata.jsonl": '{"file_name": "a.jpg", "text": "a cat"}\n{"file_name": "deep/b.jpg", "text": ["one", "two"]}\n',
    "metadata.csv": "file_name,caption\na.jpg,a cat\ndeep/b.jpg,one\ndeep/b.jpg,two\n",
    "captions.txt": "image,caption\na.jpg,a cat\nb.jpg,one\nb.jpg,two\n",
    "captions.csv": '\ufefffilename,Caption\r\n./a.jpg,"a cat"\r\ndeep\\b.jpg,one\r\nb.jpg,two\r\n',
    "captions.tsv": "b.jpg\tone\na.jpg\ta cat\nb.jpg\ttwo\n",
    "Flickr8k.token.txt": "a.jpg#0\ta cat\nb.jpg#0\tone\nb.jpg#1\ttwo\n",
    "results.csv": "image_name| comment_number| comment\na.jpg| 0| a cat\nb.jpg| 0| one\nb.jpg| 1| two\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_the_captions_of_many_images(tmp_path: Path, name: str) -> None:
    collection = opened(folder(tmp_path, ["a.jpg", "deep/b.jpg", "c.jpg"], {name: TABLES[name]}))
    found = {real_id: tuple(text.strip() for text in texts) for real_id, texts in captions(collection).items()}
    assert found == {"a.jpg": ("a cat",), "c.jpg": (), "deep/b.jpg": ("one", "two")}
    assert collection.remarks == []


def test_a_caption_with_commas_that_is_not_quoted_is_whole(tmp_path: Path) -> None:
    lines = "image,caption\na.jpg,a cat, a dog, and a bird\n"
    assert captions(opened(folder(tmp_path, ["a.jpg"], {"captions.txt": lines}))) == {
        "a.jpg": ("a cat, a dog, and a bird",)
    }


def test_a_name_that_two_images_have_is_not_guessed(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"captions.txt": "image,caption\n1.jpg,which one\nx/1.jpg,the first\n"}
    found = captions(opened(folder(tmp_path, ["x/1.jpg", "y/1.jpg"], files)))
    assert found == {"x/1.jpg": ("the first",), "y/1.jpg": ()}


def test_a_table_that_is_not_understood_is_named_and_a_named_column_is_used(tmp_path: Path) -> None:
    root = folder(tmp_path, ["a.jpg"], {"metadata.csv": "photo,words\na.jpg,a cat\n"})
    (remark,) = opened(root).remarks
    assert "'metadata.csv' has captions that were not understood" in remark
    assert "--caption-column" in remark
    assert captions(opened(root, Columns("photo", "words"))) == {"a.jpg": ("a cat",)}
    with pytest.raises(
        UsageError, match=r"metadata\.csv has no column 'other' \(--caption-column\); it has photo, words"
    ):
        opened(root, Columns("photo", "other"))
    (root / "metadata.csv").write_text("file_name,caption\nsomewhere-else.jpg,a cat\n")
    assert opened(root).remarks == ["'metadata.csv' names none of the images of this source"]


@pytest.mark.parametrize("name", ["a.txt", "a.caption", "a.jpg.txt", "a.jpg.caption", "a.json", "a.jpg.json"])
def test_a_caption_beside_an_image(tmp_path: Path, name: str) -> None:
    content = '{"caption": "a bridge"}' if name.endswith("json") else "a bridge\n"
    assert captions(opened(folder(tmp_path, ["a.jpg"], {name: content}))) == {"a.jpg": ("a bridge",)}


def test_labels_beside_an_image_leave_its_caption_to_the_next_file(tmp_path: Path) -> None:
    labels = "0 0.716797 0.395833 0.216406 0.147222\n"
    root = folder(tmp_path, ["a.jpg", "b.jpg"], {"a.txt": labels, "a.json": '{"caption": "a car"}', "b.txt": labels})
    assert captions(opened(root)) == {"a.jpg": ("a car",), "b.jpg": (labels.strip(),)}


def test_a_text_file_has_a_caption_a_line() -> None:
    assert captions_in_text(b"one\r\n\n two \nthree\tfour\n").texts == ("one", " two ", "three", "four")
    assert captions_in_text("a caf\u00e9".encode("utf-16")).texts == ("a caf\u00e9",)
    assert captions_in_text(b"a\n" * 101) == Captions((), ("too-long",))
    assert captions_in_text(b" \n") == Captions((), ("empty",))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a cat", Captions(("a cat",))),
        (["one", None, 3], Captions(("one",), ("empty", "not-text"))),
        ([{"raw": "one", "tokens": ["one"]}, {"sentence": "x"}], Captions(("one",), ("not-text",))),
        (None, Captions((), ("empty",))),
        (float("nan"), Captions((), ("not-text",))),
        (True, Captions((), ("not-text",))),
        ([[[["deep"]]]], Captions((), ("not-text",))),
    ],
)
def test_only_texts_are_captions(value: Any, expected: Captions) -> None:
    assert captions_in_value(value) == expected


class NeededError(AssertionError):
    """The captioner was needed."""


def never() -> Captioner:
    raise NeededError


def test_what_is_no_caption_is_counted_and_said_before_the_captioner_is_loaded(tmp_path: Path) -> None:
    values: list[Any] = [None, 123, float("nan"), "nan", "['a dog']", "0 0.5 0.5 1 1"]
    folder(tmp_path, [f"val2017/{number}.jpg" for number in range(len(values))], {})
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(len(values))],
        "annotations": [{"id": n, "image_id": n, "caption": value} for n, value in enumerate(values)],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/captions_val2017.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    said: list[str] = []

    def load() -> Captioner:
        said.append("loaded")
        raise NeededError

    captioning = Captioning("x", load, 8, remark=lambda source, line: said.append(f"{source}: {line}"))
    for part in parts_of([select("coco", tmp_path)], 1):
        with pytest.raises(NeededError):
            caption_part(part, captioning, lambda: None)
    # Of the first one there is nothing to say: it has no caption.
    assert said[::2][:1] == ["loaded"]
    assert said[2::2] == ["loaded"] * 5
    reasons = [line.partition("cannot be prompts (")[2].partition(")")[0] for line in said[1::2]]
    assert reasons == [
        "not-text",
        "not-text",
        "placeholder, 'nan'",
        "list, \"['a dog']\"",
        "labels, '0 0.5 0.5 1 1'",
    ]
    assert said[1].startswith("coco: the captions of 'val2017/1.jpg'")


def test_licences_beside_archives_and_tables_and_in_columns(tmp_path: Path) -> None:
    entries = {"0.tar": {"license": "mit"}, "*": {"license": "cc0-1.0", "redistributable": True}}
    write_tar(tmp_path / "t/0.tar", [("a.jpg", JPEG)])
    write_tar(tmp_path / "t/1.tar", [("a.jpg", JPEG), ("b.jpg", JPEG), ("b.json", b'{"license": "cc-by-4.0"}')])
    (tmp_path / "p").mkdir()
    columns = {"image": [JPEG] * 3, "caption": ["x"] * 3, "License": ["Flickr", None, "cc-by-nc-2.0"]}
    pq.write_table(pa.table(columns), tmp_path / "p/0.parquet")
    stated = []
    for name in ("t", "p"):
        (tmp_path / name / "licenses.json").write_text(json.dumps(entries))
        collection = opened(tmp_path / name)
        images = [collection.image(real_id) for real_id in collection.ids]
        stated.append([(image.license, image.redistributable) for image in images])
    assert stated == [
        [("mit", None), ("cc0-1.0", True), ("cc-by-4.0", True)],
        [("Flickr", None), ("cc0-1.0", True), ("cc-by-nc-2.0", True)],
    ]


@pytest.mark.parametrize("kind", ["folder", "tars", "tables"])
def test_a_licence_of_no_image_is_named(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        folder(tmp_path, ["a.jpg"], {})
    elif kind == "tars":
        write_tar(tmp_path / "0.tar", [("a.jpg", JPEG)])
    else:
        pq.write_table(pa.table({"image": [JPEG], "caption": ["x"]}), tmp_path / "0.parquet")
    known = {"folder": "a.jpg", "tars": "0.tar", "tables": "0.parquet#row=000000000"}[kind]
    entries = {known: {"license": "mit"}, "*": {}, "A.jpg": {"license": "mit"}, "b.jpg": {"license": "mit"}}
    (tmp_path / "licenses.json").write_text(json.dumps(entries))
    assert opened(tmp_path).remarks == ["licenses.json names what is no image of this source: 2, such as 'A.jpg'"]


def test_columns_that_the_user_named_are_read_and_found_again_by_the_locator(tmp_path: Path) -> None:
    columns = {"photo": [JPEG], "mask": [b"mask"], "words": ["a cat"], "caption": ["not this one"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(
        UsageError, match=r"several columns of bytes \(photo, mask\): name the column with --image-column"
    ):
        opened(tmp_path)
    collection = opened(tmp_path, Columns("photo", "words"))
    assert captions(collection) == {"a.parquet#row=000000000,column=photo": ("a cat",)}
    (real_id,) = collection.ids
    assert LocatorReader().read(collection.image(real_id).path) == JPEG
    with pytest.raises(UsageError, match=r"no column 'other' \(--image-column\); it has photo, mask, words, caption"):
        opened(tmp_path, Columns("other"))


def test_a_table_with_texts_that_are_not_known_as_captions_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [JPEG], "prompt": ["a cat"], "n": [1]}), tmp_path / "a.parquet")
    (remark,) = opened(tmp_path).remarks
    assert "'a.parquet'" in remark
    assert "text in 'prompt': --caption-column" in remark
    assert captions(opened(tmp_path, Columns(caption="prompt"))) == {"a.parquet#row=000000000": ("a cat",)}


def test_every_image_of_an_archive_is_an_image_or_listed_with_its_reason(tmp_path: Path) -> None:
    members = [
        ("holiday.2019.jpg", JPEG),
        ("holiday.2019.txt", b"a beach"),
        ("7.image.jpg", JPEG),
        ("7.txt", b"a tower"),
        ("8.jpg", JPEG),
        ("8.mask.png", JPEG),
        ("../up.jpg", JPEG),
        ("./here.jpg", JPEG),
        (".hidden.jpg", JPEG),
    ]
    write_tar(tmp_path / "0.tar", members)
    collection = opened(tmp_path)
    found: dict[str, Any] = {}
    for real_id in collection.ids:
        try:
            found[real_id.partition("#")[2]] = collection.image(real_id).captions
        except UnusableImageError as error:
            found[real_id.partition("#")[2]] = error.reason
    assert found == {
        "holiday.2019.jpg": ("a beach",),
        "7.image.jpg": ("a tower",),
        "8.jpg": (),
        "8.mask.png": "field",
        "../up.jpg": "name",
        "./here.jpg": (),
    }


def captioned(root: Path) -> PartResult:
    (part,) = parts_of([select("x", root)], 100)
    return caption_part(part, Captioning("x", never, 8), lambda: None)


@pytest.mark.attack
@pytest.mark.parametrize("name", ["b.txt", "b.caption", "b.json", "b.jpg.txt"])
def test_a_side_file_that_links_to_a_token_never_becomes_a_prompt(tmp_path: Path, name: str) -> None:
    (tmp_path / "token").write_text('{"caption": "hf_secret"}' if name.endswith("json") else "hf_secret")
    root = folder(tmp_path / "source", ["a.jpg", "b.jpg"], {"a.txt": "a cat"})
    (root / name).symlink_to("../token")
    result = captioned(root)
    assert [prompt.prompt for prompt in result.prompts] == ["a cat"]
    ((real_id, reason, detail),) = [(row.real_id, row.reason, row.detail) for row in result.skipped]
    assert (real_id, reason) == ("b.jpg", "unreadable")
    assert detail.startswith("its caption cannot be read: a link that leads out of")
    assert "hf_secret" not in str(result)


@pytest.mark.attack
@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
@pytest.mark.parametrize(
    "name",
    ["licenses.json", "metadata.jsonl", "captions.txt", "annotations/captions_val2017.json", "0.tar", "0.parquet"],
)
def test_a_file_of_a_source_that_is_none_is_refused_in_one_line(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "token").write_text('{"*": {"license": "hf_secret"}}')
    root = folder(tmp_path / "source", [] if name[0] == "0" else ["a.jpg", "val2017/a.jpg"], {"x.md": ""})
    (root / name).parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(root / name)
    else:
        (root / name).symlink_to("/dev/zero" if kind == "device" else tmp_path / "token")
    with pytest.raises(UsageError) as refused:
        opened(root)
    assert ("a link that leads out of" if kind == "link" else "not a regular file") in str(refused.value)
    assert "hf_secret" not in str(refused.value)


@pytest.mark.attack
@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.parquet"])
def test_a_pipe_or_a_device_given_as_a_source_hangs_nothing(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError):
        opened(tmp_path / name)
    (tmp_path / f"device-{name}").symlink_to("/dev/zero")
    with pytest.raises(UsageError):
        opened(tmp_path / f"device-{name}")


PIECES = ["a.jpg", ",", "\t", "|", '"', "\n", "{", '{"file_name":', "#0", "caption"]


@fuzzed(80)
@given(st.sampled_from(sorted(TABLES)), st.lists(st.one_of(st.sampled_from(PIECES), st.text())))
def test_no_table_raises_anything_but_a_usage_error(tmp_path: Path, name: str, pieces: list[str]) -> None:
    for other in TABLES:
        (tmp_path / other).unlink(missing_ok=True)
    root = folder(tmp_path, ["a.jpg"], {name: "".join(pieces).encode("utf-8", "surrogatepass")})
    try:
        collection = opened(root)
    except UsageError:
        return
    assert list(captions(collection)) == ["a.jpg"]


@pytest.mark.attack
@pytest.mark.parametrize("line", ['{"file_name": "a.jpg", "text": "x"}', '{"file_name": "a.jpg", "text": null}'])
def test_a_table_with_any_number_of_captions_of_one_image_takes_seconds(tmp_path: Path, line: str) -> None:
    root = folder(tmp_path, ["a.jpg"], {"metadata.jsonl": f"{line}\n".encode() * 60_000})
    with within(seconds=3):
        assert len(opened(root).image("a.jpg").captions) == (60_000 if '"x"' in line else 0)


@pytest.mark.attack
@pytest.mark.parametrize("name", ["annotations/captions_val2017.json", "licenses.json"])
def test_a_document_that_is_a_hole_is_not_read_into_memory(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path, ["val2017/a.jpg"], {name: b""})
    os.truncate(root / name, 1 << 40)
    with pytest.raises(UsageError, match="more than 268,435,456 bytes"):
        read_coco(root) if "annotations" in name else opened(root)
