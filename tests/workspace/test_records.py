"""Records are read from Parquet as they were written; other files are refused."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, ModelFile
from samplers.sample import ImageFile, Sample
from tests.records import catalog_entry, prompt
from workspace import records
from workspace.errors import UsageError

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
INT32 = st.integers(-(2**31), 2**31 - 1)

SAMPLES = st.builds(
    Sample,
    index=st.integers(0, 2**62),
    round=st.integers(1, 9),
    seed=st.integers(0, 2**63 - 1),
    batch_size=st.integers(1, 64),
    call_size=st.integers(1, 64),
    class_label=st.none() | INT32,
    width=st.none() | INT32,
    height=st.none() | INT32,
    num_inference_steps=st.none() | INT32,
    nsfw_score=st.none() | st.floats(width=32, allow_nan=False),
    image=st.builds(ImageFile, bytes=st.none() | st.binary(max_size=9), path=st.none() | TEXT),
    model_name=TEXT,
    prompt=st.none() | TEXT,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(SAMPLES, max_size=4))
def test_samples_are_read_as_they_were_written(tmp_path: Path, samples: list[Sample]) -> None:
    records.write(tmp_path / "part.parquet", Sample, samples)
    assert records.read(tmp_path / "part.parquet", Sample) == samples


def entry(**changes: object) -> CatalogEntry:
    """A row with nested records and lists."""
    values: dict[str, object] = {
        "tags": ("diffusers", "region:us"),
        "lineage": ("org/base",),
        "hyperparameters": Hyperparameters(num_inference_steps=25, guidance_scale=7.5),
        "hyperparameter_sources": HyperparameterSources(num_inference_steps="card"),
        "files": (ModelFile(path="unet/model.safetensors", size=5, sha256="a" * 64),),
    }
    return catalog_entry(**values | changes)


def test_nested_records_come_back_as_records(tmp_path: Path) -> None:
    rows = [entry(), entry(model_name="org/other", files=(), tags=(), lineage=(), license=None)]
    records.write(tmp_path / "catalog.parquet", CatalogEntry, rows)
    assert records.read(tmp_path / "catalog.parquet", CatalogEntry) == rows


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.parquet", "two.parquet"):
        records.write(tmp_path / name, CatalogEntry, [entry()])
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.parametrize("record", [CatalogEntry, Prompt, Sample])
def test_every_column_is_documented_and_the_file_says_so(record: type, tmp_path: Path) -> None:
    records.write(tmp_path / "empty.parquet", record, [])
    for field in pq.read_schema(tmp_path / "empty.parquet"):
        assert field.metadata[b"doc"], field.name


def test_null_where_a_value_must_be_is_refused_at_writing(tmp_path: Path) -> None:
    with pytest.raises(pa.ArrowInvalid):
        records.write(tmp_path / "x.parquet", CatalogEntry, [entry(revision=None)])
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_version_is_refused_with_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "old.parquet"
    table = records.to_table(CatalogEntry, [entry()])
    pq.write_table(table.drop(["gated"]).append_column("stars", pa.array([1])), path)
    with pytest.raises(UsageError, match=r"old\.parquet was .* another version .* it lacks gated; it also has stars"):
        records.read(path, CatalogEntry)


def test_a_file_of_a_former_version_is_read_only_where_it_may_be_one(tmp_path: Path) -> None:
    """The former version had fewer columns, and let one of them not be null."""
    path = tmp_path / "old.parquet"
    table = records.to_table(Prompt, [prompt(text="a cat")]).drop(["weight", "round", "real_file_size"])
    former = table.schema.set(
        table.schema.get_field_index("real_id"), table.schema.field("real_id").with_nullable(False)
    )
    pq.write_table(table.cast(former), path)
    with pytest.raises(UsageError, match=r"another version .* it lacks weight, round, real_file_size"):
        records.read(path, Prompt)
    (row,) = records.read(path, Prompt, former=True)
    assert row == prompt(text="a cat")
    assert (row.weight, row.round, row.real_file_size) == (None, 1, None)


@pytest.mark.parametrize(
    "other",
    [
        lambda table: table.drop(["weight", "prompt"]),
        lambda table: table.drop(["weight"]).append_column("stars", pa.array([1])),
        lambda table: table.drop(["weight", "real_width"]).append_column("real_width", pa.array(["64"])),
        lambda table: table.rename_columns([name.replace("prompt_id", "prompt_ie") for name in table.column_names]),
    ],
    ids=["lacks what has no default", "another column", "another type", "another name"],
)
def test_any_other_file_is_none_of_a_former_version(tmp_path: Path, other: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(other(records.to_table(Prompt, [prompt()])), tmp_path / "old.parquet")
    with pytest.raises(UsageError):
        records.read(tmp_path / "old.parquet", Prompt, former=True)


def test_a_missing_file_or_one_of_another_format_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 no")
    for name in ("junk.parquet", "absent.parquet"):
        with pytest.raises(UsageError, match=name):
            records.read(tmp_path / name, Prompt)
