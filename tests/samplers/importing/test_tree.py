"""What is found in a tree of others, and what is said of its images."""

import csv
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.sources.columns import Columns
from samplers.importing.command import described
from samplers.importing.prompts import Prompts, Said
from samplers.importing.selection import select
from samplers.importing.tree import Tree, open_tree
from tests.samplers.foreign.making import encoded, picture
from workspace.errors import UsageError

SAID = {"architecture": "GAN", "license": None, "subset": "Manual"}
PIXELS = encoded(picture(1))


def _named(root: Path, contents: dict[str, str | bytes]) -> Tree:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_tree(str(root), Columns())


def test_images_side_files_and_others_are_told_apart_in_folders_and_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("x/1.png", PIXELS)
        zipped.writestr("__MACOSX/x/._1.png", b"")
        zipped.writestr("x/1.txt", "a cat")
        zipped.writestr("notes.md", "hello")
    tree = _named(tmp_path, {"b/2.JPG": PIXELS, "b/labels.json": "[]", "b/model.ckpt": b"x", ".hidden/3.png": PIXELS})
    assert tree.names == ["a.zip#x/1.png", "b/2.JPG"]
    assert tree.side_files == {"a.zip#x/1.txt", "b/labels.json"}
    assert tree.others == {".md": 1, ".ckpt": 1, "(hidden)": 1}
    assert [tree.folder(name) for name in tree.names] == ["a/x", "b"]
    assert tree.read("a.zip#x/1.png") == PIXELS


def test_an_archive_that_is_damaged_or_encrypted_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UsageError, match=r"bad\.zip cannot be read \(not a whole zip archive"):
        open_tree(str(tmp_path / "bad.zip"))
    (tmp_path / "bad.zip").unlink()
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as zipped:
        zipped.writestr("1.png", PIXELS)
        zipped.writestr("../2.png", PIXELS)
    content = bytearray((tmp_path / "good.zip").read_bytes())
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    content[at + 8] |= 1
    (tmp_path / "good.zip").write_bytes(bytes(content))
    tree = open_tree(str(tmp_path / "good.zip"))
    assert tree.unread == {
        "good.zip#1.png": "an encrypted file in the archive",
        "good.zip#../2.png": "its name leads out of the archive",
    }
    with pytest.raises(OSError, match="encrypted"):
        tree.read("good.zip#1.png")


@pytest.mark.parametrize("path", ["nothing", "."])
def test_a_place_without_images_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match=r"does not exist|holds no images"):
        open_tree(str(tmp_path / path))


def _table(root: Path, name: str, rows: list[dict[str, str]]) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    with (root / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_table_names_an_image_by_its_path_or_every_image_of_a_name_below_it(tmp_path: Path) -> None:
    _table(tmp_path, "p.csv", [{"file": "a/1.png", "prompt": "one"}, {"file": "2", "prompt": "two"}])
    _table(tmp_path, "c/own.csv", [{"file": "3.png", "prompt": "three", "negative_prompt": "blurry"}])
    tree = _named(tmp_path, dict.fromkeys(("a/1.png", "b/1.png", "a/2.png", "b/2.png", "c/3.png", "d/3.png"), PIXELS))
    prompts = Prompts(tree)
    found = {name: (prompts.of(name).prompt, prompts.of(name).source) for name in tree.names}
    assert found == {
        "a/1.png": ("one", "table:p.csv"),
        "b/1.png": (None, None),
        "a/2.png": ("two", "table:p.csv"),
        "b/2.png": ("two", "table:p.csv"),
        "c/3.png": ("three", "table:c/own.csv"),
        "d/3.png": (None, None),
    }
    assert prompts.of("c/3.png").negative_prompt == "blurry"


def test_a_name_of_which_a_table_says_two_things_has_no_prompt_and_that_is_told(tmp_path: Path) -> None:
    _table(tmp_path, "p.csv", [{"file": "1.png", "prompt": "one"}, {"file": "1.png", "prompt": "another"}])
    tree = _named(tmp_path, {"1.png": PIXELS})
    prompts = Prompts(tree)
    assert prompts.of("1.png").prompt is None
    assert prompts.remarks == ["p.csv says several things of 1 name, such as '1', which are not read"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"image": "1.png", "prompt": "one"}\n\n'),
        ("p.json", '[{"image": "x/1.png", "prompt": "one"}, 3]'),
        ("p.json", '{"1.png": "one"}'),
        ("p.json", '{"1.png": {"prompt": "one", "seed": 4}}'),
        ("p.tsv", "name\tprompt\n1\tone\n"),
        ("p.csv", "picture;prompt\n1;one\nother;two\n"),
        ("x/1.json", '{"prompt": "one"}'),
        ("x/1.png.txt", "one\n"),
        ("x/1.caption", "\ufeffone"),
    ],
)
def test_prompts_are_read_in_the_forms_in_which_people_publish_them(tmp_path: Path, name: str, content: str) -> None:
    tree = _named(tmp_path, {"x/1.png": PIXELS, name: content})
    assert Prompts(tree).of("x/1.png").prompt == "one"


