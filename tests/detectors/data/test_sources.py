"""Datasets of every layout: the same images with the same facts, and what cannot be read is said in a line."""

import dataclasses
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detectors.data.images import read
from detectors.data.index import Index, IndexRow
from detectors.data.sources.shards import ShardReader, _table
from manifests.exporting.export import export
from manifests.options import ExportOptions, TreeName
from tests.detectors.conftest import STUDY, VIEWER, Published
from workspace import records
from workspace.errors import CommunityForensicsError, HubError, UsageError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace


def sorted_rows(index: Index, names: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = index.table.select(list(names)).to_pylist()
    return sorted(rows, key=lambda row: (row["sha256"], str(row["generator"])))


@pytest.fixture(scope="module")
def own(published: Published) -> Index:
    return Index.open([], published.workspace)


def test_a_workspace_is_read_in_the_order_of_its_manifest_with_kin_and_dates(published: Published, own: Index) -> None:
    rows = published.rows
    assert own.table.column("sha256").to_pylist() == [row.sha256 for row in rows]
    assert own.table.column("generator").to_pylist() == [row.generator for row in rows]
    assert own.table.column("split").to_pylist() == [row.split for row in rows]
    kin = dict(zip(own.table.column("generator").to_pylist(), own.table.column("kin").to_pylist(), strict=True))
    assert kin["org/painter"] == kin["org/sketcher"] != kin["org/tester"]
    assert kin[None] is None
    tested = own.table.column("created_at").to_pylist()[[row.generator for row in rows].index("org/tester")]
    assert tested == "2025-06-01T00:00:00+00:00"


def test_the_order_and_the_digest_are_the_same_again(published: Published, own: Index) -> None:
    again = Index.open([], published.workspace)
    assert again.table.equals(own.table)
    assert again.sha256 == own.sha256 == own.digests["workspace"]


def test_a_digest_tells_every_column_but_the_place(own: Index) -> None:
    for name in own.table.column_names:
        position = own.table.schema.get_field_index(name)
        field = own.table.schema.field(position)
        values = own.table.column(name).to_pylist()
        other = values[1:] + values[:1] if len(set(values)) > 1 else [None] * len(values)
        if name == "dataset":
            other = ["another"] * len(values)
        if pa.types.is_dictionary(field.type):
            array = pa.array(other, pa.string()).dictionary_encode()
        else:
            array = pa.array(other, field.type)
        changed = Index(own.table.set_column(position, pa.field(name, array.type), array), {})
        assert (changed.sha256 == own.sha256) == (name == "locator" or other == values), name


def _index(*rows: IndexRow) -> Index:
    of_rows = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=records.schema(IndexRow))
    return Index(of_rows, {})


@pytest.mark.parametrize(("rounds", "paired"), [((1, 1, 2), 1), ((None, None, None), 2), ((1, None, 2), 2)])
def test_a_real_image_of_a_later_round_is_no_pair_of_an_earlier_one_where_rounds_are_known(
    rounds: tuple[int | None, ...], paired: int
) -> None:
    places = [("fake", 1, 32), ("far", 0, 64), ("near", 0, 32)]
    index = _index(
        *(
            IndexRow(
                sha256=f"{number:064x}", dataset="one", label=label, generator="org/a" if label else None,
                real_source="photos", width=side, height=side, round=made_in, locator=name,
            )
            for number, ((name, label, side), made_in) in enumerate(zip(places, rounds, strict=True))
        )
    )  # fmt: skip
    assert index.pairs.tolist() == [paired, -1, -1]


def test_a_digest_does_not_depend_on_how_the_table_is_cut(own: Index) -> None:
    parts = pa.concat_tables([own.table.slice(0, 7), own.table.slice(7)])
    assert Index(parts.unify_dictionaries().combine_chunks(), {}).sha256 == own.sha256
    assert Index(own.table.slice(3), {}).sha256 == Index(own.table.take(np.arange(3, len(own))), {}).sha256


@pytest.mark.parametrize("place", ["folder", "hub"])
def test_the_viewers_layout_tells_what_the_workspace_tells(published: Published, own: Index, place: str) -> None:
    hub = HubAccess(published.hub.endpoint)
    source = str(published.folder / "viewer") if place == "folder" else VIEWER
    index = Index.open([source], published.workspace, hub)
    in_a_split = own.table.filter(pa.compute.is_valid(own.table.column("split")))
    expected = sorted_rows(Index(in_a_split, {}), ALL_NAMES)
    assert sorted_rows(index, ALL_NAMES) == expected
    images = {row["sha256"]: row for row in in_a_split.to_pylist()}
    decoded = dict(read(index, np.arange(0, len(index), 5)))
    assert index.unread == {}
    for row, image in decoded.items():
        assert image is not None
        sha256 = index.table.column("sha256")[row].as_py()
        assert image.shape[1::-1] == (images[sha256]["width"], images[sha256]["height"])


