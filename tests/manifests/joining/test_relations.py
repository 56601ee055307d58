"""The relations are what DuckDB has while a manifest is built: every table, every column, every type."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pytest

from manifests.database import registered
from manifests.joining import batch_tables, equal_files, join, real_images, relations, sample_batches
from manifests.joining.join import open_records, write_manifest
from manifests.relation import Column, Relation
from manifests.splits import SplitAssignment
from samplers.sample import Sample
from tests.manifests.making import Builder

RELATIONS = {value for value in vars(relations).values() if isinstance(value, Relation)}

#: What DuckDB calls the types that the join makes.
ENUMS = {"ENUM('train', 'validation', 'test')": relations.SPLIT_ORDER}

#: Views and tables that have more columns than the queries use: all of their record.
WITH_MORE = {relations.PROMPTS, relations.CATALOG_FILE, relations.SAMPLES}


class Described:
    """What DuckDB says of relations, whenever one was there."""

    def __init__(self) -> None:
        self.columns: dict[str, dict[str, str]] = {}

    def look(self, connection: duckdb.DuckDBPyConnection) -> None:
        existing = connection.execute(
            """SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"""
        ).fetchall()
        for (name,) in existing:
            rows = connection.execute(f"DESCRIBE {name}").fetchall()
            self.columns[name] = {column: sql_type for column, sql_type, *_ in rows}


def test_every_relation_has_the_columns_that_it_declares(filled: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    described = Described()

    @contextmanager
    def and_described(connection: duckdb.DuckDBPyConnection, tables: Mapping[Relation, pa.Table]) -> Iterator[None]:
        with registered(connection, tables):
            described.look(connection)
            yield
            described.look(connection)

    for module in (sample_batches, batch_tables, join, real_images, equal_files):
        monkeypatch.setattr(module, "registered", and_described)
    workspace = filled.write()
    with open_records(workspace) as connection:
        assignment = SplitAssignment({"org/painter": "train", "org/sketcher": "test", "solo-dreamer": "train"})
        write_manifest(
            connection, workspace.root / "m.parquet", assignment, workspace.root / "w.parquet",
            check=lambda _: described.look(connection),
        )  # fmt: skip
        described.look(connection)
    assert described.columns.keys() == {str(relation) for relation in RELATIONS}
    for relation in RELATIONS:
        declared = {column.name: column.sql_type for column in relation.columns}
        found = described.columns[str(relation)]
        found = {
            name: ENUMS.get(kind, relations.REPEATED_TEXT if kind.startswith("ENUM") else kind)
            for name, kind in found.items()
        }
        if relation in WITH_MORE:
            found = {name: found[name] for name in declared if name in found}
        assert found == declared, relation
        assert all(column.doc for column in relation.columns)


def test_a_column_of_a_record_has_its_type_and_its_documentation() -> None:
    assert relations.SAMPLES.seed.sql_type == "BIGINT"
    assert relations.CATALOG.lineage.sql_type == "VARCHAR[]"
    assert relations.PROMPTS.prompt_id.doc.startswith("<real_source>/<real_id>")
    assert f"{relations.SAMPLES.index} of {relations.SAMPLES}" == '"index" of samples'


def test_a_column_that_the_record_lacks_is_an_error_of_the_definition() -> None:
    with pytest.raises((RuntimeError, KeyError)):

        class _Renamed(Relation):
            seeds = Column(of=Sample)
