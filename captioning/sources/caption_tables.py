"""Files with the captions of many images: `metadata.jsonl`, `.csv`, `.parquet` (ImageFolder); `captions.txt`, Flickr8k.

    {"file_name": "a.jpg", "text": "a cat"}             JSON lines
    image,caption                                       CSV with commas, semicolons, tabs or bars, and a header
    1000268201.jpg#0<TAB>A child in a pink dress .      or without one: a name, and a caption last
    {"a.jpg": "a cat"}                                  a JSON document (`caption_documents`)

Each line is one caption of one image. A name is a path below the folder of the file; if there is no such image, it is
the name of a file anywhere below that folder, provided that only one has it. Tables are read line by line.

A table of another name is read where it names images and has a column `caption`, or the one that the user named; its
`text` may be what is written in a picture. Where it has neither it is named in a line.
"""

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias

from captioning.sources.caption_documents import LARGEST, rows_of
from captioning.sources.captions import UTF_16_MARKS, Captions, caption_name, captions_in_row
from captioning.sources.columns import Columns
from captioning.sources.licenses import LICENSE_COLUMNS
from workspace.containers import ParquetImages
from workspace.errors import UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.json_text import load_json

_TABLE = re.compile(
    r"metadata\.(jsonl?|csv|tsv|parquet)|captions?(_\w+)?\.(jsonl?|csv|tsv|txt|token)|results(_\d+)?\.(csv|token)"
    r"|flickr8k\.token\.txt|dataset(_\w+)?\.json",
    re.IGNORECASE,
)
_FILE_NAMES = ("file_name", "filename", "image", "image_name", "image_path", "file", "path", "img")
_OTHER_TABLES = frozenset([".csv", ".tsv", ".jsonl", ".parquet"])
#: Names of columns that are captions in a table of any name.
_CERTAIN = frozenset(["caption", "captions"])
_DELIMITERS = "\t|,;"
#: Characters of a line; a longer one is no row of captions.
_LONGEST_LINE = 1 << 20
_NUMBERED = re.compile(r"#\d+\Z")


Table: TypeAlias = BinaryIO | ParquetImages
"""A table that is open: text, or a Parquet file in the process that reads it."""


@contextmanager
def parquet_table(path: str, within: Path | None = None, hub: HubAccess = HubAccess()) -> Iterator[Table]:
    """A Parquet file, open. Raises `OSError`."""
    file = ParquetImages(path, hub, within)
    try:
        yield file
    finally:
        file.close()


def is_caption_table(name: str) -> bool:
    """Whether a file of this name may have the captions of many images."""
    return _TABLE.fullmatch(name) is not None


def is_other_table(name: str) -> bool:
    """Whether a file of this name is a table, whatever is in it."""
    return not is_caption_table(name) and PurePosixPath(name).suffix.lower() in _OTHER_TABLES


