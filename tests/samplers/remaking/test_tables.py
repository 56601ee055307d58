import hashlib
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplers.remaking.naming import named_rows
from samplers.remaking.tables import columns_of, is_real, read_table
from workspace.errors import UsageError

SHA256 = "ab" * 32


def test_values_that_a_program_has_changed_on_the_way_are_read_as_their_columns_have_them() -> None:
    """pandas makes numbers of integers beside empty cells, and CSV makes texts of everything."""
    seed = 2**53 - 1
    written = {
        "index": "162.0", "seed": str(seed), "call_size": np.float64(4), "guidance_scale": "7.5", "memory": np.nan,
        "class_label": pd.NA, "batch_size": np.int64(8), "prompt": "none", "negative_prompt": "", "clip_skip": "nan",
        "sha256": SHA256.upper(), "width": None,
    }  # fmt: skip
    assert columns_of(written) == {
        "index": 162, "seed": seed, "call_size": 4, "guidance_scale": 7.5, "memory": None, "class_label": None,
        "batch_size": 8, "prompt": "none", "negative_prompt": None, "clip_skip": None, "sha256": SHA256, "width": None,
        "model_name": None, "status": "ok",
    }  # fmt: skip
    assert columns_of({"seed": float(seed)})["seed"] == seed


@pytest.mark.parametrize("value", ["many", "1.5", "inf", [1]])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is no index"):
        columns_of({"index": value})


@pytest.mark.parametrize(
    ("cells", "real"),
    [
        ({"label": 0, "model_name": "org/name"}, True),
        ({"label": "0.0"}, True),
        ({"label": None, "model_name": float("nan")}, True),
        ({"label": 1}, False),
        ({"model_name": "org/name"}, False),
        ({"sha256": SHA256}, False),
    ],
)
def test_real_images_are_told_by_their_label(cells: dict[str, object], real: bool) -> None:
    assert is_real(cells) == real


def test_csv_has_any_usual_separator_a_byte_order_mark_and_long_cells(tmp_path: Path) -> None:
    for separator in ",;\t":
        lines = [["image", "model_name", "index"], ["x" * 200_000, "org/name", "3"], []]
        text = "\n".join(separator.join(line) for line in lines)
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8-sig")
        ((number, cells),) = read_table(tmp_path / "rows.csv")
        assert (number, cells["model_name"], cells["index"]) == (1, "org/name", "3")


def test_a_file_of_the_study_has_the_hash_of_its_images(tmp_path: Path) -> None:
    """In its layout there is no column sha256, index or revision."""
    rows = [
        {"image_name": "00000007.png", "image_data": b"an image", "model_name": "org/name", "label": 1},
        {"image_name": "x.jpg", "image_data": b"a photograph", "model_name": "org/name", "label": 0},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (_, generated), (_, real) = read_table(tmp_path / "rows.parquet")
    assert columns_of(generated) == {
        "model_name": "org/name",
        "image_name": "00000007.png",
        "sha256": hashlib.sha256(b"an image").hexdigest(),
        "status": "ok",
    }
    assert is_real(real)


def test_the_table_of_an_export_has_the_hash_of_the_source() -> None:
    row = {"path": "x/jpeg75/a.jpg", "sha256": "1" * 64, "source_sha256": SHA256, "label": 1, "generator": "org/name"}
    assert columns_of(row) == {"model_name": "org/name", "sha256": SHA256, "status": "ok"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.csv", None, "cannot be read (No such file or directory)"),
        ("rows.csv", b"path,label\na,1\n", "names no images: it needs the columns model_name and index"),
        ("rows.csv", b"model_name,index\na\n", "line 2 has 1 values for 2 columns"),
        ("rows.csv", b"\xff\xfe\x00", "cannot be read"),
        ("rows.csv", b"", "names no images"),
        ("rows.parquet", b"PAR1 and nothing", "cannot be read: not a whole Parquet file"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(words)) as refusal:
        list(read_table(tmp_path / name))
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("table") / "rows.csv"


@pytest.mark.attack
@given(content=st.binary(max_size=200) | st.text("model_name,index;\n\"' 0123", max_size=60).map(str.encode))
def test_no_table_ends_with_a_traceback(content: bytes, written: Path) -> None:
    for start in (b"", b"model_name,index,label\n"):
        written.write_bytes(start + content)
        with suppress(UsageError):
            named_rows(written)
