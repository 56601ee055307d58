"""What a user has at hand of an image that is to be made again: a name, a path, a sha256, a file, or a table of rows.

ORG/NAME/00000162.png                                  the generator and the name of the image
ORG/NAME#162    ORG/NAME@REVISION#162                  the generator and the number of the sample
images/ORG--NAME/00000162.png                          a path, as in the workspace or in the manifest
samples/ORG--NAME/part-00005.parquet#00000162.png      the same, where images are inside the parts
3f1c...                                                the sha256 of the image
picture.png                                            any other file: an image, found by its sha256
rows.csv    rows.parquet                               a table (`tables`)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from samplers.remaking.tables import SUFFIXES, Cells, columns_of, is_real, read_table
from samplers.sample import part_of
from workspace.errors import UsageError
from workspace.identity import sha256_of_file
from workspace.layout import generator_of

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = "str | Path | pd.DataFrame | Iterable[str | Path | Mapping[str, Any]]"
"""Rows as a user names them: texts as above, paths, rows of a table, a DataFrame, or several of these."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_IMAGE = re.compile(r"([0-9]+)\.(?:png|jpg|webp)", re.ASCII)
_NUMBER = re.compile(r"([0-9]+)(?:\.(?:png|jpg|webp))?", re.ASCII)
#: Of a name without a number.
_FORMS = "ORG/NAME/00000162.png, ORG/NAME#162, the sha256 of an image, or a table (.csv, .parquet)"


@dataclass(frozen=True)
class NamedRow:
    """A row as far as it is named: by generator and index, or by the sha256 in `columns`, with or without generator."""

    given: str
    """How the user named it."""
    generators: tuple[str, ...] = ()
    """The generator, as ORG/NAME or ORG/NAME@REVISION; several where a path may be read in two ways."""
    index: int | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    """What a table says of it, of the columns of a sample."""
    is_table: bool = False
    """Whether it is a row of a table, whose name of a generator is that of a repository."""


@dataclass(frozen=True)
class NamedRows:
    """The rows that are named, and how many rows of tables are real images, which no generator made."""

    rows: tuple[NamedRow, ...]
    real: int = 0


def named_rows(rows: Rows) -> NamedRows:
    """Read what the user names. Raises `UsageError` for what names no row, and for a table that cannot be read."""
    found: list[NamedRow] = []
    real = 0
    for row in _each(rows):
        if isinstance(row, NamedRow):
            found.append(row)
        else:
            real += 1
    if not found:
        raise UsageError(
            f"no row to make again: all {real} rows are real images" if real else "no row to make again is named"
        )
    return NamedRows(tuple(found), real)


def _each(rows: Rows) -> Iterator[NamedRow | None]:
    """Every row; None for a real image."""
    if isinstance(rows, str | Path):
        yield from _of_text(str(rows))
    elif hasattr(rows, "to_dict"):
        for number, cells in enumerate(rows.to_dict("records"), start=1):
            yield _of_cells(f"row {number}", cells)
    else:
        for number, row in enumerate(rows, start=1):
            if isinstance(row, Mapping):
                yield _of_cells(f"row {number}", row)
            else:
                yield from _of_text(str(row))


def _of_text(text: str) -> Iterator[NamedRow | None]:
    path = Path(text)
    if _SHA256.fullmatch(text):
        yield NamedRow(text, columns={"sha256": text.lower()})
    elif path.suffix.lower() in SUFFIXES:
        for number, cells in read_table(path):
            yield _of_cells(f"{path.name}, row {number}", cells)
    elif (named := _by_number(text)) is not None:
        yield named
    elif path.is_file():
        yield NamedRow(text, columns={"sha256": sha256_of_file(path)})
    else:
        raise UsageError(f"--remake {text}: names no image and no file; name {_FORMS}")


def _of_cells(given: str, cells: Cells) -> NamedRow | None:
    if is_real(cells):
        return None
    try:
        columns = columns_of(cells)
    except ValueError as error:
        raise UsageError(f"--remake {given}: {error}: correct it") from error
    name, revision, index = (columns.pop(each, None) for each in ("model_name", "revision", "index"))
    image_name = columns.pop("image_name", None)
    if index is None and image_name is not None and (match := _IMAGE.fullmatch(image_name)):
        index = int(match[1])
    generators = () if name is None else (name if revision is None else f"{name}@{revision}",)
    if (generators and index is not None) or columns.get("sha256") is not None:
        return NamedRow(given, generators, index, columns, is_table=True)
    raise UsageError(
        f"--remake {given}: names no image: a table needs the columns model_name and index (or image_name), or sha256"
    )


def _by_number(text: str) -> NamedRow | None:
    """The row in a text that has the number of a sample."""
    if (place := part_of(text[text.find("samples/") :])) is not None:
        part, name = place
        return NamedRow(text, (generator_of(part.split("/")[1]),), _number(name))
    before, mark, last = text.rpartition("#" if "#" in text else "/")
    if not before or not (_NUMBER if mark == "#" else _IMAGE).fullmatch(last):
        return None
    if mark == "#":
        return NamedRow(text, (before,), _number(last))
    folders = before.strip("/").split("/")
    if "--" in folders[-1]:
        return NamedRow(text, (generator_of(folders[-1]),), _number(last))
    # A repository without an organisation: images/NAME/00000162.png.
    return NamedRow(text, ("/".join(folders[-2:]), folders[-1]), _number(last))


def _number(name: str) -> int:
    match = _NUMBER.fullmatch(name)
    assert match is not None
    return int(match[1])