@dataclass(frozen=True)
class TableRow:
    """What the tables say of one image."""

    captions: Captions = field(default_factory=Captions)
    license: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class CaptionTables:
    """The rows of all tables of a source, by the id of the image; `remarks` name files that were not understood."""

    rows: dict[str, TableRow] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    _others: dict[str, Sequence[str]] = field(default_factory=dict)

    def add(self, name: str, file: Table, ids: Sequence[str], columns: Columns) -> None:
        """Read the table with the path `name` below the source.

        Raises `UsageError` when it is damaged, or lacks a column that the user named.
        """
        said: dict[str, list[Captions]] = defaultdict(list)
        licenses: dict[str, dict[str, Any]] = defaultdict(dict)
        find = _Finder(name, ids)
        try:
            for image, row in _rows(name, file, columns):
                real_id = find(image)
                if real_id is not None:
                    said[real_id].append(captions_in_row(row, columns.caption))
                    licenses[real_id] |= {key: value for key, value in row.items() if key.lower() in LICENSE_COLUMNS}
        except _NotUnderstoodError as error:
            if columns.caption is not None and error.columns and not name.lower().endswith(".json"):
                raise UsageError(
                    f"{name} has no column {columns.caption!r} (--caption-column); it has {', '.join(error.columns)}"
                ) from error
            self.remarks.append(f"{name!r} has captions that were not understood ({error})")
        except (csv.Error, RecursionError, OSError) as error:
            raise UsageError(
                f"{name} cannot be read ({in_one_line(error, 150, named=False)}): correct it, or move it out of the "
                "source"
            ) from error
        else:
            if not said:
                self.remarks.append(f"{name!r} names none of the images of this source")
        self.rows.update({name: TableRow(Captions.joined(all_said), licenses[name]) for name, all_said in said.items()})

    def add_other(self, name: str, file: Table, ids: Sequence[str], columns: Columns) -> None:
        """Read a table with another name than those of tables with captions, if it has some for certain."""
        try:
            header = _header(name, file)
        except (ValueError, csv.Error, RecursionError, OSError):
            return  # of another kind, or damaged: nothing says that it has captions
        if _file_column(header, columns) is None:
            return
        wanted = {columns.caption} if columns.caption is not None else _CERTAIN
        if wanted & (set(header) if columns.caption is not None else {column.lower() for column in header}):
            self.add(name, file, ids, columns)
        elif len(header) > 1:
            self._others[name] = header

    def remark_on_others(self) -> None:
        """Name the tables that were not read although they name images."""
        if self._others:
            name, header = min(self._others.items())
            self.remarks.append(
                f"tables that name images and have no column 'caption' are not read: {len(self._others)}, such as "
                f"{name!r} with {', '.join(header[:9])}: --caption-column names the column with captions"
            )


