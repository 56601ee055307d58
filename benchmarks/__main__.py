"""`python -m benchmarks [NAME ...]`: run all benchmarks, or the named ones, and print a table."""

import importlib
import sys

from rich.console import Console
from rich.table import Table

BENCHMARKS = (
    "augmentation",
    "captioning",
    "crawl",
    "detector_index",
    "duty",
    "file_calls",
    "forecast",
    "helping",
    "loading",
    "local_workers",
    "looking",
    "manifest",
    "packing",
    "png",
    "walls",
)


def main() -> None:
    """Run the benchmarks that the command line names."""
    table = Table("benchmark", "this project, s", "alternative, s", "ratio", "claim")
    for name in sys.argv[1:] or BENCHMARKS:
        for comparison in importlib.import_module(f"benchmarks.{name}").run():
            seconds = (f"{comparison.ours:.3g}", f"{comparison.theirs:.3g}")
            table.add_row(comparison.what, *seconds, f"{comparison.ratio:.2f}", comparison.claim)
    Console().print(table)


if __name__ == "__main__":
    main()
