"""Models that a file names, instead of the Hub's list (`cf-crawl --from`).

The file is an earlier catalogue, the published dataset or any table: Parquet or CSV with a column of repository ids.
There is one request for each model, at its newest commit; the response has its files too, so the inspection needs no
other. It has every field of the list except the downloads of all time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from crawler.catalog import ModelFile
from crawler.hub.client import FINAL_ERRORS, Hub, TooLargeError, UnavailableError
from crawler.hub.listing import ListedModel, ModelList, Selection
from crawler.hub.repository import parse_files
from workspace import progress
from workspace.errors import HubError, UsageError, in_one_line
from workspace.repo_id import checked_repo_id
from workspace.threads import each

#: Names of a column with repository ids; the first one that the file has is read.
COLUMNS = ("model_name", "model_id", "id", "modelId", "repo_id")
_PARQUET = b"PAR1"


def read_names(path: Path) -> tuple[str, ...]:
    """The repository ids in a Parquet or CSV file, without duplicates, in order; raises `UsageError`."""
    try:
        with path.open("rb") as file:
            column = _parquet_column(path) if file.read(4) == _PARQUET else _csv_column(path)
    except OSError as error:
        raise UsageError(f"--from {path}: cannot be read ({error.strerror or error})") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, UnicodeDecodeError) as error:
        reason = in_one_line(error, named=False)
        raise UsageError(f"--from {path}: neither a Parquet file nor a CSV file with a header ({reason})") from error
    names = dict.fromkeys(name for name in column.to_pylist() if name is not None)
    if not names:
        raise UsageError(f"--from {path}: contains no repository id")
    for name in names:
        try:
            checked_repo_id(name)
        except UsageError as error:
            raise UsageError(f"--from {path}: {error}") from error
    return tuple(names)


def digest(names: Sequence[str]) -> str:
    """The SHA-256 of a set of names, for the recipe; their order does not matter."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def look_up_models(hub: Hub, selection: Selection, names: Sequence[str], workers: int) -> ModelList:
    """The models of `names` that the selection matches; raises `HubError`."""
    matching = [name for name in names if selection.matches_name(name)]
    results: list[tuple[str, ListedModel | None, Mapping[str, ModelFile]]] = []
    with progress.task("look up", total=len(matching)) as task:
        for result in each(partial(_look_up, hub), matching, workers, hub.stop):
            results.append(result)
            task.advance(note=result[0])
    # Sorted: of two names for one model, always the same one counts.
    found = {listed.model_name: (listed, files) for _, listed, files in sorted(results, key=_name) if listed}
    models = sorted(
        (listed for listed, _ in found.values() if selection.matches(listed)),
        key=lambda listed: (-listed.downloads, listed.model_name),
    )[: selection.limit]
    return ModelList(
        models=models,
        files={listed.model_name: found[listed.model_name][1] for listed in models},
        missing=tuple(sorted(name for name, listed, _ in results if listed is None)),
    )


def _look_up(hub: Hub, name: str) -> tuple[str, ListedModel | None, Mapping[str, ModelFile]]:
    try:
        info = hub.model_info(name, None)
    except UnavailableError:
        raise
    except (*FINAL_ERRORS, TooLargeError, HubError):
        return name, None, {}
    return name, ListedModel.parse(info), parse_files(info)


def _name(result: tuple[str, ListedModel | None, Mapping[str, ModelFile]]) -> str:
    return result[0]


def _parquet_column(path: Path) -> pa.ChunkedArray:
    column = _column(path, pq.read_schema(path).names)
    values = pq.read_table(path, columns=[column])[column]
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise UsageError(f"--from {path}: column {column} has the type {values.type}, not string")
    return pc.unique(values)


def _csv_column(path: Path) -> pa.ChunkedArray:
    with pyarrow.csv.open_csv(path) as reader:
        column = _column(path, reader.schema.names)
    only = pyarrow.csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
    return pc.unique(pyarrow.csv.read_csv(path, convert_options=only)[column])


def _column(path: Path, names: Sequence[str]) -> str:
    column = next((column for column in COLUMNS if column in names), None)
    if column is None:
        raise UsageError(f"--from {path}: no column is named {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}")
    return column
