"""captioning/sources/: which images a collection has, and what it states about each."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.sources.coco import read_coco
from captioning.sources.containers import read_by_content
from captioning.sources.folder import read_folder
from captioning.sources.registry import KNOWN, find_source
from captioning.sources.source import RealImage
from tests.fuzzing import fuzzed
from workspace.errors import UsageError
from workspace.layout import checked_source


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


# A folder tree


def test_every_image_of_a_tree_is_listed_in_one_order(tmp_path: Path) -> None:
    names = ["b.png", "a.JPG", "deep/er/c.webp", "deep/a.tiff", "deep.gif", "raw.NEF", "odd name \n.png"]
    touch(tmp_path, *names, "notes.txt", "a.json", "README", "._a.jpg", ".hidden/a.png", "archive.zip")
    assert list(read_folder(tmp_path).ids) == sorted(names)


def test_a_caption_is_in_the_text_file_of_the_same_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "deep/a.png", "b.c.png", "none.png")
    (tmp_path / "a.txt").write_text("a cat\n", encoding="utf-8")
    (tmp_path / "deep/a.txt").write_text("a dög", encoding="utf-8-sig")
    (tmp_path / "b.c.txt").write_bytes(b"caf\xe9")
    folder = read_folder(tmp_path)
    captions = {real_id: folder.image(real_id).captions for real_id in folder.ids}
    assert captions == {"a.jpg": ("a cat",), "b.c.png": ("caf\ufffd",), "deep/a.png": ("a dög",), "none.png": ()}


def test_without_a_text_file_the_caption_is_in_the_json_file(tmp_path: Path) -> None:
    notes = {
        "a": ('{"caption": "a cat", "url": "u"}', ("a cat",)),
        "b": ('{"TEXT": "a dog"}', ("a dog",)),
        "c": ('{"captions": ["one", 2, "two"]}', ("one", "two")),
        "d": ('{"caption": null}', ()),
        "i": ('{"text": "an alternative text", "CAPTION": "a bird"}', ("a bird",)),
        "e": ("[1]", ()),
        "f": ("{", ()),
        "g": ('{"width": 3}', ()),
    }
    for name, (content, _) in notes.items():
        touch(tmp_path, f"{name}.jpg")
        (tmp_path / f"{name}.json").write_text(content)
    touch(tmp_path, "h.jpg")
    (tmp_path / "h.json").write_text('{"caption": "not this one"}')
    (tmp_path / "h.txt").write_text("this one")
    folder = read_folder(tmp_path)
    assert {real_id: folder.image(real_id).captions for real_id in folder.ids} == {
        **{f"{name}.jpg": captions for name, (_, captions) in notes.items()},
        "h.jpg": ("this one",),
    }


def test_a_caption_that_cannot_be_read_is_not_treated_as_missing(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(OSError, match="not a regular file"):
        read_folder(tmp_path).image("a.jpg")


def test_each_image_has_the_licence_its_folder_states(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    stated: dict[str, Any] = {
        "a.jpg": {"license": "cc0-1.0", "redistributable": True, "attribution": "somebody"},
        "b.jpg": {"license": None, "redistributable": None},
        "*": {"license": "proprietary", "redistributable": False},
    }
    (tmp_path / "licenses.json").write_text(json.dumps(stated), encoding="utf-8")
    folder = read_folder(tmp_path)
    found = {real_id: (folder.image(real_id).license, folder.image(real_id).redistributable) for real_id in folder.ids}
    assert found == {"a.jpg": ("cc0-1.0", True), "b.jpg": (None, None), "c.jpg": ("proprietary", False)}
    (tmp_path / "licenses.json").unlink()
    assert read_folder(tmp_path).image("a.jpg") == RealImage("a.jpg", tmp_path / "a.jpg", within=tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "7", '{"a.jpg": "mit"}', '{"*": {"license": ""}}', '{"*": {"redistributable": "yes"}}']
)
def test_an_invalid_licence_file_is_refused_with_one_line(tmp_path: Path, content: str) -> None:
    touch(tmp_path, "a.jpg")
    (tmp_path / "licenses.json").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"licenses\.json") as refused:
        read_folder(tmp_path)
    assert "\n" not in str(refused.value)


def test_links_are_followed_and_a_loop_is_read_once(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.png", "root/b.png", "root/.elsewhere/a.png")
    root = tmp_path / "root"
    (root / "linked").symlink_to(root / ".elsewhere")
    (root / "circle").symlink_to(root)
    (root / "dangling.png").symlink_to("gone.png")
    (root / "self.png").symlink_to("self.png")
    assert list(read_folder(root).ids) == ["b.png", "dangling.png", "linked/a.png", "self.png"]
    (root / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"root/out is a link to a folder outside the source: .* remove the link"):
        read_folder(root)


def test_a_name_that_is_not_utf8_is_listed_too(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")).write_bytes(b"x")
    assert [os.fsencode(real_id) for real_id in read_folder(tmp_path).ids] == [b"caf\xe9.png"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt", "deep/b.csv")
    with pytest.raises(UsageError, match="holds no images"):
        read_folder(tmp_path)


# COCO

LICENSES = [
    {
        "id": 1,
        "name": "Attribution-NonCommercial-ShareAlike License",
        "url": "http://creativecommons.org/licenses/by-nc-sa/2.0/",
    },
    {"id": 4, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"},
    {"id": 7, "name": "No known copyright restrictions", "url": "http://flickr.com/commons/usage/"},
]


def coco(root: Path, split: str, captions: dict[str, list[str]], folder: str | None = None) -> Path:
    """A small copy of COCO: `captions` of each image, licences in turn, annotations in reverse order."""
    images = [
        {"id": 100 + n, "file_name": name, "license": LICENSES[n % 3]["id"], "width": 1, "height": 1}
        for n, name in enumerate(captions)
    ]
    annotations = [
        {"id": 10 * n + m, "image_id": 100 + n, "caption": caption}
        for n, said in enumerate(captions.values())
        for m, caption in enumerate(said)
    ]
    content = {"info": {}, "licenses": LICENSES, "images": images, "annotations": annotations[::-1]}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / f"annotations/captions_{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return touch(root, *(f"{folder or split}/{name}" for name in captions))


def test_coco_gives_every_image_all_its_captions_and_its_own_licence(tmp_path: Path) -> None:
    coco(tmp_path, "val2017", {"000000000139.jpg": ["a room", "a tv"], "000000000285.jpg": ["a bear"], "3.jpg": []})
    collection = read_coco(tmp_path)
    assert list(collection.ids) == ["val2017/000000000139.jpg", "val2017/000000000285.jpg", "val2017/3.jpg"]
    image = collection.image("val2017/000000000139.jpg")
    assert image.path == tmp_path / "val2017/000000000139.jpg"
    assert sorted(image.captions) == ["a room", "a tv"]
    images = [collection.image(real_id) for real_id in collection.ids]
    licences = [(image.license, image.redistributable) for image in images]
    assert licences == [("cc-by-nc-sa-2.0", True), ("cc-by-2.0", True), ("No known copyright restrictions", None)]


def test_coco_lists_the_splits_that_exist_with_their_missing_images(tmp_path: Path) -> None:
    coco(tmp_path, "val2017", {"1.jpg": ["one"], "2.jpg": ["two"]})
    coco(tmp_path, "val2014", {"COCO_val2014_3.jpg": ["three"]}, folder="images/val2014")
    coco(tmp_path, "train2017", {"4.jpg": ["four"]})
    (tmp_path / "train2017/4.jpg").unlink()
    (tmp_path / "train2017").rmdir()
    (tmp_path / "val2017/2.jpg").unlink()
    assert list(read_coco(tmp_path).ids) == ["images/val2014/COCO_val2014_3.jpg", "val2017/1.jpg", "val2017/2.jpg"]


def test_coco_has_ids_of_either_type_and_names_captions_of_no_image_and_folders_that_are_not_read(
    tmp_path: Path,
) -> None:
    coco(tmp_path, "val2017", {"1.jpg": ["one"]})
    path = tmp_path / "annotations/captions_val2017.json"
    content = json.loads(path.read_text())
    content["images"][0]["id"] = str(content["images"][0]["id"])
    content["annotations"].append({"image_id": 7, "caption": "of none"})
    path.write_text(json.dumps(content))
    touch(tmp_path, "test2017/9.jpg", "images/unlabeled2017/8.jpg")
    collection = read_coco(tmp_path)
    assert collection.image("val2017/1.jpg").captions == ("one",)
    assert collection.remarks == [
        "annotations/captions_val2017.json: captions of ids that no image has: 1, such as 7",
        "images/unlabeled2017/ is not read: there is no annotations/captions_unlabeled2017.json",
        "test2017/ is not read: there is no annotations/captions_test2017.json",
    ]


def test_another_layout_is_refused_with_what_coco_needs(tmp_path: Path) -> None:
    touch(tmp_path, "cats/1.jpg", "dogs/2.jpg")
    with pytest.raises(UsageError, match=r"not look like COCO, which has annotations/captions_.*holds cats, dogs"):
        read_coco(tmp_path)
    coco(tmp_path, "val2017", {"1.jpg": ["one"]})
    (tmp_path / "val2017/1.jpg").unlink()
    (tmp_path / "val2017").rmdir()
    with pytest.raises(UsageError, match="captions for val2017 but no images"):
        read_coco(tmp_path)


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/passwd", "a/../../b.jpg", "", "a\x00b", "\ud800.jpg"])
def test_an_image_name_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    coco(tmp_path, "val2017", {"1.jpg": ["one"]})
    path = tmp_path / "annotations/captions_val2017.json"
    path.write_text(path.read_text().replace('"1.jpg"', json.dumps(name)), encoding="utf-8")
    with pytest.raises(UsageError, match="not a path below"):
        read_coco(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["images", "annotations", "licenses", "id", "file_name", "image_id", "caption", "url"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@fuzzed(80)
@given(JSON | st.fixed_dictionaries({"images": JSON, "annotations": JSON}))
def test_any_json_in_place_of_annotations_is_read_or_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "val2017").mkdir(exist_ok=True)
    (tmp_path / "annotations/captions_val2017.json").write_text(json.dumps(content), encoding="utf-8")
    try:
        collection = read_coco(tmp_path)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all((tmp_path / real_id).is_relative_to(tmp_path) for real_id in collection.ids)


# The registry


def test_a_known_source_has_a_title_a_citation_and_a_link_to_its_licence() -> None:
    for name, source in KNOWN.items():
        assert name == source.name == checked_source(name)
        assert source.title
        assert source.citation
        assert (source.license_link or "").startswith(("https://", "http://"))


def test_a_source_is_redistributable_only_if_its_licence_allows_it() -> None:
    allowed = {name: source.license for name, source in KNOWN.items() if source.redistributable}
    assert allowed == {"ffhq": None, "metfaces": "cc-by-nc-2.0", "afhq": "cc-by-nc-4.0"}
    assert {name for name, source in KNOWN.items() if source.redistributable is False} == {"imagenet", "celeba"}


def test_an_unknown_name_is_a_folder_of_unknown_licence() -> None:
    source = find_source("holiday-2019")
    assert source.reader is read_by_content
    assert (source.license, source.redistributable) == (None, None)
    assert find_source("coco").reader is read_coco