class _NotUnderstoodError(Exception):
    """A table that is none; `columns`: those it has."""

    def __init__(self, message: str, columns: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.columns = columns


class _Finder:
    """Finds the image that a table calls by a name."""

    def __init__(self, table: str, ids: Sequence[str]) -> None:
        self._folder = table.rpartition("/")[0]
        below = [real_id for real_id in ids if not self._folder or real_id.startswith(f"{self._folder}/")]
        self._ids = frozenset(below)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for real_id in below:
            self._by_name[PurePosixPath(real_id).name].append(real_id)

    def __call__(self, name: str) -> str | None:
        name = _NUMBERED.sub("", name.strip()).replace("\\", "/").removeprefix("./")
        path = f"{self._folder}/{name}" if self._folder else name
        if path in self._ids:
            return path
        same = self._by_name.get(name, []) if "/" not in name else []
        return same[0] if len(same) == 1 else None


def _lines(text: TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        yield line


def _rows(name: str, file: Table, columns: Columns) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of the image, and the row, of each line. Raises `_NotUnderstoodError` before the first."""
    kind = PurePosixPath(name).suffix.lower()
    if isinstance(file, ParquetImages):
        yield from _rows_of_parquet(file, columns)
        return
    with _text_of(file) as text:
        if kind == ".json":
            yield from _named(_document(text), columns)
        elif kind == ".jsonl":
            yield from _named(_objects(_lines(text)), columns)
        else:
            yield from _cells(_lines(text), columns)


@contextmanager
def _text_of(file: BinaryIO) -> Iterator[TextIOWrapper]:
    """A file as text, in UTF-8, or in UTF-16 with its mark, as spreadsheets write it."""
    is_utf16 = file.read(2) in UTF_16_MARKS
    file.seek(0)
    text = TextIOWrapper(file, encoding="utf-16" if is_utf16 else "utf-8-sig", errors="replace", newline="")
    try:
        yield text
    finally:
        text.detach()  # its caller closes the file


def _rows_of_parquet(file: ParquetImages, columns: Columns) -> Iterator[tuple[str, dict[str, Any]]]:
    image, caption = _file_column(file.columns, columns), caption_name(file.columns, columns.caption)
    if image is None or caption is None:
        raise _NotUnderstoodError(_needed(columns), file.columns)
    wanted = [image, caption, *(name for name in file.columns if name.lower() in LICENSE_COLUMNS)]
    for number in range(file.rows):
        row = file.values(number, wanted)
        if isinstance(row[image], str):
            yield row[image], row


def _header(name: str, file: Table) -> Sequence[str]:
    """The names of a table's columns. Raises any error of its format."""
    if isinstance(file, ParquetImages):
        return file.columns
    with _text_of(file) as text:
        line = text.readline(_LONGEST_LINE)
    file.seek(0)
    kind = PurePosixPath(name).suffix.lower()
    if kind == ".jsonl":
        row = json.loads(line)
        return list(row) if isinstance(row, dict) else []
    delimiter = _delimiter_of(line)
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _delimiter_of(line: str) -> str:
    """What is between the cells of a table with this first line."""
    return max(_DELIMITERS, key=line.count) if "\t" not in line else "\t"


def _document(text: TextIOWrapper) -> Iterator[dict[str, Any]]:
    content = text.read(LARGEST)
    try:
        return rows_of(load_json(content))
    except ValueError as error:
        raise _NotUnderstoodError(f"it is not JSON, or too long: {in_one_line(error, 100, named=False)}") from error


def _objects(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            row = json.loads(line) if line.strip() else {}
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _named(rows: Iterator[dict[str, Any]], columns: Columns) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows that name an image, each with that name."""
    understood = False
    for row in rows:
        if not row:
            continue
        image = _file_column(row, columns)
        if not understood and (image is None or caption_name(row, columns.caption) is None):
            raise _NotUnderstoodError(_needed(columns), [str(key) for key in row])
        understood = True
        if image is not None and isinstance(row.get(image), str):
            yield row[image], row
    if not understood:
        raise _NotUnderstoodError("it holds no JSON objects with captions")


def _cells(lines: Iterator[str], columns: Columns) -> Iterator[tuple[str, dict[str, Any]]]:
    first = next(lines, "")
    delimiter = _delimiter_of(first)
    # Tables with tabs or bars have quotation marks in their captions, which quote nothing.
    every = _chain(first, lines)
    quotes = {} if delimiter in ",;" else {"quoting": csv.QUOTE_NONE}
    cells = csv.reader(every, delimiter=delimiter, **quotes)  # type: ignore[arg-type]  # it is the constant
    header = [cell.strip() for cell in next(cells, [])]
    image = _file_column(header, columns)
    if image is not None:
        caption = caption_name(header, columns.caption) or (
            _last_of_results(header) if columns.caption is None else None
        )
        if caption is None:
            raise _NotUnderstoodError(_needed(columns), header)
        for row in cells:
            if len(row) > len(header) and header[-1] == caption:  # a caption with commas that is not quoted
                row = [*row[: len(header) - 1], delimiter.join(row[len(header) - 1 :])]
            named = dict(zip(header, row, strict=False))
            if image in named:
                yield named[image], {**named, "captions": named.get(caption)} if caption != columns.caption else named
        return
    if columns.caption is not None or len(header) < 2 or not PurePosixPath(_NUMBERED.sub("", header[0])).suffix:
        raise _NotUnderstoodError(_needed(columns), header if len(header) > 1 else ())
    for row in _chain_rows(header, cells):
        if len(row) >= 2:
            yield row[0], {"caption": row[-1] if delimiter not in ",;" else delimiter.join(row[1:])}


def _last_of_results(header: Sequence[str]) -> str | None:
    """The last column of Flickr30k's results.csv: image_name| comment_number| comment."""
    return header[-1] if header[-1].lower() == "comment" else None


def _file_column(names: Iterable[str], columns: Columns) -> str | None:
    if columns.image is not None:
        return columns.image if columns.image in names else None
    by_lower_case = {str(name).lower(): name for name in names}
    return next((by_lower_case[name] for name in _FILE_NAMES if name in by_lower_case), None)


def _needed(columns: Columns) -> str:
    return (
        f"it needs a column {columns.image or 'file_name'}, and {columns.caption or 'caption or text'}; "
        "--image-column and --caption-column name others"
    )


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _chain_rows(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest
