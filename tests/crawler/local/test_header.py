import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.local.header import MAX_HEADER, Tensor, read_header
from crawler.reasons import Incompatible, Reason
from tests.crawler.checkpoints import header
from tests.fuzzing import fuzzed


def _read(content: bytes) -> dict[str, Tensor]:
    return read_header(io.BytesIO(content), len(content))


def _with(value: object) -> bytes:
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text + b"1234"


def test_names_types_and_shapes_are_read_without_the_values() -> None:
    assert _read(header({"a": (2, 3), "b": ()})) == {"a": Tensor("F16", (2, 3)), "b": Tensor("F16", ())}


@pytest.mark.attack
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no safetensors file, or its end is missing"),
        (b"1234567", "it is no safetensors file, or its end is missing"),
        ((100).to_bytes(8, "little") + b"{}", "its end is missing"),
        ((2).to_bytes(8, "little") + b"{]", "its header is not JSON"),
        ((1_000_000).to_bytes(8, "little") + b"[" * 1_000_000, "its header is not JSON"),
        (_with([]), "its header is no JSON object"),
        (_with({"a": 1}), "does not describe the tensor 'a'"),
        (_with({"a": {"dtype": "F16", "shape": [True], "data_offsets": [0, 4]}}), "does not describe the tensor 'a'"),
        (_with({"a": {"dtype": "F16", "shape": [-2], "data_offsets": [0, 4]}}), "does not describe the tensor 'a'"),
        (_with({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0]}}), "does not describe the tensor 'a'"),
        (_with({"a": {"dtype": "F16", "shape": [2], "data_offsets": [4, 0]}}), "its end is missing"),
        (_with({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 5]}}), "its end is missing"),
    ],
)
def test_anything_else_is_malformed_and_says_why(content: bytes, message: str) -> None:
    with pytest.raises(Incompatible) as caught:
        _read(content)
    assert caught.value.reason is Reason.MALFORMED
    assert message in caught.value.detail


@pytest.mark.attack
def test_a_huge_header_is_not_read() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size <= 8
            return super().read(size)

    size = 2 * MAX_HEADER
    with pytest.raises(Incompatible, match=r"its header has 33\.6 MB, more than 16\.8 MB"):
        read_header(Endless((size - 8).to_bytes(8, "little")), size)


@pytest.mark.attack
@fuzzed(200)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_end_the_crawl(content: bytes, length: int) -> None:
    for file in (content, length.to_bytes(8, "little") + content, header({"a": (1,)})[: length % 90] + content):
        with suppress(Incompatible):
            _read(file)