ALL_NAMES = [name for name in records.schema(IndexRow).names if name not in ("dataset", "locator", "group")]


@pytest.mark.parametrize("place", ["folder", "hub"])
def test_the_studys_layout_tells_what_its_columns_have_and_pairs_as_they_do(
    published: Published, own: Index, place: str
) -> None:
    hub = HubAccess(published.hub.endpoint)
    index = Index.open([str(published.folder / "study") if place == "folder" else STUDY], published.workspace, hub)
    names = ("label", "generator", "real_source", "prompt_key", "split", "format", "mode", "width", "height")

    def counted(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(str([row[name] for name in names]) for row in rows if row["label"] == 1)

    assert counted(index.table.to_pylist()) == counted([row for row in own.table.to_pylist() if row["split"]])
    assert any("neither hashes nor relations" in note for note in index.notes())
    tested = np.flatnonzero((index.labels == 1) & (np.array(index.table.column("split").to_pylist()) == "test"))
    prompts = index.numbers("prompt_key")
    assert len(tested) == 12
    assert (index.pairs[tested] >= 0).all()
    assert len(np.unique(index.pairs[tested])) == 12  # each generator has real rows of its own
    assert sorted(prompts[index.pairs[tested]].tolist()) == sorted(prompts[tested].tolist())
    ((_, image),) = read(index, index.pairs[tested[:1]])
    assert image is not None
    assert image.shape == (24, 24, 3)


def save(path: Path, seed: int, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


TREES: dict[str, tuple[list[str], list[tuple[str | None, str | None]]]] = {
    # files, and what is expected: the generator (None: real) and split of each
    "real-fake": (["train/org--a/fake/1.png", "train/org--a/real/2.png"], [("org--a", "train"), (None, "train")]),
    "one split": (["org--a/fake/1.png", "org--a/real/2.png"], [("org--a", None), (None, None)]),
    "Wang": (["progan/cat/0_real/1.png", "progan/cat/1_fake/2.png"], [(None, None), ("progan", None)]),
    "0_real": (["val/g/0_real/1.png", "val/g/1_fake/2.png"], [(None, "validation"), ("g", "validation")]),
    "GenImage": (["adm/val/ai/1.png", "adm/val/nature/2.jpg"], [("adm", "test"), (None, "test")]),
    "imagefolder": (["test/fake/1.png", "test/real/2.png"], [("tree", "test"), (None, "test")]),
    "by generator": (["train/g/1.png", "train/real/2.png"], [("g", "train"), (None, "train")]),
    "Synthbuster": (["dalle2/1.png", "sdxl/2.png"], [("dalle2", None), ("sdxl", None)]),
    "Ojha": (["guided/1.png", "imagenet/2.png"], [("guided", None), (None, None)]),
}


@pytest.mark.parametrize("name", TREES)
def test_a_folder_tree_says_who_made_what(name: str, tmp_path: Path) -> None:
    files, expected = TREES[name]
    for number, file in enumerate(files):
        save(tmp_path / "tree" / file, number)
    index = Index.open([str(tmp_path / "tree")], Workspace.open(tmp_path / "workspace"))
    rows = index.table.to_pylist()
    assert [(row["generator"], row["split"]) for row in rows] == expected
    assert [row["label"] for row in rows] == [int(generator is not None) for generator, _ in expected]
    assert {(row["width"], row["height"]) for row in rows} == {(16, 12)}
    if name == "one split":
        assert all(image is not None for _, image in read(index, np.arange(len(index))))
    notes = list(index.notes())
    assert bool(notes) == (name in ("Synthbuster", "Ojha")), notes


def test_a_tree_pairs_images_that_lie_beside_each_other_and_counts_a_real_image_once(tmp_path: Path) -> None:
    for generator in ("a", "b"):
        for number in range(3):
            save(tmp_path / "tree" / generator / "fake" / f"{number}.png", hash((generator, number)) % 1000)
            save(tmp_path / "tree" / generator / "real" / f"{number}.png", number if number else 50)
    save(tmp_path / "tree" / "b" / "real" / "0.png", 77)
    index = Index.open([str(tmp_path / "tree")], Workspace.open(tmp_path / "workspace"))
    assert index.labels.tolist().count(0) == 4  # 0 of a, 0 of b, and 1 and 2 of both
    generators = index.table.column("generator").to_pylist()
    of_b = [row for row, name in enumerate(generators) if name == "b"]
    locators = index.table.column("locator").to_pylist()
    assert locators[index.pairs[of_b[0]]] == "b/real/0.png"
    assert locators[index.pairs[of_b[1]]] == "a/real/1.png"


def test_what_cf_export_made_is_read_and_of_several_trees_one(published: Published, tmp_path: Path) -> None:
    tested = [row for row in published.rows if row.split == "test" and row.label == 1]
    layouts: list[tuple[TreeName, str]] = [("real-fake", ""), ("0_real-1_fake", "below")]
    for layout, inside in layouts:
        folder = tmp_path / layout / inside
        folder.parent.mkdir(exist_ok=True)
        export(published.workspace, folder, ExportOptions(layout=layout, split=("test",)))
        index = Index.open([str(tmp_path / layout)], Workspace.open(tmp_path / "workspace"))
        assert {row["sha256"] for row in index.table.to_pylist() if row["label"]} == {row.sha256 for row in tested}
        assert [*index.notes()] == []
    folder = tmp_path / "above" / "variants"
    folder.parent.mkdir()
    export(published.workspace, folder, ExportOptions(layout="real-fake", split=("test",), jpeg=(75,)))
    for data in (folder, folder.parent):
        with pytest.raises(UsageError, match=r"several trees in .*variants: name one of original, jpeg75"):
            Index.open([str(data)], Workspace.open(tmp_path / "workspace"))
    trees = [
        Index.open([str(folder / name)], Workspace.open(tmp_path / "workspace")) for name in ("original", "jpeg75")
    ]
    assert [set(tree.codes("generator")[1]) for tree in trees] == [{"org--tester", "org--prompter"}] * 2


def test_what_was_read_of_a_tree_is_kept_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, tree = Workspace.open(tmp_path / "workspace"), tmp_path / "tree"
    save(tree / "g/fake/1.jpg", 1, quality=80)
    first = Index.open([str(tree)], workspace).table.to_pylist()
    assert first[0]["jpeg_quality"] == 80
    with monkeypatch.context() as patched:
        patched.setattr("detectors.data.sources.files.Pool", None)
        assert Index.open([str(tree)], workspace).table.to_pylist() == first
    save(tree / "g/fake/1.jpg", 1, quality=50)
    assert Index.open([str(tree)], workspace).table.to_pylist()[0]["jpeg_quality"] == 50


def test_files_that_are_no_images_are_counted_and_named(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    save(tree / "g/fake/1.png", 1)
    save(tree / "g/real/1.png", 2)
    save(tree / "elsewhere/1.png", 3)
    (tree / "g/fake/2.png").write_bytes(b"no image")
    (tree / "g/notes.txt").write_text("hello")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tree / "g/fake/3.png").symlink_to(tmp_path / "secret.png")
    index = Index.open([str(tree)], Workspace.open(tmp_path / "workspace"))
    assert len(index) == 2
    notes = "\n".join(index.notes())
    assert "tree: 1 file with other names than images have" in notes
    assert "no image that can be read: 2 files, such as g/fake/2.png" in notes
    assert "because no folder says whether they are real: 1 image, such as elsewhere/1.png" in notes


def test_a_csv_lists_images_with_what_is_known_of_them(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png", 1)
    save(tmp_path / "a/2.webp", 2)
    (tmp_path / "list.csv").write_text(
        "path,label,generator,split,created_at,kin,real_source,comment\n"
        "a/1.png,1,org/g,test,2024-05-06,family,,x\na/2.webp,0,,train,,,COCO,\n"
    )
    index = Index.open([str(tmp_path / "list.csv")], Workspace.open(tmp_path / "workspace"))
    fake, real = index.table.to_pylist()
    assert (fake["generator"], fake["kin"], fake["created_at"], fake["split"]) == (
        "org/g",
        "family",
        "2024-05-06",
        "test",
    )
    assert (real["label"], real["real_source"], real["format"]) == (0, "COCO", "WEBP")
    assert list(index.notes()) == ["list: the columns comment are not used"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label\n1\n", "has no column path"),
        ("path,label\na.png,2\n", "line 2: needs a path, and a label"),
        ("path,label\na.png,1\n", "line 2: a generated image needs the name of its generator"),
        ("path,label\na.png,0,more\n", "line 2: has more values"),
        ("path,label,split\na.png,0,later\n", "line 2: split 'later' is not one of"),
        ('path,label\n"a.png,0\n', "cannot be read as UTF-8 CSV"),
        ("path,label,generator,kin\na.png,1,g,x\nb.png,1,g,y\n", "line 3: g has another kin"),
        ("path,label\n", "lists no images"),
    ],
)
def test_a_csv_that_cannot_be_understood_is_refused_with_the_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=said):
        Index.open([str(tmp_path / "list.csv")], Workspace.open(tmp_path / "workspace"))


def _empty(folder: Path) -> str:
    return str(folder)


def _other_columns(folder: Path) -> str:
    pq.write_table(pa.table({"a": [1]}), folder / "x.parquet")
    return str(folder)


def _damaged(folder: Path) -> str:
    (folder / "x.parquet").write_bytes(b"PAR1 and then nothing")
    return str(folder)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_empty, "has no images"),
        (_other_columns, "neither the columns of cf-publish nor those of the study"),
        (_damaged, "not a whole Parquet file"),
        (lambda folder: str(folder / "missing.csv"), "there is no such file"),
        (lambda folder: str(folder / "missing"), "is neither the folder of a workspace"),
        (lambda _: "nonsense", "is neither the folder of a workspace"),
    ],
)
def test_what_is_no_source_is_refused_in_one_line(make: Callable[[Path], str], said: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(CommunityForensicsError, match=said) as refused:
        Index.open([make(tmp_path / "data")], Workspace.open(tmp_path / "workspace"))
    assert "\n" not in str(refused.value)


def test_a_dataset_that_the_hub_does_not_have_is_named(published: Published) -> None:
    with pytest.raises(HubError, match="org/nothing cannot be read from the Hub"):
        Index.open(["org/nothing"], published.workspace, HubAccess(published.hub.endpoint))


def test_two_sources_of_one_name_are_refused(published: Published, tmp_path: Path) -> None:
    copy = shutil.copytree(published.folder / "viewer", tmp_path / "viewer")
    with pytest.raises(UsageError, match="two sources called 'viewer'"):
        Index.open([str(published.folder / "viewer"), str(copy)], published.workspace)


def test_a_shard_with_a_label_that_is_none_is_refused(published: Published, tmp_path: Path) -> None:
    folder = shutil.copytree(published.folder / "viewer", tmp_path / "viewer")
    shard = sorted(folder.glob("data/*.parquet"))[0]
    table = pq.read_table(shard)
    position = table.schema.get_field_index("label")
    pq.write_table(table.set_column(position, "label", pa.array([7] * len(table))), shard)
    with pytest.raises(CommunityForensicsError, match="a label is neither 0 nor 1"):
        Index.open([str(folder)], published.workspace)


@settings(max_examples=60)
@given(st.data())
def test_whatever_the_process_answers_is_a_table_of_that_form_or_an_error(data: st.DataObject) -> None:
    answer = data.draw(
        st.fixed_dictionaries(
            {
                "columns": st.dictionaries(
                    st.sampled_from(["a", "prompt_key"]), st.none() | st.lists(st.text() | st.none(), max_size=3)
                )
            }
        )
    )
    body = data.draw(st.binary(max_size=40))
    try:
        table = _table(answer, body, ["a", "prompt_key"], 2)
    except (KeyError, TypeError, ValueError, pa.ArrowException):
        return
    assert len(table) == 2
    table.validate(full=True)


def test_rows_of_a_shard_are_those_that_it_has(tmp_path: Path) -> None:
    file = io.BytesIO()
    table = pa.table({"name": ["x", None, "x"], "number": [1, None, 3], "prompt": [" A cat", "a CAT ", None]})
    pq.write_table(table, file, row_group_size=2)
    (tmp_path / "x.parquet").write_bytes(file.getvalue())
    with ShardReader() as reader:
        assert reader.columns(str(tmp_path / "x.parquet")) == {"name": "string", "number": "int64", "prompt": "string"}
        (read_back,) = reader.rows(str(tmp_path / "x.parquet"), ("name", "number", "prompt_key"))
    assert read_back.column("name").to_pylist() == ["x", None, "x"]
    assert read_back.column("number").to_pylist() == [1.0, None, 3.0]
    first, second, none = read_back.column("prompt_key").to_pylist()
    assert first == second
    assert none is None
