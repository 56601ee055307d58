"""The output of cf-add."""

from pathlib import Path

from crawler.adding import Added
from workspace.size import text_of
from workspace.terminal import Console


def print_summary(added: Added, catalog: Path) -> None:
    """Print what was added to standard output."""
    console = Console()
    for entry in added.entries:
        is_new = entry.generator in added.new
        what = f"added, round {added.round}" if is_new else "in the catalogue, as before"
        size = text_of(entry.download_bytes)
        console.print(
            f"{entry.generator}: {what}; {entry.architecture}, {entry.task}, {len(entry.files)} files, {size}, "
            f"SHA-256 {entry.revision[:12]}",
            soft_wrap=True,
        )
        if entry.reason is not None:
            console.print(f"  cannot be sampled: {entry.reason}: {entry.reason_detail}", soft_wrap=True)
    console.print(f"{catalog}", soft_wrap=True)
