"""What became of each file of an import."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplers.sample import Sample
from workspace import records
from workspace.atomic import atomic_path
from workspace.layout import Workspace, parts_in
from workspace.number_text import counted
from workspace.printable import in_line
from workspace.spreadsheet import cells

_COLUMNS = (
    "index",
    "original_name",
    "status",
    "detail",
    "sha256",
    "similar_to",
    "image_name",
    "prompt_source",
    "prompt_id",
)
#: Lines of one kind that are shown.
_SHOWN = 5


@dataclass(frozen=True)
class GeneratorAccount:
    """The rows of one generator, with `equal_to`: the index of an earlier row with the same file. `new`: how many this
    run added."""

    generator: str
    rows: Sequence[Mapping[str, Any]]
    new: int

    @property
    def results(self) -> Counter[str]:
        """Rows by what became of them; `equal`: files that an earlier row has, which the manifest leaves out."""
        return Counter("equal" if row["equal_to"] is not None else row["status"] for row in self.rows)


@dataclass(frozen=True)
class Account:
    """What became of an import."""

    generators: Sequence[GeneratorAccount]
    unclaimed: Sequence[str] = ()
    """Images of no generator."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Files that are no images, by suffix."""
    remarks: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """The account for the terminal."""
        for one in self.generators:
            results = one.results
            parts = [f"{results['ok']:,} kept"]
            parts += [f"{number:,} {name}" for name, number in sorted(results.items()) if name != "ok"]
            yield f"{one.generator}: {counted(len(one.rows), 'file')}: {', '.join(parts)}"
            sources = Counter(row["prompt_source"] for row in one.rows if row["prompt_source"] is not None)
            if sources:
                yield "  prompts: " + ", ".join(f"{number:,} from {name}" for name, number in sources.most_common())
            matched = sum(row["prompt_id"] is not None for row in one.rows)
            if matched:
                yield f"  {matched:,} tied to a real image in prompts/"
            yield from self._pairs(one)
        if self.unclaimed:
            shown = in_line(self.unclaimed[0])
            yield f"of no generator of this import: {counted(len(self.unclaimed), 'image')}, such as {shown}"
        if self.others:
            kinds = ", ".join(f"{number:,} {name}" for name, number in sorted(self.others.items()))
            yield f"files that are no images: {kinds}"
        yield from self.remarks

    def _pairs(self, one: GeneratorAccount) -> Iterator[str]:
        names = {row["index"]: row["original_name"] for row in one.rows}
        pairs = [(row, "is equal to", row["equal_to"]) for row in one.rows if row["equal_to"] is not None]
        pairs += [(row, "looks as", row["similar_to"]) for row in one.rows if row["similar_to"] is not None]
        for row, what, other in pairs[:_SHOWN]:
            yield f"  {in_line(row['original_name'])} {what} {in_line(names[other])}"
        if len(pairs) > _SHOWN:
            yield f"  and {len(pairs) - _SHOWN:,} more pairs: --report FILE.csv names all"
        broken = [row for row in one.rows if row["status"] == "broken"]
        for row in broken[:_SHOWN]:
            yield f"  {in_line(row['original_name'])}: {row['detail']}"
        if len(broken) > _SHOWN:
            yield f"  and {len(broken) - _SHOWN:,} more that are broken: --report FILE.csv names all"

    def write(self, path: Path) -> None:
        """Write a line for each file, as CSV."""
        names = ["generator", "original_name", "result", "image_name", "sha256", "equal_to", "similar_to", "detail"]
        names += ["prompt_source", "prompt_id"]
        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, names, extrasaction="ignore")
            table.writeheader()
            for one in self.generators:
                known = {row["index"]: row["original_name"] for row in one.rows}
                for row in one.rows:
                    result = "equal" if row["equal_to"] is not None else row["status"]
                    others = {key: known.get(row[key]) for key in ("equal_to", "similar_to")}
                    table.writerow(cells({**row, **others, "generator": one.generator, "result": result}))
            for name in self.unclaimed:
                table.writerow(cells({"original_name": name, "result": "of no generator"}))


def account_of(workspace: Workspace, generator: str, new: int) -> GeneratorAccount:
    """The account of a generator, from its rows in parts; raises `UsageError` for rows of another version."""
    first: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for part in parts_in(workspace.samples_of(generator)):
        for row in records.read_table(part, Sample, _COLUMNS).to_pylist():
            sha256 = row["sha256"]
            row["equal_to"] = first.get(sha256) if sha256 is not None else None
            if sha256 is not None:
                first.setdefault(sha256, row["index"])
            rows.append(row)
    return GeneratorAccount(generator, rows, new)
