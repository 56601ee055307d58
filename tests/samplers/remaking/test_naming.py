import hashlib
import re
from pathlib import Path

import pandas as pd
import pytest

from samplers.remaking.naming import NamedRow, named_rows
from workspace.errors import UsageError

SHA256 = "ab" * 32
COMMIT = "0123456789ab"


@pytest.mark.parametrize(
    ("text", "generators", "index"),
    [
        ("org/name/00000162.png", ("org/name", "name"), 162),
        ("org/name#162", ("org/name",), 162),
        ("org/name#00000162.png", ("org/name",), 162),
        (f"org/name@{COMMIT}#162", (f"org/name@{COMMIT}",), 162),
        (f"org/name@{COMMIT}/00000162.png", (f"org/name@{COMMIT}", f"name@{COMMIT}"), 162),
        ("images/org--name/00000162.png", ("org/name",), 162),
        ("/shared/run-1/workspace/images/org--name/00000162.png", ("org/name",), 162),
        (f"images/org--name@{COMMIT}/00000162.png", (f"org/name@{COMMIT}",), 162),
        ("images/gpt/100000162.png", ("images/gpt", "gpt"), 100000162),
        ("samples/org--name/part-00005.parquet#00000162.png", ("org/name",), 162),
        ("run-1/samples/org--name/part-00005.parquet#00000162.png", ("org/name",), 162),
    ],
)
def test_a_name_or_a_path_says_generator_and_number(text: str, generators: tuple[str, ...], index: int) -> None:
    assert named_rows(text).rows == (NamedRow(text, generators, index),)


def test_an_image_file_of_any_name_is_found_by_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"a picture")
    sha256 = hashlib.sha256(b"a picture").hexdigest()
    rows = named_rows([tmp_path / "cat.png", sha256.upper()]).rows
    assert [(row.index, row.columns) for row in rows] == [(None, {"sha256": sha256})] * 2


@pytest.mark.parametrize("text", ["org/name", "org/name/x.png", "nothing.png", "#5", "", "a#b"])
def test_what_names_no_image_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"names no image and no file; name ORG/NAME/00000162\.png"):
        named_rows(text)


def test_rows_of_a_table_are_named_by_repository_and_revision_or_by_their_sha256() -> None:
    frame = pd.DataFrame(
        [
            {"model_name": "org/name", "revision": "c" * 40, "index": 3, "sha256": SHA256, "label": 1},
            {"model_name": "org/name", "image_name": "00000004.png", "label": 1},
            {"sha256": SHA256, "label": 1},
            {"label": 0, "sha256": SHA256},
        ]
    )
    rows = named_rows(frame)
    assert rows.real == 1
    assert [(row.generators, row.index) for row in rows.rows] == [
        ((f"org/name@{'c' * 40}",), 3),
        (("org/name",), 4),
        ((), None),
    ]
    assert rows.rows[0].columns == {"sha256": SHA256, "status": "ok"}
    assert [row.given for row in rows.rows] == ["row 1", "row 2", "row 3"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no row to make again is named"),
        ([{"label": 0, "sha256": SHA256}], "all 1 rows are real images"),
        ([{"model_name": "org/name", "index": "many"}], "row 1: 'many' is no index: correct it"),
        ([{"label": 1, "model_name": "org/name"}], "row 1: names no image: a table needs the columns"),
    ],
)
def test_no_row_is_an_error_in_one_line(rows: list[dict[str, object]], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        named_rows(rows)
