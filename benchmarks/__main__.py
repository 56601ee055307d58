"""`python -m benchmarks [NAME ...]`: run all benchmarks, or those named, and print a table."""

import importlib
import sys

from rich.console import Console
from rich.table import Table

BENCHMARKS = ("captioning", "crawl", "duty", "manifest", "packing", "png")


def main() -> None:
    """Run what was asked for."""
    table = Table("what", "ours, s", "theirs, s", "ratio", "claim")
    for name in sys.argv[1:] or BENCHMARKS:
        for comparison in importlib.import_module(f"benchmarks.{name}").run():
            seconds = (f"{comparison.ours:.3g}", f"{comparison.theirs:.3g}")
            table.add_row(comparison.what, *seconds, f"{comparison.ratio:.2f}", comparison.claim)
    Console().print(table)


if __name__ == "__main__":
    main()
