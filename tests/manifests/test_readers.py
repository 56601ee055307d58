"""Readers that hold numbers as doubles, which pandas does where a column has nulls, read every number of a manifest."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from manifests.building import build
from manifests.manifest import manifest_path
from tests.manifests.making import Builder
from workspace.identity import seed_of


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
