"""The result of a run as a small table, and the reasons of failed and skipped generators."""

from collections import Counter

from rich.table import Table

from samplers.outcomes import Outcome
from samplers.running.supervisor import Report
from workspace.sandbox.walls import walls_text
from workspace.terminal import Console


def show_report(report: Report) -> None:
    """Print how the generators of this run ended, the number of their images by status, and the seconds by phase."""
    console = Console()
    table = Table("generators", "")
    ends = Counter(outcome.end for outcome in report.outcomes)
    for end in sorted(ends):
        table.add_row(end, str(ends[end]))
    table.add_row("finished before", str(report.pending.finished))
    table.add_row("skipped", str(len(report.pending.skipped)))
    if report.others:
        table.add_row("done by other processes", str(len(report.others)))
    if report.helped:
        table.add_row("of other shards, helped with", str(len(report.helped)))
    if report.outcomes:
        table.add_section()
        for status in ("ok", "nsfw", "blank", "nan"):
            table.add_row(f"images {status}", str(report.statuses[status]))
        table.add_section()
        seconds: Counter[str] = Counter()
        for outcome in report.outcomes:
            seconds.update(outcome.seconds)
        for phase, value in seconds.items():
            table.add_row(f"seconds {phase}", f"{value:.1f}")
    console.print(table)
    walls = {walls_text(outcome.walls) for outcome in report.outcomes if outcome.walls}
    lines = [f"sampled {text}" for text in sorted(walls) if text]
    lines += [_failure(outcome) for outcome in report.outcomes if outcome.failed]
    if not report.pending.generators:
        lines += report.pending.notes  # otherwise said when it began
    lines += [f"skipped {model_name}: {why}" for model_name, why in report.pending.skipped.items()]
    for line in lines:
        console.print(line, soft_wrap=True)


def _failure(outcome: Outcome) -> str:
    log = f" (log: {outcome.log})" if outcome.log is not None else ""
    return f"{outcome.generator}: {outcome.end}: {outcome.detail}{log}"
