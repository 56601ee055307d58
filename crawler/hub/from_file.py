"""Models that a file names, instead of the Hub's list (`cf-crawl --from`).

The file is an earlier catalogue, the published dataset, any table (Parquet or CSV) with a column of repository ids, or
a list with one id in a line. People make such lists by hand and in spreadsheets: a byte order mark, other separators,
spaces and addresses of pages are read, and a line that names no repository costs only itself. A line may also be the
path of a generator on this machine, and a TOML file says more of each (`crawler/local_generator.py`); a folder or a
checkpoint in the place of the file is that generator alone.

There is one request for each model, at its newest commit; the response has its files too, so the inspection needs no
other. It has every field of the list except the downloads of all time.
"""

import csv
import hashlib
import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from crawler.hub.client import FINAL_ERRORS, Hub, NotFoundError, UnavailableError
from crawler.hub.listing import ListedModel, ModelList, Selection
from crawler.hub.repository import Description
from crawler.local_generator import CHECKPOINTS, LocalGenerator, from_tables, is_path, unnamed
from workspace import progress
from workspace.errors import HubError, UsageError, in_one_line
from workspace.hub_session import TooLargeError
from workspace.repo_id import is_repo_id
from workspace.threads import each

#: Names of a column with repository ids; the first one that the file has is read.
COLUMNS = ("model_name", "model_id", "id", "modelId", "repo_id")
#: Characters of a bad line that a message quotes at most.
_QUOTED = 60
_PARQUET = b"PAR1"
# The address of a repository's page, or of a file in it.
_ADDRESS = re.compile(
    r"https?://[^/\s]+/(?P<id>[\w.-]+(?:/[\w.-]+)?)/?(?:(?:tree|blob|resolve|discussions)/.*)?(?:[?#].*)?", re.ASCII
)


@dataclass(frozen=True)
class Names:
    """The repository ids in a file, without duplicates, in order."""

    names: tuple[str, ...]
    #: Lines that name no repository, in words.
    bad_lines: tuple[str, ...] = ()
    #: Generators on this machine, each with a name of its own.
    local: tuple[LocalGenerator, ...] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """The repository ids, and the names of generators on this machine."""
        return (*self.names, *(generator.name for generator in self.local))


def read_names(path: Path) -> Names:
    """The generators in a file; raises `UsageError` when it cannot be read or names none."""
    try:
        if path.is_dir() or path.suffix.lower() in CHECKPOINTS:
            return Names((), local=(unnamed(str(path.absolute()), Path()),))
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        if path.suffix.lower() == ".toml" and not is_parquet:
            found = _in_tables(path)
        else:
            found = _valid(*(_parquet_texts(path) if is_parquet else _texts(path)), path.parent)
    except OSError as error:
        raise UsageError(f"--from {path}: cannot be read ({error.strerror or error})") from error
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        reason = in_one_line(error, named=False)
        raise UsageError(f"--from {path}: neither a Parquet file nor a CSV file nor a list ({reason})") from error
    if not found.all_names:
        bad = f" ({found.bad_lines[0]})" if found.bad_lines else ""
        raise UsageError(f"--from {path}: contains no repository id{bad}")
    return _distinct(path, found)


def _in_tables(path: Path) -> Names:
    """The generators in a TOML file; raises `UsageError`."""
    try:
        texts, generators = from_tables(tomllib.loads(path.read_text(encoding="utf-8-sig")), path.parent)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f'--from {path} is not TOML: {error}; a table begins with a name in quotes, ["ORG/NAME"]'
        ) from error
    except UsageError as error:
        raise UsageError(f"--from {path}: {error}") from error
    listed = _valid(False, enumerate((text.strip() for text in texts), start=1), path.parent)
    return replace(listed, local=(*listed.local, *generators))


def _distinct(path: Path, found: Names) -> Names:
    """The same, if different generators have different names; raises `UsageError`."""
    named: dict[str, LocalGenerator] = {}
    for generator in found.local:
        if named.setdefault(generator.name, generator) != generator:
            where = f"{named[generator.name].path} and {generator.path}"
            raise UsageError(f"--from {path}: {where} are both named {generator.name}: name them in a TOML file")
    both = next((name for name in found.names if name in named), None)
    if both is not None:
        raise UsageError(f"--from {path}: {both} is on the Hub and at {named[both].path}: give one another name")
    return replace(found, local=tuple(named.values()))


