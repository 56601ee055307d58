"""Records: frozen dataclasses with a Parquet schema.

A record is a dataclass whose fields are made by `column`: the Arrow type, the documentation with unit and source, and,
for a field that is itself a record (or a tuple of them), the class of that record. `schema` turns the class into a
`pyarrow.Schema` in field order; the documentation is stored in the Parquet file as the `doc` metadata of each field.
`write` and `read` move rows between records and Parquet files; a file with another schema is an error. Every page is
written with a checksum, which is compared whenever it is read: a letter that changed on a disk is never taken for data.
"""

import base64
import dataclasses
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from workspace.atomic import atomic_path
from workspace.errors import UsageError, in_one_line, is_refusal
from workspace.record_columns import rows_of

R = TypeVar("R")


class DamagedFileError(UsageError):
    """A Parquet file that does not exist, is incomplete, or is not what was written."""


def column(
    arrow_type: pa.DataType | None = None,
    doc: str = "",
    *,
    of: type | None = None,
    many: bool = False,
    **field_options: Any,
) -> Any:
    """A field of a record.

    `arrow_type` is its Arrow type; or `of` is the class of a nested record (`many`: a list of them, a tuple in Python).
    A field without a default is never null; a field whose default is None may be. `field_options` are passed to
    `dataclasses.field`.
    """
    if of is not None:
        arrow_type = pa.struct(list(schema(of)))
        if many:
            arrow_type = pa.list_(pa.field("element", arrow_type, nullable=False))
    metadata = {"arrow_type": arrow_type, "doc": doc, "of": of, "many": many}
    return dataclasses.field(metadata=metadata, **field_options)


@functools.cache
def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record class, fields in order, documentation in each field's metadata."""
    return pa.schema(
        pa.field(
            field.name,
            field.metadata["arrow_type"],
            nullable=field.default is None,
            metadata={"doc": field.metadata["doc"]},
        )
        for field in dataclasses.fields(record)
    )


def to_table(record: type[R], rows: Iterable[R]) -> pa.Table:
    """Records as an Arrow table. Raises `pa.ArrowInvalid` or `pa.ArrowTypeError` for a value that does not fit
    its column."""
    rows, columns = list(rows), schema(record)  # type: ignore[arg-type]
    arrays = []
    for column in columns:
        values = list(map(attrgetter(column.name), rows))
        arrays.append(pa.array(list(map(_plain, values)) if pa.types.is_nested(column.type) else values, column.type))
    table = pa.Table.from_arrays(arrays, schema=columns)
    table.validate(full=True)
    return table


def _plain(value: Any) -> Any:
    """A value as Arrow takes it: dictionaries for records, in lists too. As `dataclasses.asdict`, which copies every
    value and takes several times as long."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    names = _field_names(value.__class__)
    return {name: _plain(getattr(value, name)) for name in names} if names else value


@functools.cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def from_table(record: type[R], table: pa.Table) -> list[R]:
    """The rows of a table as records."""
    return [row for batch in table.to_batches() for row in rows_of(record, batch)]


def write(
    path: Path,
    record: type[R],
    rows: Iterable[R],
    plain: Collection[str] = (),
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write records as one Parquet file, whole or not at all; the same rows give the same bytes.

    `metadata`: of the file, beside that of its columns. `plain`: leaf columns that are stored as they are, such as
    image.bytes: they are compressed already, and a store that cuts by content finds them again.
    """
    write_table(path, to_table(record, rows).replace_schema_metadata(metadata), plain)


def write_table(path: Path, table: pa.Table, plain: Collection[str] = ()) -> None:
    """Write a table as one Parquet file, whole or not at all; the same table gives the same bytes.

    `plain`: as in `write`.
    """
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, **_options(table, plain))


def content_of(table: pa.Table, plain: Collection[str] = ()) -> memoryview:
    """The bytes that `write_table` writes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **_options(table, plain))
    return memoryview(sink.getvalue())


def _options(table: pa.Table, plain: Collection[str]) -> dict[str, Any]:
    """How a table is written."""
    options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
    if plain:
        others = [leaf for leaf in leaves(table.schema) if leaf not in plain]
        compression = dict.fromkeys(others, "zstd") | dict.fromkeys(plain, "none")
        options |= {"compression": compression, "use_dictionary": others, "write_statistics": others}
    return options


@functools.lru_cache(maxsize=32)  # each batch of samples asks
def leaves(columns: pa.Schema) -> tuple[str, ...]:
    """Paths of a schema's leaf columns, as Parquet names them."""
    return tuple(leaf.path for leaf in _parquet_schema(columns))


def _parquet_schema(columns: pa.Schema) -> pq.ParquetSchema:
    sink = pa.BufferOutputStream()
    pq.write_table(columns.empty_table(), sink)
    return pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema


