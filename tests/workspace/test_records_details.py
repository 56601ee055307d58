"""The schema of a record and the layout of its file are fixed: other tools read them."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scale import scaled
from workspace import records
from workspace.errors import UsageError
from workspace.records import column


@dataclass(frozen=True)
class Inner:
    size: int = column(pa.int32(), "bytes")
    name: str | None = column(pa.string(), "what it is called", default=None)


@dataclass(frozen=True)
class Outer:
    key: str = column(pa.string(), "what it is found by")
    inner: Inner | None = column(of=Inner, doc="one", default=None)
    others: tuple[Inner, ...] = column(of=Inner, doc="several", many=True, default=())
    tags: tuple[str, ...] = column(pa.list_(pa.string()), "words", default=())
    content: bytes | None = column(pa.binary(), "stored as it is", default=None)


ROWS = [
    Outer("first", Inner(1, "one"), (Inner(2), Inner(3, "three")), ("a", "b"), b"content"),
    Outer("second"),
]


def test_the_schema_of_a_record() -> None:
    inner = pa.struct(
        [
            pa.field("size", pa.int32(), nullable=False, metadata={"doc": "bytes"}),
            pa.field("name", pa.string(), nullable=True, metadata={"doc": "what it is called"}),
        ]
    )
    expected = [
        ("key", pa.string(), False, "what it is found by"),
        ("inner", inner, True, "one"),
        ("others", pa.list_(pa.field("element", inner, nullable=False)), False, "several"),
        ("tags", pa.list_(pa.string()), False, "words"),
        ("content", pa.binary(), True, "stored as it is"),
    ]
    fields = [
        (field.name, field.type, field.nullable, field.metadata[b"doc"].decode()) for field in records.schema(Outer)
    ]
    assert fields == expected
    element = records.schema(Outer).field("others").type.value_field
    assert (element.name, element.nullable) == ("element", False)


def test_nested_records_and_lists_come_back_as_they_were(tmp_path: Path) -> None:
    records.write(tmp_path / "rows.parquet", Outer, ROWS)
    assert records.read(tmp_path / "rows.parquet", Outer) == ROWS


def test_a_value_that_does_not_fit_its_column_is_refused(tmp_path: Path) -> None:
    for row in (Outer("large", Inner(2**31)), Outer("null", others=(Inner(None),))):  # type: ignore[arg-type]
        with pytest.raises(pa.ArrowInvalid):
            records.write(tmp_path / "rows.parquet", Outer, [row])


def test_columns_are_paths_of_leaves() -> None:
    assert list(records.leaves(records.schema(Outer))) == [
        "key",
        "inner.size",
        "inner.name",
        "others.list.element.size",
        "others.list.element.name",
        "tags.list.element",
        "content",
    ]


def stored(path: Path) -> dict[str, tuple[str, bool, bool]]:
    """Of every leaf column: its compression, and whether it has a dictionary and statistics."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {one.path_in_schema: (one.compression, one.has_dictionary_page, one.is_stats_set) for one in columns}


def test_columns_are_compressed_and_described_except_the_plain_ones(tmp_path: Path) -> None:
    names = records.leaves(records.schema(Outer))
    records.write(tmp_path / "rows.parquet", Outer, ROWS)
    assert stored(tmp_path / "rows.parquet") == dict.fromkeys(names, ("ZSTD", True, True))
    records.write(tmp_path / "plain.parquet", Outer, ROWS, plain=("content",))
    expected = {**dict.fromkeys(names, ("ZSTD", True, True)), "content": ("UNCOMPRESSED", False, False)}
    assert stored(tmp_path / "plain.parquet") == expected
    assert records.read(tmp_path / "plain.parquet", Outer) == ROWS


def test_only_the_columns_that_are_wanted_are_read(tmp_path: Path) -> None:
    records.write(tmp_path / "rows.parquet", Outer, ROWS)
    assert records.read_table(tmp_path / "rows.parquet", Outer, ("tags", "key")).column_names == ["tags", "key"]
    assert records.read_table(tmp_path / "rows.parquet", Outer, ()).num_columns == 0
    assert records.read_table(tmp_path / "rows.parquet", Outer).column_names == list(Outer.__dataclass_fields__)


@pytest.mark.parametrize("plain", [(), ("content",)])
def test_one_changed_bit_anywhere_in_the_pages_is_found(tmp_path: Path, plain: tuple[str, ...]) -> None:
    """Bytes that are stored as they are would otherwise be read as if nothing had happened."""
    path = tmp_path / "rows.parquet"
    content = bytes(range(256)) * 20
    records.write(path, Outer, [Outer(f"{number}", content=content) for number in range(3)], plain)
    records.verify(path, Outer)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2 if plain else damaged.index(b"\x28\xb5\x2f\xfd") + 8] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=r"rows\.parquet"):
        records.verify(path, Outer)


def test_every_group_of_rows_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = records.to_table(Outer, [Outer(f"{number}", content=bytes([number]) * 5000) for number in range(4)])
    pq.write_table(table, path, row_group_size=1, write_page_checksum=True, compression="none", use_dictionary=False)
    records.verify(path, Outer)
    for number in range(4):
        damaged = bytearray(path.read_bytes())
        damaged[damaged.index(bytes([number]) * 5000) + 2500] ^= 1
        (tmp_path / "damaged.parquet").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"damaged\.parquet"):
            records.verify(tmp_path / "damaged.parquet", Outer)


def write_with(path: Path, columns: pa.Schema) -> Path:
    pq.write_table(columns.empty_table(), path)
    return path


def test_a_file_of_other_columns_is_refused_with_each_difference(tmp_path: Path) -> None:
    expected = records.schema(Outer)
    fields = list(expected)
    cases = {
        r"lacks tags, content$": fields[:3],
        r"also has stars, forks$": [*fields, pa.field("stars", pa.int64()), pa.field("forks", pa.int64())],
        r"key is binary, not string$": [fields[0].with_type(pa.binary()), *fields[1:]],
        r"order$": fields[::-1],
    }
    for number, (difference, found) in enumerate(cases.items()):
        path = write_with(tmp_path / f"{number}.parquet", pa.schema(found))
        with pytest.raises(UsageError, match=difference):
            records.read_table(path, Outer)


def test_a_file_that_is_missing_or_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 no Parquet")
    for read in (lambda path: records.read(path, Outer), lambda path: records.verify(path, Outer)):
        with pytest.raises(UsageError, match=r"absent\.parquet does not exist"):
            read(tmp_path / "absent.parquet")
        with pytest.raises(UsageError, match=r"rows\.parquet is not a Parquet file") as refusal:
            read(tmp_path / "rows.parquet")
        assert "\n" not in str(refusal.value)


def test_a_bit_of_one_of_the_two_schemas_is_damage_and_not_another_version(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    records.write(path, Outer, ROWS)
    content = path.read_bytes()
    at = content.index(b"ARROW:schema")
    for changed in (content.replace(b"tags", b"tagz"), content[: at + 120] + b"AAAA" + content[at + 124 :]):
        path.write_bytes(changed)
        with pytest.raises(records.DamagedFileError):
            records.read(path, Outer)
    table = records.to_table(Outer, ROWS).rename_columns({"tags": "tagz"})
    pq.write_table(table, path)
    with pytest.raises(UsageError, match="another version") as refused:
        records.read(path, Outer)
    assert not isinstance(refused.value, records.DamagedFileError)


def test_no_changed_bit_of_the_description_gives_other_rows(tmp_path: Path) -> None:
    """No checksum protects it. Its counts of rows are two: a reader that believes one of them loses rows."""
    path = tmp_path / "rows.parquet"
    rows = [Outer(f"{number}") for number in range(200)]
    records.write(path, Outer, rows)
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    for bit in range(0, 8 * (size + 8), scaled(29, 1)):
        damaged = bytearray(content)
        damaged[len(content) - size - 8 + bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with suppress(UsageError):
            assert records.read(path, Outer) == rows, bit
    # The number of rows of the only group, zigzag in one byte: 200 is 0x90 0x03.
    at = content.rindex(b"\x90\x03", 0, content.index(b"ARROW:schema"))
    for changed in range(1, 8):
        damaged = bytearray(content)
        damaged[at] ^= 1 << changed % 7
        path.write_bytes(damaged)
        with suppress(UsageError):
            assert records.read(path, Outer) == rows, changed


@pytest.mark.attack
@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_a_table_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(records.DamagedFileError, match="not a regular file"):
        records.read_table(tmp_path / "a.parquet", Outer)
