"""The header of a safetensors file: names, types and shapes of its tensors, without a byte of their values.

https://huggingface.co/docs/safetensors: eight bytes with the length of the header, the header as JSON, the values. The
crawler has no library that opens weights; what it needs to know is in the JSON.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

from crawler.reasons import Incompatible, Reason
from crawler.text import load_json
from workspace.errors import in_one_line
from workspace.size import text_of

#: Bytes of a header at most: 2,000 tensors take 300 kB, and what training programs note beside them some MB.
MAX_HEADER = 16 << 20
_METADATA = "__metadata__"
#: What a name of such a file is shown with at most.
_QUOTED = 80


@dataclass(frozen=True)
class Tensor:
    """A tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]


def read_header(file: BinaryIO, size: int) -> dict[str, Tensor]:
    """The tensors of a file of `size` bytes by name; raises `Incompatible` (malformed) for anything else."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise Incompatible(Reason.MALFORMED, "it is no safetensors file, or its end is missing")
    if length > MAX_HEADER:
        raise Incompatible(Reason.MALFORMED, f"its header has {text_of(length)}, more than {text_of(MAX_HEADER)}")
    try:
        content = load_json(file.read(length))
    except (ValueError, RecursionError) as error:
        raise Incompatible(
            Reason.MALFORMED, f"it is no safetensors file: its header is not JSON ({in_one_line(error, named=False)})"
        ) from error
    if not isinstance(content, dict):
        raise Incompatible(Reason.MALFORMED, "it is no safetensors file: its header is no JSON object")
    values = size - 8 - length
    return {name: _tensor(name, value, values) for name, value in content.items() if name != _METADATA}


def _tensor(name: str, value: Any, values: int) -> Tensor:
    dtype, shape, offsets = (
        (value.get("dtype"), value.get("shape"), value.get("data_offsets"))
        if isinstance(value, dict)
        else (None, None, None)
    )
    if not isinstance(dtype, str) or not (_are_counts(shape) and _are_counts(offsets)) or len(offsets) != 2:
        raise Incompatible(Reason.MALFORMED, f"its header does not describe the tensor {name[:_QUOTED]!r}")
    if not offsets[0] <= offsets[1] <= values:
        raise Incompatible(Reason.MALFORMED, f"its end is missing: it has no values of {name[:_QUOTED]}")
    return Tensor(dtype, tuple(shape))


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)
