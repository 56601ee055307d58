import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.errors import UsageError
from workspace.size import bytes_of, text_of


def test_sizes_are_read_as_people_write_them() -> None:
    sizes = {
        "500MB": 500_000_000,
        "1GB": 10**9,
        "2 gib": 2 << 30,
        "3KB": 3_000,
        "1.5TB": 1_500 * 10**9,
        "0.5MiB": 1 << 19,
    }
    assert {size: bytes_of(size, "--x") for size in sizes} == sizes


def test_a_number_is_a_number_of_bytes() -> None:
    assert [bytes_of(size, "--x") for size in (1, 500)] == [1, 500]


@pytest.mark.parametrize(
    "size", [0, -1, "", "500", "0MB", "0.0GB", "-1GB", "MB", "1.GB", "1,5GB", "9999999GB", "1TB x"]
)
def test_an_invalid_size_is_refused(size: int | str) -> None:
    with pytest.raises(UsageError, match="--max-disk"):
        bytes_of(size, "--max-disk")


@given(st.text())
def test_any_text_is_a_size_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert bytes_of(text, "--x") > 0


def test_sizes_are_written_in_a_suitable_unit() -> None:
    assert [text_of(size) for size in (0, 1_500, 20_000_000, 3 * 10**9, 1_500 * 10**9)] == [
        "0 bytes",
        "1.5 kB",
        "20.0 MB",
        "3.0 GB",
        "1.5 TB",
    ]
