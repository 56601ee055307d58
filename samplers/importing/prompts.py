"""What each image was asked for, as who published it says: in a table, in a file beside the image, or in a column.

A table is CSV, TSV, JSON lines, a JSON list of objects or a JSON object by name. It names an image by its path below
the folder of the table, or by the name of its file alone, which then means every image of that name below that folder;
with or without suffix. Where it says two things of one name it says nothing, and that is told. What a file says of
itself is read elsewhere (`samplers.foreign.generation_settings`), and counts where none of these says something.
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from captioning.sources.folder import SUFFIXES
from samplers.importing.tree import Tree
from workspace.errors import UsageError, in_one_line
from workspace.json_text import load_json
from workspace.number_text import counted
from workspace.printable import in_line

#: Names of columns and keys, in lower case; the first found counts.
PROMPT_NAMES = ("prompt", "prompts", "text", "caption", "captions", "description")
NEGATIVE_NAMES = ("negative_prompt", "negative prompt", "negativeprompt")
FILE_NAMES = (
    "file_name",
    "filename",
    "image_name",
    "image",
    "image_path",
    "file",
    "path",
    "img",
    "name",
    "image_id",
    "id",
)

#: Columns that are shown.
_SHOWN = 20
#: Bytes of a table, and of a file beside an image, at most.
_TABLE, _BESIDE = 512 << 20, 1 << 20
_NO_TEXT = "it is no text in UTF-8: save it as UTF-8"
#: Rows of a table, and characters of a row, at most.
_MOST_ROWS, _LONGEST_ROW = 5_000_000, 1 << 20


@dataclass(frozen=True)
class Said:
    """A prompt, and where it was read (the column `prompt_source`); `row`: what else the same place says."""

    prompt: str | None = None
    negative_prompt: str | None = None
    source: str | None = None
    row: Mapping[str, Any] = field(default_factory=dict)


class Prompts:
    """Finds what is said of the images of a tree."""

    def __init__(
        self,
        tree: Tree,
        table: str | None = None,
        prompt_column: str | None = None,
    ) -> None:
        """`table`: the name of a side file; None: every one that is understood. Raises `UsageError` for a table that is
        named and cannot be read."""
        self._tree, self._prompt = tree, prompt_column
        self._tables: dict[str, _Table] = {}
        self._stems = frozenset(_name_of(name) for name in tree.names)
        self._remarks: list[str] = []
        self._unread: set[str] = set()
        if table is not None and table not in tree.side_files:
            there = ", ".join(map(in_line, sorted(_tables(tree))[:_SHOWN])) or "none"
            raise UsageError(
                f"{table}: there is no such table; name it by its path below that of the images; there are {there}"
            )
        for name in [table] if table is not None else sorted(_tables(tree)):
            found = self._read(name, is_named=table is not None)
            if found is not None:
                self._tables[name] = found
        if prompt_column is not None:
            self._require(prompt_column)

    @property
    def remarks(self) -> list[str]:
        """What was not read, so far."""
        if not self._unread:
            return self._remarks
        number, one = len(self._unread), in_line(min(self._unread))
        return [
            *self._remarks,
            f"beside images, and not readable (no text in UTF-8, or no JSON object): {counted(number, 'file')}, "
            f"such as {one}",
        ]

    @property
    def side_files(self) -> list[str]:
        """The tables that are read."""
        return list(self._tables)

    @property
    def columns(self) -> list[str]:
        """Of all Parquet files and tables."""
        known = {name for names in self._tree.columns.values() for name in names}
        known |= {name for table in self._tables.values() for row in table.rows.values() for name in row}
        return sorted(known)

    def beside(self, name: str) -> list[str]:
        """The side files of an image that exist, in the order in which they are read."""
        stems = (name.rpartition(".")[0], name)
        found = (f"{stem}{suffix}" for suffix in (".json", ".txt", ".caption") for stem in stems)
        return [side for side in found if side in self._tree.side_files]

    def of(self, name: str) -> Said:
        """What is said of an image. Raises `OSError` and `HubError` as reading a file does."""
        container = name.partition("#")[0]
        if (known := self._tree.columns.get(container)) is not None:
            row = self._tree.values(name, known)
            column, prompt = _first(row, [self._prompt] if self._prompt else PROMPT_NAMES)
            negative = _first(row, NEGATIVE_NAMES)[1]
            return Said(prompt, negative, f"column:{column}" if prompt is not None else None, row)
        said = Said()
        for table, rows in self._tables.items():
            if row := rows.of(name):
                said = self._said(row, f"table:{table}", said)
        for side in self.beside(name):
            if said.prompt is not None:
                break
            content = self._tree.read(side, _BESIDE)
            try:
                if side.endswith(".json"):
                    said = self._said(_object(content), f"beside:{_suffix(side)}", said)
                elif text := _decoded(content).strip():
                    said = Said(text, said.negative_prompt, f"beside:{_suffix(side)}", said.row)
            except (ValueError, RecursionError):
                self._unread.add(side)
        return said

    def _require(self, column: str) -> None:
        """Raise `UsageError` where no table has a column of prompts that was named. Files beside images may have it."""
        if column.strip().lower() in {name.strip().lower() for name in self.columns}:
            return
        if not any(side.endswith(".json") for name in self._tree.names for side in self.beside(name)):
            there = f"the columns are {', '.join(map(in_line, self.columns[:_SHOWN])) or 'none'}"
            raise UsageError(f"no table or Parquet file has the column of prompts {column!r}: {there}")

    def _said(self, row: Mapping[str, Any], source: str, former: Said) -> Said:
        prompt = _first(row, [self._prompt] if self._prompt else PROMPT_NAMES)[1]
        return Said(
            former.prompt if former.prompt is not None else prompt,
            former.negative_prompt or _first(row, NEGATIVE_NAMES)[1],
            former.source if former.prompt is not None else source if prompt is not None else None,
            {**row, **former.row},
        )

    def _read(self, table: str, is_named: bool) -> "_Table | None":
        """The rows of a table; None where it has none of images. Raises `UsageError` for one that is named."""
        found = _Table(table)
        try:
            content = self._tree.read(table, _TABLE + 1)
            if len(content) > _TABLE:
                raise ValueError(f"more than {_TABLE:,} bytes")
            for named, row in _rows(table, content, self._stems):
                # Rows of other images are not kept: a table may have any number of them.
                if _name_of(named.strip()) in self._stems:
                    found.add(named, row)
        except (OSError, ValueError, csv.Error, RecursionError) as error:
            line = f"{in_line(table)} is not read: {in_one_line(error, 150, named=False)}"
            if is_named:
                raise UsageError(f"{line}; correct it") from error
            self._remarks.append(line)
            return None
        if found.ambiguous:
            self._remarks.append(
                f"{in_line(table)} says several things of {counted(len(found.ambiguous), 'name')}, such as "
                f"{min(found.ambiguous)!r}, which are not read"
            )
        if not found.rows:
            if is_named:
                raise UsageError(
                    f"{table} has no column of file names ({', '.join(FILE_NAMES)}), or names none of the images"
                )
            if _suffix(table) != ".json":  # of which there are many for other purposes
                self._remarks.append(f"{in_line(table)} is not read: no column of it has names of these images")
            return None
        names = [self._prompt] if self._prompt else PROMPT_NAMES
        if all(_first(row, names)[1] is None for row in found.rows.values()):
            columns = ", ".join(map(in_line, [*next(iter(found.rows.values()))][:_SHOWN]))
            self._remarks.append(
                f"{in_line(table)} has no prompts: of its columns ({columns}) none is {names[0]}; name one with "
                "--prompt-column"
            )
        return found


class _Table:
    """The rows of a table, by what they call their image: its path, without suffix, or only its name."""

    def __init__(self, table: str) -> None:
        place, mark, inside = table.partition("#")
        folder = (inside if mark else place).rpartition("/")[0]
        self._prefix = (f"{place}#" if mark else "") + (f"{folder}/" if folder else "")
        self.rows: dict[tuple[bool, str], dict[str, Any]] = {}
        self.ambiguous: set[str] = set()

    def add(self, named: str, row: dict[str, Any]) -> None:
        """Add a row and the name that it gives its image."""
        path = _without_suffix(named.strip().replace("\\", "/").removeprefix("./"))
        key = ("/" in path, path)
        if key in self.rows and self.rows[key] != row:
            self.ambiguous.add(path)
        self.rows.setdefault(key, row)

    def of(self, name: str) -> dict[str, Any]:
        """The row of an image; empty where there is none, or the table says several things."""
        if not name.startswith(self._prefix):
            return {}
        path = _without_suffix(name[len(self._prefix) :])
        for key in ((True, path), (False, path.rpartition("#")[2].rpartition("/")[2])):
            if key in self.rows:
                return {} if key[1] in self.ambiguous else self.rows[key]
        return {}


def _tables(tree: Tree) -> Iterator[str]:
    """The side files that may have the prompts of many images: those that belong to no single one."""
    stems = {stem for name in tree.names for stem in (name, name.rpartition(".")[0])}
    for name in tree.side_files:
        if _suffix(name) in (".csv", ".tsv", ".jsonl", ".json") and name.rpartition(".")[0] not in stems:
            yield name


def _rows(table: str, content: bytes, stems: frozenset[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of the image, and the row, of each row that names one: in a column of a known name, else in the one
    whose values are names of images (`stems`, without suffix) most often."""
    suffix = _suffix(table)
    if suffix == ".json":
        whole = load_json(_decoded(content))
        if isinstance(whole, dict) and all(isinstance(value, str | dict) for value in whole.values()):
            for name, value in whole.items():
                yield name, value if isinstance(value, dict) else {"prompt": value}
            return

    def rows() -> Iterator[dict[str, Any]]:
        # Read twice rather than kept: small rows take a hundred times the memory of their text.
        if suffix == ".json":
            found: Iterator[Any] = iter(whole if isinstance(whole, list) else ())
        else:
            found = _objects(content) if suffix == ".jsonl" else _cells(content, is_tsv=suffix == ".tsv")
        for number, row in enumerate(found):
            if number >= _MOST_ROWS:
                raise ValueError(f"more than {_MOST_ROWS:,} rows")
            if isinstance(row, dict):
                yield {str(key): value for key, value in row.items() if key is not None}

    names: Sequence[str] = FILE_NAMES
    first = next(rows(), None)
    if first is not None and _first(first, FILE_NAMES)[1] is None:
        hits = Counter(
            key
            for row in rows()
            for key, value in row.items()
            if isinstance(value, str) and _name_of(value.strip()) in stems
        )
        names = [key for key, _ in hits.most_common(1)]
    for row in rows():
        named = _first(row, names)[1]
        if named is not None:
            yield named, row


