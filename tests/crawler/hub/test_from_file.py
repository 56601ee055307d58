from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.choice import Choice
from crawler.generator_names import GeneratorNames
from crawler.hub.client import Hub
from crawler.hub.from_file import COLUMNS, Names, digest, look_up_models, read_names
from crawler.hub.listing import Selection, list_models
from localhub.process import HubProcess
from tests.crawler.conftest import ALL
from workspace.errors import UsageError
from workspace.hub_access import HubAccess

EVERYTHING = Selection.of(ALL)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_of_names_is_read(tmp_path: Path, column: str, suffix: str) -> None:
    table = pa.table({"n": [1, 2, 3, 4], column: ["b/b", "a/a", None if suffix == "parquet" else "b/b", "b/b"]})
    path = tmp_path / "names"
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        pa.csv.write_csv(table, path)
    assert read_names(path) == Names(("b/b", "a/a"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"", "contains no repository id"),
        (b"PAR1 and no more", "neither a Parquet file nor a CSV file"),
        (b"\xff\xfe\x00\n\x00", "neither a Parquet"),
        (b"model_id,size\n", "contains no repository id"),
        (b"model_id\na/b c\n", "line 2: 'a/b c' is not a repository id"),
        (b"model_id\na/../../b\n", "a/../../b"),
        (b"some prose\n", "line 1: 'some prose' is not a repository id"),
    ],
)
def test_a_bad_file_is_refused_with_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "names.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as refused:
        read_names(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfmodel_id,downloads\r\na/a,5\r\nb/b,4\r\n",
        b"rank;model_id\n1;a/a\n2;b/b\n",
        b"model_id\tn\na/a\t1\nb/b\t2\n",
        b'model_id,notes\n"a/a","two\nlines"\nb/b,x\n',
        b"model_id\nhttps://huggingface.co/a/a\nhttps://hf.co/b/b/tree/main?x=1\n",
        b"model_id\n a/a \n\nb/b\n",
        b"a/a\nb/b",
        b"# mine\na/a\n\n# others\nb/b\n",
        b"1,a/a\n2,b/b\n",
    ],
)
def test_names_are_read_as_people_list_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    assert read_names(tmp_path / "list") == Names(("a/a", "b/b"))


def test_a_line_that_names_no_repository_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"name,n\na/a,1\nnot a model,2\nb/b,3\n")
    found = read_names(tmp_path / "list")
    assert found.names == ("a/a", "b/b")
    assert found.bad_lines == tuple(
        f"line {number}: {text!r} is not a repository id (ORG/NAME)"
        for number, text in ((1, "name"), (3, "not a model"))
    )


def test_a_column_of_numbers_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "numbers.parquet")
    with pytest.raises(UsageError, match="column id has the type int64, not string"):
        read_names(tmp_path / "numbers.parquet")


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_give_names_or_a_usage_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "names.csv"
    path.write_bytes(b"id\n" + content)
    try:
        found = read_names(path)
        assert found.names or found.local  # "~" is a folder
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either is right


def test_the_digest_of_names_does_not_depend_on_their_order() -> None:
    assert digest(("a/a", "b/b")) == digest(("b/b", "a/a")) != digest(("a/a",))


def test_models_looked_up_equal_models_listed(wild_hub: HubProcess) -> None:
    hub = Hub(HubAccess(wild_hub.endpoint))
    # The Hub refuses requests for a disabled model.
    listed = [row for row in list_models(hub, EVERYTHING).models if not row.disabled]
    found = look_up_models(hub, EVERYTHING, [row.model_name for row in reversed(listed)], workers=4)
    assert [row.model_name for row in found.models] == [row.model_name for row in listed]
    assert [(row.revision, row.tags, row.gated, row.likes) for row in found.models] == [
        (row.revision, row.tags, row.gated, row.likes) for row in listed
    ]
    assert "model_index.json" in found.descriptions["acme/base"].files


def test_patterns_and_the_limit_apply_to_named_models(wild_hub: HubProcess) -> None:
    only = Choice(only=GeneratorNames(("acme/lora*",)))
    few = Selection(limit=1, kinds=("lora",), choice=only, author="acme")
    wild_hub.clear_requests()
    found = look_up_models(
        Hub(HubAccess(wild_hub.endpoint)), few, ["acme/base", "acme/lora", "acme/lora-many", "other/lora"], workers=1
    )
    assert [row.model_name for row in found.models] == ["acme/lora"]
    assert found.left_out == {"--only": 2}
    # A lost connection is tried again: what counts is who was asked about.
    asked = {request["path"] for request in wild_hub.requests()}
    assert asked == {"/api/models/acme/lora", "/api/models/acme/lora-many"}
