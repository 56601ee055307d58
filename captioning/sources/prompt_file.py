"""A file of the user's own prompts: text, CSV or JSON lines, a prompt a line.

    a cat on a sofa                                              text: each line is a prompt
    prompt,image,source,weight                                   CSV, with commas or semicolons, or with tabs (.tsv)
    {"prompt": "a cat", "image": "cats/1.jpg", "weight": 2.5}    JSON lines

`image` is the path of the real image that the prompt describes, `source` the name of its set where the file has
several, `weight` how often it is drawn. `license` and `redistributable` are those of the image, as in a table of
captions. A value of `prompt` that is no text is kept as the reason why there is no prompt, so that each line becomes a
prompt or a row of the skipped table.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any

from captioning.caption_text import DropReason
from captioning.sources.captions import CAPTION_NAMES, caption_name
from captioning.sources.licenses import LICENSE_COLUMNS, license_in_row
from workspace.errors import UsageError, in_one_line
from workspace.regular_file import open_regular

#: Suffixes of files with columns; any other file that is not refused is text.
_CELLS, _OBJECTS = (".csv", ".tsv"), (".jsonl", ".ndjson")
_REFUSED = (".json", ".parquet", ".gz", ".zip", ".xlsx", ".tar", ".arrow", ".feather")
_COLUMNS = ("image", "source", "weight", *LICENSE_COLUMNS)
#: Characters of a line; a longer one is no prompt.
_LONGEST_LINE = 1 << 20
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class OwnPrompt:
    """One line of a file of prompts: `number` counts them from 0, without the header. `dropped` says why `text`, which
    is then "", is no text. `image` is a path as the file has it; None: the prompt describes no real image."""

    number: int
    text: str
    dropped: DropReason | None = None
    image: str | None = None
    source: str | None = None
    weight: float | None = None
    license: str | None = None
    redistributable: bool | None = None


@dataclass(frozen=True)
class PromptFile:
    """What a file of prompts holds; `remarks` names columns that are not read."""

    prompts: Sequence[OwnPrompt]
    remarks: Sequence[str] = ()


def read_prompt_file(path: Path) -> PromptFile:
    """Read a file of prompts. Raises `UsageError` in one line for a file that holds none, or cannot be read."""
    suffix = path.suffix.lower()
    if suffix in _REFUSED:
        raise UsageError(
            f"{path} is not read: give prompts as text (a prompt a line), CSV (.csv, .tsv) or JSON lines (.jsonl)"
        )
    try:
        with open_regular(path) as file:
            start = file.peek(2)[:2]  # type: ignore[attr-defined]  # a buffered reader
            encoding = "utf-16" if start in _BYTE_ORDER_MARKS else "utf-8-sig"
            with TextIOWrapper(file, encoding=encoding, errors="replace", newline="") as text:
                found, columns = _read(path, suffix, _lines(text))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name the file with your prompts") from error
    except (csv.Error, UnicodeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({in_one_line(error, 150, named=False)}): correct it") from error
    if not found:
        raise UsageError(f"{path} holds no prompts: it needs a prompt a line")
    others = ", ".join(map(repr, list(columns)[:9]))
    remarks = [f"{path.name} has columns that are not read: {others}"] if others else []
    return PromptFile(found, remarks)


def _read(path: Path, suffix: str, lines: Iterator[str]) -> tuple[list[OwnPrompt], list[str]]:
    """The prompts, and the columns that are not read."""
    if suffix in _CELLS:
        first = next(lines, "")
        delimiter = "\t" if suffix == ".tsv" else ";" if ";" in first and "," not in first else ","
        return _from_cells(path, chain([first], lines), delimiter)
    if suffix in _OBJECTS:
        return _from_objects(path, lines)
    return [OwnPrompt(number, line.rstrip("\r\n")) for number, line in enumerate(lines)], []


def _lines(text: TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        yield line


def _from_cells(path: Path, lines: Iterator[str], delimiter: str) -> tuple[list[OwnPrompt], list[str]]:
    cells = csv.reader(lines, delimiter=delimiter)
    header = [cell.strip() for cell in next(cells, [])]
    names = _named(path, header)
    found: list[OwnPrompt] = []
    for row in cells:
        if len(row) > len(header) and header[-1] == names["prompt"]:  # a prompt with commas that is not quoted
            row = [*row[: len(header) - 1], delimiter.join(row[len(header) - 1 :])]
        if len(row) > len(header):
            raise UsageError(
                f"{path}, line {cells.line_num} has {len(row)} values for {len(header)} columns: put texts with commas "
                "in quotation marks"
            )
        if row:
            found.append(_prompt(path, len(found), dict(zip(header, row, strict=False)), names))
    return found, _unread(header, names)


def _from_objects(path: Path, lines: Iterator[str]) -> tuple[list[OwnPrompt], list[str]]:
    found: list[OwnPrompt] = []
    unread: dict[str, None] = {}
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(
                f"{path}, line {at} is not JSON ({in_one_line(error, 150, named=False)}): each line is an object, such "
                'as {"prompt": "a cat"}, or a text'
            ) from error
        if isinstance(row, str):
            row = {"prompt": row}
        if not isinstance(row, dict):
            found.append(OwnPrompt(len(found), "", "not-text"))
            continue
        names = _named(path, row, at)
        unread |= dict.fromkeys(_unread(row, names))
        found.append(_prompt(path, len(found), row, names))
    return found, list(unread)


def _named(path: Path, columns: Iterable[str], line: int | None = None) -> dict[str, str]:
    """The file's names of `prompt` and of the other columns, which may be in upper case."""
    by_lower_case = {str(name).lower(): name for name in columns}
    prompt = by_lower_case.get("prompt") or caption_name(by_lower_case.values())
    if prompt is None:
        where = path if line is None else f"{path}, line {line}"
        raise UsageError(
            f"{where} has no column prompt (nor {', '.join(CAPTION_NAMES[:3])}); it has "
            f"{', '.join(by_lower_case) or 'none'}"
        )
    return {"prompt": prompt} | {name: by_lower_case[name] for name in _COLUMNS if name in by_lower_case}


def _unread(columns: Iterable[str], names: Mapping[str, str]) -> list[str]:
    read = set(names.values())
    return [str(name) for name in columns if name not in read]


def _prompt(path: Path, number: int, row: Mapping[str, Any], names: Mapping[str, str]) -> OwnPrompt:
    said = row.get(names["prompt"])
    dropped: DropReason | None = None if isinstance(said, str) else "empty" if said is None else "not-text"
    license, redistributable = license_in_row(row)
    return OwnPrompt(
        number,
        said if isinstance(said, str) else "",
        dropped,
        _text(path, number, row, names, "image"),
        _text(path, number, row, names, "source"),
        _weight(path, number, row.get(names.get("weight", ""))),
        license,
        redistributable,
    )


def _text(path: Path, number: int, row: Mapping[str, Any], names: Mapping[str, str], column: str) -> str | None:
    said = row.get(names.get(column, ""))
    if said is None or (isinstance(said, str) and not said.strip()):
        return None
    if not isinstance(said, str):
        raise UsageError(f"{path}, prompt {number + 1}: {column} {said!r} is no text: correct it, or leave it out")
    return said.strip()


def _weight(path: Path, number: int, said: object) -> float | None:
    if said is None or (isinstance(said, str) and not said.strip()):
        return None
    try:
        weight = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else math.nan
    except (ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise UsageError(
            f"{path}, prompt {number + 1}: weight {str(said)[:40]!r} is no number of 0 or more: correct it, or leave "
            "it out (1)"
        )
    return weight