def _cells(content: bytes, *, is_tsv: bool) -> Iterator[dict[str | None, Any]]:
    """The rows of a table with columns. Raises `ValueError`, `csv.Error`."""
    delimiter = "\t" if is_tsv else max(",;\t|", key=next(_lines(content), "").count)
    used = 0

    def lines() -> Iterator[str]:
        nonlocal used
        for line in _lines(content):
            used += len(line)
            yield _limited(line, used)

    for row in csv.DictReader(lines(), delimiter=delimiter):
        used = 0
        yield row


def _objects(content: bytes) -> Iterator[Any]:
    """The values of JSON lines. Raises `ValueError`, `RecursionError`."""
    for line in _lines(content):
        if line.strip():
            yield json.loads(_limited(line, len(line)))


def _limited(line: str, used: int) -> str:
    if used > _LONGEST_ROW:
        raise ValueError(f"a row of more than {_LONGEST_ROW:,} characters")
    return line


def _lines(content: bytes) -> Iterator[str]:
    """The lines of a text, which is never there as a whole; of a long one its beginning. Raises `ValueError`."""
    with io.TextIOWrapper(io.BytesIO(content), encoding=_encoding(content), newline="") as text:
        try:
            while line := text.readline(_LONGEST_ROW + 1):
                yield line
        except UnicodeDecodeError as error:
            raise ValueError(_NO_TEXT) from error


def _first(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str | None, str | None]:
    """The first of some columns that has a text, and the text; numbers are texts too where they name a file."""
    lower = {str(key).strip().lower(): key for key in row}
    for name in names:
        key = lower.get(name.lower())
        if key is None:
            continue
        value = row[key]
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return str(key), value.strip()
    return None, None


def _name_of(path: str) -> str:
    """The name of a file without folders and suffix."""
    return _without_suffix(path.replace("\\", "/").rpartition("#")[2].rpartition("/")[2])


def _without_suffix(path: str) -> str:
    """A path without the suffix of an image; other dots belong to the name."""
    return path.rpartition(".")[0] if _suffix(path) in SUFFIXES else path


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _object(content: bytes) -> dict[str, Any]:
    """A JSON object. Raises `ValueError`, `RecursionError`."""
    found = load_json(_decoded(content))
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _decoded(content: bytes) -> str:
    """A text. Raises `ValueError`."""
    try:
        return content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise ValueError(_NO_TEXT) from error


def _encoding(content: bytes) -> str:
    """UTF-8, or UTF-16 with its mark, as spreadsheets save it."""
    return "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