def _valid(named: bool, texts: Iterable[tuple[int, str]], folder: Path) -> Names:
    """The ids and paths in these texts, paths below `folder`. `named`: their column is one of `COLUMNS`, so an id
    without an organization is one."""
    names: dict[str, None] = {}
    local: list[LocalGenerator] = []
    bad: list[str] = []
    for number, text in texts:
        if is_path(text):
            try:
                local.append(unnamed(text, folder))
            except UsageError as error:
                bad.append(f"line {number}: {error}")
            continue
        address = _ADDRESS.fullmatch(text)
        name = address["id"] if address is not None else text
        if is_repo_id(name) and (named or "/" in name):
            names[name] = None
        else:
            bad.append(f"line {number}: {text[:_QUOTED]!r} is not a repository id (ORG/NAME)")
    return Names(tuple(names), tuple(bad), tuple(local))


def digest(names: Sequence[str]) -> str:
    """The SHA-256 of a set of names, for the recipe; their order does not matter."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def look_up_models(hub: Hub, selection: Selection, names: Sequence[str], workers: int) -> ModelList:
    """The models of `names` that the selection matches; raises `HubError`."""
    matching = [name for name in names if selection.matches_name(name)]
    results: list[_LookUp] = []
    with progress.task("look up", total=len(matching)) as task:
        for result in each(partial(_look_up, hub), matching, workers, hub.stop):
            results.append(result)
            task.advance(note=result.name)
    # Sorted: of two names for one model, always the same one counts.
    results.sort(key=lambda result: result.name)
    found = {result.listed.model_name: result for result in results if result.listed is not None}
    models = sorted(
        (result.listed for result in found.values() if result.listed is not None and selection.matches(result.listed)),
        key=lambda listed: (-listed.downloads, listed.model_name),
    )[: selection.limit]
    return ModelList(
        models=models,
        descriptions={listed.model_name: found[listed.model_name].description for listed in models},
        missing=tuple(result.name for result in results if result.listed is None and result.problem is None),
        failed=tuple(f"{result.name}: {result.problem}" for result in results if result.problem is not None),
        left_out=Counter(filter(None, map(selection.choice.option_against, names))),
    )


@dataclass(frozen=True)
class _LookUp:
    name: str
    listed: ListedModel | None = None
    description: Description = Description({})
    #: Why the Hub does not tell; None: it does, or has no such model.
    problem: str | None = None


def _look_up(hub: Hub, name: str) -> _LookUp:
    try:
        info = hub.model_info(name, None)
    except UnavailableError:
        raise
    except (RepositoryNotFoundError, RevisionNotFoundError, NotFoundError):
        return _LookUp(name)
    except (*FINAL_ERRORS, TooLargeError, HubError) as error:
        return _LookUp(name, problem=in_one_line(error, named=False))
    return _LookUp(name, ListedModel.parse(info), Description.parse(info))


def _parquet_texts(path: Path) -> tuple[bool, Iterator[tuple[int, str]]]:
    """Number and text of each row of the column with names."""
    names = pq.read_schema(path).names
    column = next((column for column in COLUMNS if column in names), None)
    if column is None:
        raise UsageError(f"--from {path}: no column is named {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}")
    values = pq.read_table(path, columns=[column])[column]
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise UsageError(f"--from {path}: column {column} has the type {values.type}, not string")
    unique = pc.unique(values).to_pylist()
    return True, ((number, text.strip()) for number, text in enumerate(unique, start=1) if text is not None)


def _texts(path: Path) -> tuple[bool, Iterator[tuple[int, str]]]:
    """Whether the first line names the column with ids, and number and text of each line in that column.

    Where it names none, the column is the first in which one of the first two lines has an ORG/NAME.
    """
    lines = _lines(path)
    start = list(itertools.islice(lines, 2))
    cells = [cell for _, row in start[:1] for cell in row]
    header = next((cells.index(column) for column in COLUMNS if column in cells), None)
    place = next((row.index(cell) for _, row in start for cell in row if "/" in cell), 0) if header is None else header
    rows = itertools.chain(start[int(header is not None) :], lines)
    return header is not None, ((number, row[place]) for number, row in rows if len(row) > place and row[place])


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        # What separates the columns: the commonest of the usual separators in the first line.
        separator = max(",;\t", key=file.readline(10_000).count)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator)
        for row in reader:
            if row and not row[0].lstrip().startswith("#"):
                yield reader.line_num, [cell.strip() for cell in row]
