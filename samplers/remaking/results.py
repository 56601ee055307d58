"""The folder of a remake: the images that were made again, and a row for each with its result.

    DIR/<org>--<name>/00000162.png
    DIR/results.csv    one row for each that was named
    DIR/results.json   the same, with the numbers

A folder that holds anything else is refused, and so is one in the workspace, which stays as it is. Results are written
after each generator, so the same command continues a remake that was interrupted.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from samplers.remaking.comparison import Result
from workspace.atomic import write_bytes, write_json
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace, generator_folder
from workspace.printable import in_line
from workspace.spreadsheet import cells

JSON, CSV = "results.json", "results.csv"
#: Rows that the terminal names; the table has all.
_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class RemadeRow:
    """One row that was to be made again."""

    number: int
    """Which of the named rows it is, from 1."""
    given: str
    """How it was named."""
    generator: str | None = None
    """ORG/NAME, or ORG/NAME@COMMIT for a further revision; None where it is unknown."""
    model_name: str | None = None
    revision: str | None = None
    index: int | None = None
    result: Result
    """equal: the same bytes, or rejected again for the same reason | differs | not-compared: made, and nothing is known
    of the former image | not-made: `detail` says why."""
    status: str | None = None
    """ok, or why the image was rejected; None: not made."""
    expected_status: str | None = None
    sha256: str | None = None
    expected_sha256: str | None = None
    path: str | None = None
    """The image in the folder; None: no image was made, or written."""
    differences: str = ""
    """What differs between the row and what was made: `device was cpu, now NVIDIA H200; ...`."""
    detail: str | None = None
    device: str | None = None
    libraries: str | None = None


@dataclass(frozen=True)
class Remade:
    """The rows that were named, in their order, and where the results are."""

    rows: tuple[RemadeRow, ...]
    folder: Path
    real: int = 0
    """Rows of tables that are real images, which no generator made."""

    @property
    def equal(self) -> int:
        """Rows that were made again equal."""
        return sum(row.result == "equal" for row in self.rows)

    @property
    def made_with(self) -> tuple[str, ...]:
        """Devices and library versions that made them, such as `cpu, diffusers=..., torch=...`."""
        return tuple(sorted({f"{row.device}, {row.libraries}" for row in self.rows if row.device is not None}))

    def lines(self) -> Iterator[str]:
        """The results, for the terminal."""
        on = "; ".join(self.made_with)
        yield f"{self.equal} of {len(self.rows)} rows made again equal" + (f" on {on}" if on else "")
        rejected = Counter(row.status for row in self.rows if row.result == "equal" and row.status != "ok")
        if rejected:
            reasons = ", ".join(f"{number} {status}" for status, number in sorted(rejected.items(), key=str))
            yield f"of these, rejected again for the same reason, without an image: {reasons}"
        if self.real:
            yield f"left out: {self.real} rows of real images, which no generator made"
        others = [row for row in self.rows if row.result != "equal"]
        for row in others[:_NAMED]:
            name = row.given if row.generator is None else f"{row.generator}#{row.index}"
            why = "; ".join(filter(None, (row.differences, row.detail)))
            yield f"{name} {row.result}: {in_line(why)}"
        if len(others) > _NAMED:
            yield f"... and {len(others) - _NAMED} more"
        yield f"results: {self.folder / CSV}"

    def require_equal(self) -> None:
        """Raise `CommunityForensicsError` where a row was not made again equal."""
        if self.equal < len(self.rows):
            counted = Counter(row.result for row in self.rows if row.result != "equal")
            named = ", ".join(f"{number} {result}" for result, number in sorted(counted.items()))
            raise CommunityForensicsError(f"not all rows are equal ({named}): {self.folder / CSV} says where and why")


class ResultFolder:
    """The folder that images and results are written to.

    `done`: the rows that an interrupted remake of the same rows has made, by their number.
    """

    def __init__(self, workspace: Workspace, folder: Path, named: Sequence[str]) -> None:
        """Make the folder; `named` are the rows. Raises `UsageError` for one in the workspace, or that holds other
        files."""
        self.path = folder.resolve()
        self._named = hashlib.sha256(json.dumps([str(workspace.root), *named]).encode()).hexdigest()
        if self.path.is_relative_to(workspace.root):
            raise UsageError(
                f"--into {folder} is in the workspace, which a remake does not change: name another folder"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            is_empty = not any(self.path.iterdir())
        except OSError as error:
            raise UsageError(f"--into {folder} cannot be used ({error.strerror}): name another folder") from error
        former = None if is_empty else self._former()
        if not is_empty and former is None:
            raise UsageError(
                f"--into {folder} holds other files, or other images made again: name a folder that is empty or does "
                "not exist"
            )
        self.done = {row.number: row for row in former or ()}
        self.write_results([*self.done.values()], finished=False)

    def write_image(self, generator: str, name: str, content: bytes) -> str:
        """Write an image; returns its path in the folder. One that was named twice, and is made in two ways, gives two
        files."""
        path = self.path / generator_folder(generator) / name
        if path.exists() and path.read_bytes() != content:
            path = path.with_stem(f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}")
        write_bytes(path, content)
        return path.relative_to(self.path).as_posix()

    def write_results(self, rows: Sequence[RemadeRow], finished: bool) -> None:
        """Write both tables."""
        numbers = Counter(row.result for row in rows)
        values = {
            "named": self._named,
            "finished": finished,
            "results": dict(sorted(numbers.items())),
            "rows": [asdict(row) for row in rows],
        }
        write_json(self.path / JSON, values)
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, [field.name for field in fields(RemadeRow)])
        table.writeheader()
        table.writerows(_cells(row) for row in rows)
        write_bytes(self.path / CSV, text.getvalue().encode())

    def _former(self) -> list[RemadeRow] | None:
        """What an interrupted remake of the same rows has made, nothing of one that ended; None: there was none."""
        try:
            written = json.loads((self.path / JSON).read_bytes())
            if written["named"] != self._named:
                return None
            return [] if written["finished"] else [RemadeRow(**row) for row in written["rows"]]
        except (OSError, ValueError, TypeError, KeyError):
            return None


def _cells(row: RemadeRow) -> dict[str, Any]:
    return cells({name: in_line(value) if isinstance(value, str) else value for name, value in asdict(row).items()})
