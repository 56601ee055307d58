"""Groups of records that are appended: each is whole or not there."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace import journal
from workspace.errors import UsageError
from workspace.journal import Journal, read_groups, rewrite
from workspace.records import column


@dataclass(frozen=True, kw_only=True)
class Record:
    number: int = column(pa.int64(), "a number")
    content: bytes | None = column(pa.binary(), "its content", default=None)


@dataclass(frozen=True, kw_only=True)
class OtherRecord:
    number: str = column(pa.string(), "not a number")


def _written(path: Path, *groups: tuple[int, ...]) -> bytes:
    written = Journal(path, Record)
    for numbers in groups:
        written.append([Record(number=number, content=bytes(number)) for number in numbers])
    written.close()
    return path.read_bytes()


def _read(path: Path) -> list[list[int]]:
    return [group.rows.column("number").to_pylist() for group in read_groups(path, Record, ["number"])]


def test_groups_are_read_in_the_order_of_writing(tmp_path: Path) -> None:
    _written(tmp_path / "journal", (5, 6), (), (1,))
    assert _read(tmp_path / "journal") == [[5, 6], [], [1]]


def test_a_journal_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _read(tmp_path / "journal")


def test_only_what_was_appended_since_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = Journal(path, Record)
    written.append([Record(number=1)])
    assert [(group.rows.num_rows, group.stop) for group in read_groups(path, Record)] == [(1, written.length)]
    before = written.length
    written.append([Record(number=2), Record(number=3)])
    later = list(read_groups(path, Record, start=before))
    assert [(group.rows["number"].to_pylist(), group.stop) for group in later] == [([2, 3], written.length)]


def test_a_journal_is_never_written_over(tmp_path: Path) -> None:
    before = _written(tmp_path / "journal", (1,))
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "journal", Record)
    assert (tmp_path / "journal").read_bytes() == before


def test_groups_of_another_version_are_refused(tmp_path: Path) -> None:
    _written(tmp_path / "journal", (1,))
    with pytest.raises(UsageError, match=r"journal was written by another version of community-forensics"):
        list(read_groups(tmp_path / "journal", OtherRecord))


def test_a_journal_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        _read(tmp_path / "journal")


@given(st.data())
def test_whatever_happens_to_its_bytes_no_group_is_read_that_was_not_written(data: st.DataObject) -> None:
    groups = [[3, 4], [5], [6, 7]]
    content = b"".join(
        journal._group(Record, [Record(number=number, content=bytes(number)) for number in numbers], ())
        for numbers in groups
    )
    changed = bytearray(content)
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(0, len(content)))]
    else:
        changed[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = [
        group.rows.column("number").to_pylist()
        for group in journal._groups(memoryview(changed), Path("journal"), Record)
    ]
    assert [one for one in groups if one in found] == found
    if len(changed) == len(content):
        assert found[:1] == groups[:1] or changed[: len(content) // 2] != content[: len(content) // 2]


def test_rows_are_changed_at_once_and_what_is_not_whole_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = _written(path, (1, 2), (3,))
    assert rewrite(path, Record, lambda rows: rows)
    assert path.read_bytes() == content
    path.write_bytes(content[:-1])
    assert not rewrite(path, Record, lambda rows: [Record(number=row.number + 10) for row in rows])
    assert _read(path) == [[11, 12]]
    assert [one.name for one in tmp_path.iterdir()] == ["journal"]
