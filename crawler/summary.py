"""The output of a crawl: counts, what is new since the last crawl, and what the user can do about missing models."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from crawler.crawl import Crawled
from crawler.reasons import Reason
from workspace.terminal import Console

#: Names that are printed of a longer list.
SHOWN = 5
# What makes the next crawl find such models compatible.
_REMEDIES = {
    Reason.GATED: "accept the terms on the Hub, set HF_TOKEN, and crawl again",
    Reason.HUB_ERROR: "the Hub did not respond; crawl again",
    Reason.NEEDS_PACKAGE: "install the package that reason_detail names, and crawl again",
    Reason.TEST_REPOSITORY: "left out; --include-test-repositories inspects them, in a new workspace",
}


def print_summary(crawled: Crawled, catalog: Path) -> None:
    """Print the counts of a catalogue to standard output."""
    console = Console()
    console.print(_table(crawled))
    for word, names in (("new", crawled.new), ("changed", crawled.changed), ("gone", crawled.gone)):
        # In a first crawl every model is new.
        if names and len(names) < len(crawled.entries):
            _print(console, f"{word}: {_some(names)}")
    if crawled.kept:
        remedy = "their rows stay as they were; --update adds new revisions beside them"
        _print(console, f"changed or gone since they were sampled: {_some(crawled.kept)}: {remedy}")
    if crawled.not_added:
        _print(console, f"not added, as this workspace was sampled: {_some(crawled.not_added)}: --update adds them")
    if crawled.missing:
        _print(console, f"not on the Hub: {_some(crawled.missing)}")
    for title, lines in (("no answer", crawled.failed), ("skipped", crawled.bad_lines)):
        if lines:
            _print(
                console, f"{title}: {len(lines)} ({'; '.join(lines[:SHOWN])}{'; ...' if len(lines) > SHOWN else ''})"
            )
    for reason, remedy in _REMEDIES.items():
        affected = [entry.model_name for entry in crawled.entries if entry.reason == reason]
        if affected:
            _print(console, f"{reason}: {_some(affected)}: {remedy}")
    _print(console, f"{catalog}")


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)


def _table(crawled: Crawled) -> Table:
    compatible = [entry for entry in crawled.entries if entry.status == "compatible"]
    table = Table(box=None, show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("models", str(len(crawled.entries)))
    table.add_row("compatible", str(len(compatible)))
    _add(table, "by architecture", (entry.architecture for entry in compatible))
    _add(table, "by licence", (entry.license_family_effective for entry in compatible))
    table.add_row("incompatible", str(len(crawled.entries) - len(compatible)))
    _add(table, "by reason", (entry.reason or "" for entry in crawled.entries if entry.status == "incompatible"))
    return table


def _add(table: Table, title: str, values: Iterable[str]) -> None:
    counts = Counter(values)
    for number, (value, count) in enumerate(sorted(counts.items(), key=lambda item: (-item[1], item[0]))):
        table.add_row(f"  {title if number == 0 else ' ' * len(title)}  {value}", str(count))


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