def read_table(path: Path, record: type, columns: Sequence[str] | None = None, former: bool = False) -> pa.Table:
    """Read a Parquet file of this record; `columns` limits what is read, `former` as in `opened`.

    Raises `DamagedFileError` when the file is missing or damaged, `UsageError` when it has other columns than the
    record.
    """
    with opened(path, record, former) as file:
        return file.read(columns=list(columns) if columns is not None else None)


def read_content(content: memoryview, path: Path, record: type, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the bytes of such a file, which are a part of `path`; `columns` and errors as `read_table`."""
    with _opened(pa.BufferReader(content), path, record, former=False) as file:
        return file.read(columns=list(columns) if columns is not None else None)


def read(path: Path, record: type[R], former: bool = False) -> list[R]:
    """Read a Parquet file of this record as records; `former` as in `opened`, errors as `read_table`."""
    with reading(path):
        return from_table(record, read_table(path, record, former=former))


def verify(path: Path, record: type, without: Collection[str] = ()) -> None:
    """Read a Parquet file of this record and check every page, but for the leaf columns `without`; errors as
    `read_table`."""
    with opened(path, record) as file:
        read = [leaf.path for leaf in file.schema if leaf.path not in without]
        for group in range(file.num_row_groups):
            # One thread: callers verify several files at a time.
            file.read_row_group(group, columns=read, use_threads=False)


@contextmanager
def opened(path: Path, record: type, former: bool = False) -> Iterator[pq.ParquetFile]:
    """A block with a Parquet file of this record open, whose pages are checked as they are read; errors, in the block
    too, as `read_table`.

    `former`: whether it may be of a former version, which lacks columns that have defaults.
    """
    with _opened(path, path, record, former) as file:
        yield file


@contextmanager
def _opened(source: Path | pa.BufferReader, path: Path, record: type, former: bool) -> Iterator[pq.ParquetFile]:
    expected = schema(record)
    # One plain file: a folder name such as `a=b` above it is no partition, so no dataset discovery.
    with reading(path), pq.ParquetFile(source, page_checksum_verification=True) as file:
        if not file.schema_arrow.equals(expected) and not (former and _is_former(file.schema_arrow, record)):
            if _is_of_this_version(file, expected):
                raise DamagedFileError(f"{path} is damaged: its two descriptions of the columns differ")
            raise UsageError(
                f"{path} was written by another version of community-forensics: continue with that version, or use "
                f"another --workspace; {_difference(file.schema_arrow, expected)}"
            )
        meta = file.metadata
        if meta.num_rows != sum(meta.row_group(group).num_rows for group in range(meta.num_row_groups)):
            # No checksum protects the description, and a reader believes each group.
            raise DamagedFileError(f"{path} is damaged: its two counts of rows differ")
        yield file


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """A block that reads a Parquet file: errors for a missing or damaged file become `DamagedFileError`.

    A file that this process may not read is not damaged: that stays an `OSError`, with its name.
    """
    if not path.is_file() and path.exists():
        # From a pipe reading would wait for ever.
        raise DamagedFileError(f"{path} is not a Parquet file: it is not a regular file")
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} does not exist") from error
    # PyArrow raises different exceptions for damage in different parts of a file.
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and is_refusal(error) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise DamagedFileError(
            f"{path} is not a Parquet file, or it is damaged: {in_one_line(error, 200, named=False)}"
        ) from error


def _is_of_this_version(file: pq.ParquetFile, expected: pa.Schema) -> bool:
    """Whether one of the two schemas in a file, Parquet's and Arrow's, is that of this version, so that a bit of the
    other one changed: another version writes two others."""
    if _leaves(file.schema) == _leaves(_parquet_schema(expected)):
        return True
    try:
        content = base64.b64decode((file.metadata.metadata or {}).get(b"ARROW:schema", b""))
        return bool(pa.ipc.read_schema(pa.py_buffer(content)).equals(expected))
    except (OSError, ValueError, pa.ArrowException):
        return False


def _is_former(found: pa.Schema, record: type) -> bool:
    """Whether a file has columns of this record only, and lacks none that has no default."""
    expected = schema(record)
    optional = {field.name for field in dataclasses.fields(record) if field.default is not dataclasses.MISSING}
    missing = set(expected.names) - set(found.names)
    known = all(field.name in expected.names and field.type == expected.field(field.name).type for field in found)
    return bool(missing) and missing <= optional and known


def _leaves(columns: pq.ParquetSchema) -> list[tuple[str, str, str, int]]:
    return [(leaf.path, leaf.physical_type, str(leaf.logical_type), leaf.max_definition_level) for leaf in columns]


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    missing = [field.name for field in expected if field.name not in found.names]
    extra = [name for name in found.names if name not in expected.names]
    retyped = [
        f"{field.name} is {found.field(field.name).type}, not {field.type}"
        for field in expected
        if field.name in found.names and found.field(field.name) != field
    ]
    differences = [f"it lacks {', '.join(missing)}"] if missing else []
    differences += [f"it also has {', '.join(extra)}"] if extra else []
    differences += retyped
    return "; ".join(differences) or "its columns are in another order"