def test_a_table_that_is_named_and_cannot_be_read_is_refused_and_others_are_remarked(tmp_path: Path) -> None:
    tree = _named(tmp_path, {"1.png": PIXELS, "p.json": "{broken"})
    assert Prompts(tree).remarks[0].startswith("p.json is not read: ")
    with pytest.raises(UsageError, match=r"p\.json is not read: .*; correct it"):
        Prompts(tree, "p.json")
    with pytest.raises(UsageError, match="there is no such table"):
        Prompts(tree, "q.csv")


def test_a_text_that_is_no_utf_8_is_not_read_and_that_is_told(tmp_path: Path) -> None:
    latin = "file,prompt\n1.png,größe\n".encode("latin-1")
    files = {"1.png": PIXELS, "p.csv": latin, "1.txt": "größe".encode("latin-1"), "1.json": "[1]"}
    prompts = Prompts(_named(tmp_path, files))
    assert prompts.of("1.png") == Said()
    assert prompts.remarks == [
        "p.csv is not read: it is no text in UTF-8: save it as UTF-8",
        "beside images, and not readable (no text in UTF-8, or no JSON object): 2 files, such as 1.json",
    ]
    (tmp_path / "p.csv").write_bytes("file,prompt\n1.png,größe\n".encode("utf-16"))
    assert Prompts(_named(tmp_path, {})).of("1.png").prompt == "größe"


def test_a_table_without_names_or_prompts_that_are_found_is_told_with_its_columns(tmp_path: Path) -> None:
    _table(tmp_path, "a.csv", [{"bild": "1.png", "text auf deutsch": "ein Haus"}])
    _table(tmp_path, "b.csv", [{"x": "7", "y": "8"}])
    tree = _named(tmp_path, {"one.png": PIXELS, "1.png": PIXELS})
    assert Prompts(tree).remarks == [
        "a.csv has no prompts: of its columns (bild, text auf deutsch) none is prompt; name one with --prompt-column",
        "b.csv is not read: no column of it has names of these images",
    ]
    assert Prompts(tree, prompt_column="Text auf Deutsch").of("1.png").prompt == "ein Haus"
    with pytest.raises(UsageError, match="has the column of prompts 'words': the columns are bild, text auf deutsch"):
        Prompts(tree, prompt_column="words")


@pytest.mark.timeout(20)
def test_a_pipe_and_a_link_that_leads_out_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tree = _named(tmp_path / "data", {"1.png": PIXELS})
    os.mkfifo(tmp_path / "data" / "pipe.png")
    (tmp_path / "data" / "out.png").symlink_to("../secret")
    tree = open_tree(str(tmp_path / "data"))
    hashed = dict(tree.revision(tree.names, ()))
    assert hashed["pipe.png"] == "unreadable: Invalid argument"
    assert hashed["out.png"] == "unreadable: Permission denied"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["p.csv", "p.tsv", "p.json", "p.jsonl", "1.json", "1.txt"]),
    st.text() | st.from_regex(r'(name|prompt|"|,|;|\n|1\.png|\[|\{|:){1,30}', fullmatch=True),
)
def test_no_text_of_others_ends_an_import(tmp_path: Path, name: str, text: str) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    tree = _named(tmp_path, {"1.png": PIXELS, name: text.encode(errors="surrogatepass")})
    said = Prompts(tree).of("1.png")
    assert said.prompt is None or said.prompt.strip()


def test_generators_are_found_by_a_column_of_a_parquet_file(tmp_path: Path) -> None:
    rows = {"image": [PIXELS] * 3, "model": ["SD 1.5", "other/one", None], "prompt": ["a", "b", "c"]}
    pq.write_table(pa.table(rows), tmp_path / "all.parquet")
    what = described("people", str(tmp_path), SAID, {}, "model")
    tree = open_tree(what.path)
    selected, unclaimed = select(tree, what)
    assert {one.generator.recipe.name: one.names for one in selected} == {
        "people/SD-1.5": ("all.parquet#row=000000000",),
        "people/other-one": ("all.parquet#row=000000001",),
    }
    assert unclaimed == ["all.parquet#row=000000002"]
    assert selected[0].prompts.of("all.parquet#row=000000000") == Said(
        "a", None, "column:prompt", {"model": "SD 1.5", "prompt": "a"}
    )


def test_a_column_of_generators_that_nothing_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    _table(tmp_path, "p.csv", [{"file": "1.png", "model": "a"}])
    tree = _named(tmp_path, {"1.png": PIXELS})
    with pytest.raises(UsageError, match=r"no column 'modell' that says which .* is of; the columns are file, model"):
        select(tree, described("org", str(tmp_path), SAID, {}, "modell"))


