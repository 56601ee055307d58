"""What readers of Parquet and CSV make of a manifest, of a published shard and of the tables: what is in them.

JavaScript's and R's readers, and pandas where a column has nulls, hold whole numbers as doubles: none is beyond 2**53.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import Hyperparameters
from manifests.building import build
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.publishing.layouts import layout_of
from manifests.tables.generators import generators_path
from tests.manifests.making import Builder
from workspace.identity import seed_of
from workspace.layout import Workspace

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A manifest with and without values in every column, a shard of each layout, and a table as CSV."""
    folder = tmp_path_factory.mktemp("readers")
    builder = Builder(Workspace.open(folder / "workspace"))
    photo = builder.real("photos", 0, real_mode=None, license=None, redistributable=None)
    facts = {"real_jpeg_quality": 93, "real_chroma_subsampling": "4:2:0", "real_progressive": False}
    builder.prompts["photos"] = [replace(photo, real_has_exif=True, real_has_icc=False, **facts)]  # type: ignore[arg-type]
    builder.prompts["again"] = [replace(photo, prompt_id="again/1", real_source="again")]
    one = builder.generator("org/one", license="=HYPERLINK(1)", hyperparameters=Hyperparameters(guidance_scale=0.1))
    two = builder.generator("org/two", lineage=(), base_model=None, task="class-conditional")
    same = builder.picture("same", 0)
    builder.sample(
        one, photo, seed=2**53 - 1, content=same, negative_prompt='"a", b\n\u200dc', num_inference_steps=None
    )
    builder.sample(two, None, seed=0, content=same, class_label=7, guidance_scale=None, call_size=1)
    workspace = builder.write()
    build(workspace, BuildOptions(verify="full"))
    paths = {"manifest": manifest_path(workspace), "generators": generators_path(workspace)}
    rows = pq.ParquetFile(paths["manifest"]).read()
    contents = pa.array([b"\x89PNG\x00"] * len(rows), pa.binary())
    for name in ("viewer", "community-forensics"):
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(layout_of(name).table(rows.filter(pc.is_valid(rows["split"])), contents), paths[name])
    return paths


def by_pandas(path: Path) -> Rows:
    return pd.read_parquet(path).to_dict("records")  # type: ignore[return-value]


def by_polars(path: Path) -> Rows:
    return pl.read_parquet(path).to_dicts()


def by_duckdb(path: Path) -> Rows:
    with duckdb.connect() as connection:
        return connection.read_parquet(str(path)).to_arrow_table().to_pylist()


def plain(value: Any) -> Any:
    """A value as Arrow gives it: readers have several words for null and for a list."""
    if isinstance(value, np.ndarray | list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return None if value is None or value != value or value is pd.NA else value


@pytest.mark.parametrize("read", [by_pandas, by_polars, by_duckdb])
@pytest.mark.parametrize("name", ["manifest", "generators", "viewer", "community-forensics"])
def test_every_reader_reads_what_is_in_the_file(
    written: dict[str, Path], name: str, read: Callable[[Path], Rows]
) -> None:
    expected = pq.ParquetFile(written[name]).read().to_pylist()
    assert [plain(row) for row in read(written[name])] == expected
    assert {type(value) for row in expected for value in row.values()} >= {str, type(None), int}


@pytest.mark.parametrize("name", ["manifest", "generators", "viewer", "community-forensics"])
def test_no_whole_number_is_beyond_what_a_double_holds(written: dict[str, Path], name: str) -> None:
    table = pq.ParquetFile(written[name]).read().flatten()
    integers = [column for column in table.columns if pa.types.is_integer(column.type)]
    assert integers
    assert all(abs(number) < 2**53 for column in integers for number in column.drop_null().to_pylist())
    assert not any(pa.types.is_uint64(column.type) or pa.types.is_decimal(column.type) for column in table.columns)


def test_every_reader_reads_the_table_of_generators_from_csv(written: dict[str, Path]) -> None:
    expected = pq.ParquetFile(written["generators"]).read().to_pylist()
    for row in expected:
        if row["license"] == "=HYPERLINK(1)":
            row["license"] = row["license_effective"] = "'=HYPERLINK(1)"  # no formula of a spreadsheet
    csv = written["generators"].with_suffix(".csv")
    with duckdb.connect() as connection:
        by_duckdb = connection.read_csv(str(csv)).to_arrow_table().to_pylist()
    for rows in (pd.read_csv(csv).to_dict("records"), pl.read_csv(csv).to_dicts(), by_duckdb):
        assert [{name: plain(value) for name, value in row.items()} for row in rows] == expected


def test_pandas_reads_every_seed_from_parquet_and_from_csv(builder: Builder, tmp_path: Path) -> None:
    generator, photo = builder.generator("org/one"), builder.real("photos", 0)
    seeds = [2**53 - 1, 2**53 - 2, 2**52 + 1, 0, *(seed_of("org/one", index) for index in range(6))]
    for seed in seeds:
        builder.sample(generator, photo, seed=seed)
    workspace = builder.write()
    build(workspace)
    path = manifest_path(workspace)
    table = pq.ParquetFile(path).read()
    expected = table["seed"].to_pylist()
    assert expected == [*seeds, None]  # the real image has none, so pandas holds the others as doubles
    pa.csv.write_csv(table.select(["image_name", "seed"]), tmp_path / "rows.csv")
    for frame in (pd.read_parquet(path), pd.read_csv(tmp_path / "rows.csv")):
        assert frame["seed"].dtype == "float64"
        assert [int(seed) for seed in frame["seed"].dropna()] == seeds
    numbers = [name for name in table.column_names if pa.types.is_int64(table.schema.field(name).type)]
    assert all(abs(value) <= 2**53 for name in numbers for value in table[name].drop_null().to_pylist())


@given(st.lists(st.text() | st.integers(), min_size=1), st.integers(0, 10**6))
def test_any_seed_is_read_from_json_and_csv_as_it_is(key: list[str | int], index: int) -> None:
    seed = seed_of(*key, index)
    assert int(json.loads(f"[{seed}.0]")[0]) == seed
    assert int(pd.array([seed, None], dtype="Int64").to_numpy("float64", na_value=float("nan"))[0]) == seed
