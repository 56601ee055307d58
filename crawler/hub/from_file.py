"""Models that a file names, instead of those the Hub lists.

A former catalogue, the published dataset or anybody's table: Parquet or CSV with a column of repository ids. Each
model is asked for once, at its newest commit, and the answer serves its inspection too. The Hub says everything
here that its list says, but the downloads of all time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from crawler.catalog import ModelFile
from crawler.hub.client import FINAL, Hub, OversizedError, UnavailableError
from crawler.hub.listing import Listed, Selection
from crawler.hub.repository import files_of
from workspace import progress
from workspace.errors import HubError, UsageError
from workspace.layout import generator_folder
from workspace.threads import each

#: What a column of repository ids may be called, the first that is there counts.
COLUMNS = ("model_name", "model_id", "id", "modelId", "repo_id")
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Found:
    """The named models that the Hub has, by downloads; their files by name; and the names it has not, sorted."""

    listed: list[Listed]
    files: Mapping[str, Mapping[str, ModelFile]]
    missing: tuple[str, ...]


def read_names(path: Path) -> tuple[str, ...]:
    """The repository ids in a Parquet or CSV file, each once, in their order; raises `UsageError`."""
    try:
        with path.open("rb") as file:
            column = _parquet_column(path) if file.read(4) == _PARQUET else _csv_column(path)
    except OSError as error:
        raise UsageError(f"--from {path}: cannot be read ({error.strerror or error})") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError, UnicodeDecodeError) as error:
        said = str(error).splitlines()[0]
        raise UsageError(f"--from {path}: neither a Parquet file nor a CSV with a header ({said})") from error
    names = dict.fromkeys(name for name in column.to_pylist() if name is not None)
    if not names:
        raise UsageError(f"--from {path}: names no model")
    for name in names:
        try:
            generator_folder(name)
        except UsageError as error:
            raise UsageError(f"--from {path}: {error}") from error
    return tuple(names)


def digest(names: Sequence[str]) -> str:
    """What stands for a set of names in the recipe: their SHA-256, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def look_up(hub: Hub, selection: Selection, names: Sequence[str], workers: int) -> Found:
    """Ask the Hub about each of `names` that the selection's patterns take; raises `HubError`."""
    asked = [name for name in names if selection.takes_name(name)]
    answers: list[tuple[str, Listed | None, Mapping[str, ModelFile]]] = []
    with progress.task("look up", total=len(asked)) as task:
        for answer in each(partial(_look_up, hub), asked, workers, hub.stop):
            answers.append(answer)
            task.advance(note=answer[0])
    found = {listed.model_name: (listed, files) for _, listed, files in sorted(answers, key=_name) if listed}
    chosen = sorted(
        (listed for listed, _ in found.values() if selection.takes(listed)),
        key=lambda listed: (-listed.downloads, listed.model_name),
    )[: selection.limit]
    return Found(
        listed=chosen,
        files={listed.model_name: found[listed.model_name][1] for listed in chosen},
        missing=tuple(sorted(name for name, listed, _ in answers if listed is None)),
    )


def _look_up(hub: Hub, name: str) -> tuple[str, Listed | None, Mapping[str, ModelFile]]:
    try:
        info = hub.model_info(name, None)
    except UnavailableError:
        raise
    except (*FINAL, OversizedError, HubError):
        return name, None, {}
    return name, Listed.parse(info), files_of(info)


def _name(answer: tuple[str, Listed | None, Mapping[str, ModelFile]]) -> str:
    return answer[0]


def _parquet_column(path: Path) -> pa.ChunkedArray:
    column = _column(path, pq.read_schema(path).names)
    values = pq.read_table(path, columns=[column])[column]
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        raise UsageError(f"--from {path}: its column {column} holds {values.type}, not names of models")
    return pc.unique(values)


def _csv_column(path: Path) -> pa.ChunkedArray:
    with pyarrow.csv.open_csv(path) as reader:
        column = _column(path, reader.schema.names)
    only = pyarrow.csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
    return pc.unique(pyarrow.csv.read_csv(path, convert_options=only)[column])


def _column(path: Path, names: Sequence[str]) -> str:
    column = next((column for column in COLUMNS if column in names), None)
    if column is None:
        raise UsageError(f"--from {path}: has none of the columns {', '.join(COLUMNS)}")
    return column
