"""The output of a crawl: counts, what is new since the last crawl, and what the user can do about missing models."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from crawler.catalog import CatalogEntry
from crawler.crawl import Crawled
from crawler.nsfw_tags import nsfw_tags
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
    if crawled.entries:
        console.print()
        console.print(_license_table(crawled.entries))
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
    for note in crawled.notes:
        _print(console, note)
    left_out = _left_out(crawled)
    if left_out is not None:
        _print(console, left_out)
    ours = [entry for entry in crawled.entries if entry.is_local and entry.status == "incompatible"]
    refused = [entry for entry in ours if entry.reason != Reason.LEFT_OUT]
    for entry in refused[:SHOWN]:
        _print(console, f"{entry.generator}: {entry.reason}: {entry.reason_detail}")
    if len(refused) > SHOWN:
        _print(console, f"and {len(refused) - SHOWN} more on this machine: `cf-crawl --explain NAME` says why")
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
    table.add_row("incompatible", str(len(crawled.entries) - len(compatible)))
    _add(table, "by reason", (entry.reason or "" for entry in crawled.entries if entry.status == "incompatible"))
    return table


def _license_table(entries: Sequence[CatalogEntry]) -> Table:
    """Models, compatible ones, gated ones and those with a tag for adult content, by the family of their licence."""
    table = Table(box=None)
    table.add_column("licence in effect")
    for title in ("models", "compatible", "gated", "nsfw tag"):
        table.add_column(title, justify="right", no_wrap=True)
    families = Counter(entry.license_family_effective for entry in entries)
    for family in sorted(families, key=lambda family: (-families[family], family)):
        table.add_row(family, *_counts([entry for entry in entries if entry.license_family_effective == family]))
    table.add_row("all", *_counts(entries))
    return table


def _counts(entries: Sequence[CatalogEntry]) -> tuple[str, ...]:
    gated = sum(entry.gated is not None for entry in entries)
    tagged = sum(bool(nsfw_tags(entry)) for entry in entries)
    compatible = sum(entry.status == "compatible" for entry in entries)
    return tuple(f"{count:,}" for count in (len(entries), compatible, gated, tagged))


def _left_out(crawled: Crawled) -> str | None:
    """How many models the options left out, by option; None: none."""
    details = (entry.reason_detail or "" for entry in crawled.entries if entry.reason == Reason.LEFT_OUT)
    by_option = Counter(detail.partition(":")[0] for detail in details)
    inspected = [f"{count:,} by {option}" for option, count in by_option.most_common()]
    by_name = [f"{count:,} by {option}, not inspected" for option, count in sorted(crawled.left_out.items())]
    return f"left out: {'; '.join([*inspected, *by_name])}" if inspected or by_name else None


def _add(table: Table, title: str, values: Iterable[str]) -> None:
    counts = Counter(values)
    for number, (value, count) in enumerate(sorted(counts.items(), key=lambda item: (-item[1], item[0]))):
        table.add_row(f"  {title if number == 0 else ' ' * len(title)}  {value}", str(count))


def _some(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
