"""Trees that were made to end an import, to fill its memory, or to reach who reads its report."""

import csv
import os
from pathlib import Path

import pytest

from samplers.foreign.image import ForeignImage
from samplers.foreign.rows import row_of
from samplers.importing import prompts
from samplers.importing.account import Account, GeneratorAccount
from samplers.importing.command import described
from samplers.importing.prompts import Prompts
from samplers.importing.selection import select
from samplers.importing.tree import Tree, open_tree
from samplers.sample import Sample
from tests.bounds import within
from tests.records import catalog_entry
from tests.scale import scaled
from workspace import records

pytestmark = pytest.mark.attack

SAID = {"architecture": "GAN", "license": None, "subset": "Manual"}


def test_many_names_of_generators_take_seconds(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(20_000)]
    (tmp_path / "a.csv").write_text("file_name,model\n" + "".join(f"{name},m{name}\n" for name in names))
    tree = Tree(str(tmp_path), names, frozenset({"a.csv"}))
    with within(seconds=4):
        found, _ = select(tree, described("org", str(tmp_path), SAID, {}, "model"))
    assert len(found) == len(names)


#: What a table repeats; `make test` takes one for each reader.
PIECES = [
    ("a.csv", ",\n"),
    ("a.csv", "x.png,a cat\n"),
    ("a.csv", "ab,"),
    ("a.csv", '"\n",'),
    ("a.tsv", "\t"),
    ("a.jsonl", "[]\n"),
    ("a.jsonl", '{"a": 1}\n'),
    ("a.jsonl", "[],"),
    ("a.json", '{"a":1},'),
    ("a.json", "[],"),
]


@pytest.mark.parametrize(
    ("name", "piece"), scaled([("a.csv", "ab,"), ("a.jsonl", '{"a": 1}\n'), ("a.json", "[],")], PIECES)
)
def test_a_table_takes_the_memory_of_its_images_not_of_its_rows(
    name: str, piece: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.json_text.load_json.__defaults__", (10_000,))
    monkeypatch.setattr(prompts, "_TABLE", 2**20)
    monkeypatch.setattr(prompts, "_LONGEST_ROW", 20_000)
    text = piece * (100_000 // len(piece))
    text = f"[{text}1]" if name.endswith(".json") else f"file_name,prompt\n{text}" if name == "a.csv" else text
    (tmp_path / name).write_text(text)
    tree = Tree(str(tmp_path), ["b.png"], frozenset({name}))
    with within(seconds=4, megabytes=3):
        assert Prompts(tree).of("b.png").prompt is None


def test_a_table_whose_name_no_text_holds_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / os.fsdecode(b"\xff\x1b[31m.csv")).write_text("file_name,prompt\na.png,a cat\n")
    said = Prompts(open_tree(str(tmp_path))).of("a.png")
    assert said.prompt == "a cat"
    image = ForeignImage(content=None, prompt=said.prompt, prompt_source=said.source)
    row = row_of(catalog_entry("org/x"), 1, 0, "imported", image, None)
    assert row.prompt_source == "table:\ufffd\ufffd[31m.csv"
    records.to_table(Sample, [row])


def test_no_name_is_a_formula_in_the_report(tmp_path: Path) -> None:
    row = {"index": 0, "original_name": "=1+1.png", "status": "ok", "detail": "@x", "sha256": "0", "similar_to": None}
    row |= {"image_name": "0.png", "prompt_source": None, "prompt_id": None, "equal_to": None}
    strange = os.fsdecode(b"\xff\x1b.png")
    Account([GeneratorAccount("org/x", [row], 1)], ["-2.png", strange]).write(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [one["original_name"] for one in written] == ["'=1+1.png", "'-2.png", "\ufffd\ufffd.png"]
    assert written[0]["detail"] == "'@x"


def test_a_hole_that_is_called_an_image_is_not_hashed(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    os.truncate(tmp_path / "a.png", 1 << 40)
    with within(seconds=1):
        assert open_tree(str(tmp_path)).revision(["a.png"], ()) == [("a.png", "too large: 1,099,511,627,776 bytes")]