def test_generators_are_found_by_first_folders_also_with_odd_names(tmp_path: Path) -> None:
    tree = _named(tmp_path, {"gan [x]/deep/1.png": PIXELS, "other/2.png": PIXELS, "3.png": PIXELS})
    what = described("people", str(tmp_path), SAID, {}, by_folders=True)
    selected, unclaimed = select(tree, what)
    assert {one.generator.recipe.name: one.names for one in selected} == {
        "people/gan-x": ("gan [x]/deep/1.png",),
        "people/other": ("other/2.png",),
    }
    assert unclaimed == ["3.png"]


def test_two_folders_whose_names_would_be_one_generator_are_refused(tmp_path: Path) -> None:
    tree = _named(tmp_path, {"a b/1.png": PIXELS, "a-b/2.png": PIXELS})
    with pytest.raises(UsageError, match="people/a-b would be the name of two generators"):
        select(tree, described("people", str(tmp_path), SAID, {}, by_folders=True))


def test_an_image_of_two_generators_and_a_generator_without_images_are_refused(tmp_path: Path) -> None:
    tree = _named(tmp_path / "data", {"a/1.png": PIXELS})
    file = tmp_path / "some.toml"
    table = '["x/{0}"]\nkind = "import"\narchitecture = "GAN"\n["x/{0}".import]\nfolder = "{1}"\n'
    file.write_text(table.format("one", "a") + table.format("two", "**"))
    with pytest.raises(UsageError, match=r"a/1\.png is of x/one and of x/two"):
        select(tree, described(str(file), str(tmp_path / "data"), {}, {}))
    file.write_text(table.format("one", "b"))
    with pytest.raises(UsageError, match=r"x/one: .* has no image in a folder 'b'"):
        select(tree, described(str(file), str(tmp_path / "data"), {}, {}))
    # Of a benchmark people may have a part.
    file.write_text(table.format("one", "b") + table.format("two", "a"))
    (one, two), _ = select(tree, described(str(file), str(tmp_path / "data"), {}, {}))
    assert (one.names, two.names) == ((), ("a/1.png",))
    assert "x/one" in str(one.missing)


def test_a_value_that_no_image_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    table = b"file_name,model\na/1.png,painter\na/2.png,sketcher\n"
    tree = _named(tmp_path / "data", {"a/1.png": PIXELS, "a/2.png": PIXELS, "t.csv": table})
    file = tmp_path / "some.toml"
    table_of = '["x/one"]\nkind = "import"\narchitecture = "GAN"\n["x/one".import]\nwhere = {{ {} = "Painter" }}\n'
    for column, words in (("model", "; model there: painter, sketcher"), ("modle", "; no image there has modle")):
        file.write_text(table_of.format(column))
        with pytest.raises(UsageError, match=f"has no image with {column} 'Painter'{words}$"):
            select(tree, described(str(file), str(tmp_path / "data"), {}, {}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("org", "p", SAID, {}), "a generator needs a name such as ORG/NAME"),
        (("org/name", "p", SAID, {}, "model"), "give the organization alone"),
        (("org/name", None, SAID, {}), "say where the images are"),
        (("org/name", "p", {}, {}), "--architecture is needed"),
        (("org/name", "p", {**SAID, "architecture": "gan"}, {}), "architecture must be one of LatDiff"),
        (("x.toml", "p", {"license": "mit"}, {}), "leave out --license"),
    ],
)
def test_what_is_said_of_a_generator_is_checked(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        described(*arguments)  # type: ignore[arg-type]


def test_where_chooses_by_several_columns(tmp_path: Path) -> None:
    rows = {"image_data": [PIXELS] * 3, "model_name": ["GALIP", "GALIP", "DFGAN"], "label": [1, 0, 1]}
    pq.write_table(pa.table(rows), tmp_path / "data.parquet")
    file = tmp_path / "some.toml"
    file.write_text(
        '["x/GALIP"]\nkind = "import"\narchitecture = "GAN"\n["x/GALIP".import]\npath = "data.parquet"\n'
        + 'where = { model_name = "GALIP", label = 1 }\n'
    )
    what = described(str(file), None, {}, {})
    selected, unclaimed = select(open_tree(what.path), what)
    assert selected[0].names == ("data.parquet#row=000000000",)
    assert len(unclaimed) == 2


def test_the_revision_is_that_of_the_files_that_its_rows_depend_on(tmp_path: Path) -> None:
    tree = _named(tmp_path, {"a/1.png": PIXELS, "a/1.txt": "one", "b/2.png": PIXELS})
    before = tree.revision(["a/1.png"], {"a/1.txt"})
    (tmp_path / "b" / "2.png").write_bytes(b"other")
    assert tree.revision(["a/1.png"], {"a/1.txt"}) == before
    (tmp_path / "a" / "1.txt").write_text("two")
    assert tree.revision(["a/1.png"], {"a/1.txt"}) != before
    assert json.dumps(before)
