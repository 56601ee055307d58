"""Tables of rows that are to be made again: CSV and Parquet files, and rows of a DataFrame.

A row needs `model_name` and `index` (or `image_name`), or `sha256`; `revision` where several are there. The manifest,
`export.csv`, the parts of `samples/` and both layouts of a published dataset have these columns. Whatever else a table
has of the columns of a sample is compared. Programs change types on the way: pandas makes a number of each integer
beside an empty cell, and CSV a text of everything; so each value is read as its column has it.

A Parquet file may be a stranger's and is opened in a process with limits (`workspace.containers`).
"""

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from samplers.sample import Sample
from workspace import records
from workspace.containers import DamagedFileError, ParquetImages
from workspace.errors import UsageError, in_one_line
from workspace.regular_file import open_regular

Cells: TypeAlias = Mapping[str, Any]

#: Suffixes of tables.
SUFFIXES = (".csv", ".tsv", ".parquet")

#: What tells which image a row is, and what decides or explains its pixels.
COLUMNS = (
    *("model_name", "revision", "index", "image_name", "status", "origin", "sha256", "seed", "batch_size", "call_size"),
    *(
        "cpu_threads",
        "cpu_instructions",
        "memory",
        "device",
        "dtype",
        "vae_dtype",
        "variant",
        "libraries",
        "scheduler",
        "scheduler_config",
    ),
    *("prediction_type", "adapter_scale", "embedding_tokens", "clip_skip", "num_inference_steps", "guidance_scale"),
    *("prompt", "negative_prompt", "class_label", "width", "height", "mode"),
)
#: Names in `export.csv`: of the generator, and of the image that a file was made from.
_GENERATOR, _SOURCE = "generator", "source_sha256"
#: Columns that hold the file itself, in the two layouts of a published dataset.
_FILES = ("image", "image_data")
#: What programs write where there is no value, beside an empty cell.
_ABSENT = frozenset({"", "nan", "none", "null", "na", "<na>", "nat"})
#: Characters of a cell: pandas writes the bytes of images into CSV, if it is not told to leave them out.
_LONGEST_CELL = 1 << 30


def read_table(path: Path) -> Iterator[tuple[int, Cells]]:
    """The rows of a table, counted from 1. Raises `UsageError` where it cannot be read, or names no images."""
    try:
        yield from _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except DamagedFileError as error:
        raise UsageError(f"--remake {path} cannot be read: {error.strerror}") from error
    except OSError as error:
        raise UsageError(f"--remake {path} cannot be read ({error.strerror}): name a table of rows") from error
    except (csv.Error, UnicodeError) as error:
        raise UsageError(f"--remake {path} cannot be read ({in_one_line(error, 150, named=False)})") from error


def columns_of(cells: Cells) -> dict[str, Any]:
    """The columns of a sample that a row has, with values of their types; one that is empty is None.

    A row with a sha256 and without a status is one of an image that was kept. Raises `ValueError` for a value that is
    not of its column.
    """
    named = {"model_name": cells.get(_GENERATOR), **cells, "sha256": cells.get(_SOURCE, cells.get("sha256"))}
    found = {name: _value(name, named[name]) for name in COLUMNS if name in named}
    if found.get("sha256") is not None:
        found["sha256"] = found["sha256"].lower()
        found.setdefault("status", "ok")
    return found


def is_real(cells: Cells) -> bool:
    """Whether a row is of a real image."""
    label = _number(cells.get("label"))
    named = any(not _is_absent(cells.get(name)) for name in ("model_name", _GENERATOR))
    return label == 0 or ("label" in cells and label is None and not named)


def _parquet(path: Path) -> Iterator[tuple[int, Cells]]:
    table = ParquetImages(str(path))
    try:
        columns = [name for name in table.columns if name in {*COLUMNS, _GENERATOR, _SOURCE, "label"}]
        _require(path, columns)
        file = next((name for name in _FILES if name in table.columns and "sha256" not in table.columns), None)
        for row in range(table.rows):
            cells = table.values(row, columns)
            if file is not None and not is_real(cells):
                cells["sha256"] = hashlib.sha256(table.read(row, file)).hexdigest()
            yield row + 1, cells
    finally:
        table.close()


def _csv(path: Path) -> Iterator[tuple[int, Cells]]:
    with (
        _long_cells(),
        open_regular(path) as file,
        TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
    ):
        separator = max(",;\t", key=text.readline(10_000).count)
        text.seek(0)
        rows = csv.reader(text, delimiter=separator)
        header = [cell.strip() for cell in next(rows, [])]
        _require(path, header)
        for number, row in enumerate((row for row in rows if row), start=1):
            if len(row) != len(header):
                raise UsageError(
                    f"--remake {path}, line {rows.line_num} has {len(row)} values for {len(header)} columns: correct it"
                )
            yield number, dict(zip(header, row, strict=True))


def _require(path: Path, columns: list[str]) -> None:
    if not ({"sha256", _SOURCE} & {*columns} or ("model_name" in columns and {"index", "image_name"} & {*columns})):
        raise UsageError(
            f"--remake {path} names no images: it needs the columns model_name and index (or image_name), or sha256"
        )


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


_TYPES = {field.name: field.type for field in records.schema(Sample)}


def _value(name: str, value: Any) -> Any:
    """A value as its column has it. Raises `ValueError` for one that is none."""
    if _is_absent(value, is_text=pa.types.is_string(_TYPES[name])):
        return None
    if pa.types.is_string(_TYPES[name]):
        return str(value)
    number = _number(value)
    is_whole = pa.types.is_integer(_TYPES[name])
    if number is None or (is_whole and number != int(number)):
        raise ValueError(f"{str(value)[:40]!r} is no {name}")
    if is_whole:
        # A text, because a seed of many digits would lose some as a number of Python's `float`.
        return int(value) if isinstance(value, int) or str(value).strip().isdecimal() else int(number)
    return number


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_absent(value: Any, is_text: bool = False) -> bool:
    """Whether a cell is empty. A text such as `none` may be a prompt; only no text at all is none."""
    if value is None or not isinstance(value, str):
        return value is None or str(value).lower() in _ABSENT
    return not value if is_text else value.strip().lower() in _ABSENT
