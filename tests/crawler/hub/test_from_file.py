from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.hub.client import Hub
from crawler.hub.from_file import COLUMNS, digest, look_up, read_names
from crawler.hub.listing import Selection, list_models
from localhub.process import HubProcess
from tests.crawler.conftest import ALL
from workspace.errors import UsageError
from workspace.hub_access import HubAccess

EVERYTHING = Selection.of(ALL)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_of_names_is_found(tmp_path: Path, column: str, suffix: str) -> None:
    table = pa.table({"n": [1, 2, 3, 4], column: ["b/b", "a/a", None if suffix == "parquet" else "b/b", "b/b"]})
    path = tmp_path / "names"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        pa.csv.write_csv(table, path)
    assert read_names(path) == ("b/b", "a/a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "neither a Parquet file nor a CSV"),
        (b"PAR1 and no more", "neither a Parquet file nor a CSV"),
        (b"\xff\xfe\x00\n\x00", "none of the columns|neither a Parquet"),
        (b"name,size\na/b,1\n", "none of the columns model_name, model_id"),
        (b"model_id,size\n", "names no model"),
        (b"model_id\na/b c\n", "a/b c"),
        (b"model_id\na/../../b\n", "a/../../b"),
        (b"model_id,n\na/b,1\na/c\n", "neither a Parquet file nor a CSV"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "names.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as refused:
        read_names(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_column_of_numbers_names_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "numbers.parquet")
    with pytest.raises(UsageError, match="its column id holds int64"):
        read_names(tmp_path / "numbers.parquet")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_names_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "names.csv"
    path.write_bytes(b"id\n" + content)
    try:
        assert read_names(path)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right


def test_the_recipe_knows_the_names_in_any_order() -> None:
    assert digest(("a/a", "b/b")) == digest(("b/b", "a/a")) != digest(("a/a",))


def test_what_is_looked_up_is_what_is_listed_but_for_the_downloads_of_all_time(wild_hub: HubProcess) -> None:
    hub = Hub(HubAccess(wild_hub.endpoint))
    # A disabled model answers nobody who names it.
    listed = [row for row in list_models(hub, EVERYTHING) if not row.disabled]
    found = look_up(hub, EVERYTHING, [row.model_name for row in reversed(listed)], workers=4)
    assert [row.model_name for row in found.listed] == [row.model_name for row in listed]
    assert [(row.revision, row.tags, row.gated, row.likes) for row in found.listed] == [
        (row.revision, row.tags, row.gated, row.likes) for row in listed
    ]
    assert "model_index.json" in found.files["acme/base"]


def test_patterns_and_limits_hold_for_named_models_too(wild_hub: HubProcess) -> None:
    few = Selection(limit=1, kinds=("lora",), include=("acme/lora*",), author="acme")
    wild_hub.clear_requests()
    found = look_up(
        Hub(HubAccess(wild_hub.endpoint)), few, ["acme/base", "acme/lora", "acme/lora-many", "other/lora"], workers=1
    )
    assert [row.model_name for row in found.listed] == ["acme/lora"]
    assert len(wild_hub.requests()) == 2
