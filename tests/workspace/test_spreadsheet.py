import pytest

from workspace.spreadsheet import cells

pytestmark = pytest.mark.attack


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝"])
def test_no_text_is_a_formula_and_all_can_be_written(start: str) -> None:
    row = {"a": f"{start}1+1", "b": "x" + start, "c": -1, "d": None, "e": "\x1b[31m\ud800"}
    assert cells(row) == {"a": f"'{start}1+1", "b": "x" + start, "c": -1, "d": None, "e": "\ufffd[31m\ufffd"}
