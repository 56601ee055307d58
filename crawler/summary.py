"""What a crawl says at its end: a few counts, and what is new since the last one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crawler.crawl import Crawled

#: Names shown of what is new, changed or gone.
SHOWN = 5


def print_summary(crawled: Crawled, catalog: Path) -> None:
    """Print the counts of a catalogue to standard output."""
    console = Console(highlight=False)
    console.print(_table(crawled))
    for word, names in (("new", crawled.new), ("changed", crawled.changed), ("gone", crawled.gone)):
        # In a first crawl everything is new.
        if names and len(names) < len(crawled.entries):
            console.print(f"{word}: {len(names)} ({_some(names)})", markup=False)
    if crawled.missing:
        console.print(f"not on the Hub: {len(crawled.missing)} ({_some(crawled.missing)})", markup=False)
    console.print(f"{catalog}", markup=False, soft_wrap=True)


def _table(crawled: Crawled) -> Table:
    compatible = [entry for entry in crawled.entries if entry.status == "compatible"]
    table = Table(box=None, show_header=False)
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_row("listed", str(len(crawled.entries)))
    table.add_row("compatible", str(len(compatible)))
    _add(table, "by architecture", (entry.architecture for entry in compatible))
    _add(table, "by licence", (entry.license_family for entry in compatible))
    table.add_row("incompatible", str(len(crawled.entries) - len(compatible)))
    _add(table, "by reason", (entry.reason or "" for entry in crawled.entries if entry.status == "incompatible"))
    return table


def _add(table: Table, title: str, values: Iterable[str]) -> None:
    counts = Counter(values)
    for number, (value, count) in enumerate(sorted(counts.items(), key=lambda item: (-item[1], item[0]))):
        table.add_row(f"  {title if number == 0 else ' ' * len(title)}  {value}", str(count))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
