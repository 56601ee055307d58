"""What a run came to, as a small table for the person at the terminal."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from samplers.sample import Sample
from samplers.supervisor import Report
from workspace import records
from workspace.layout import Workspace, parts_in


def show_report(workspace: Workspace, report: Report) -> None:
    """Print how the generators ended, and what became of the images tried for them."""
    console = Console()
    table = Table("generators", "")
    ends = Counter(outcome.end for outcome in report.outcomes)
    for end in sorted(ends):
        table.add_row(end, str(ends[end]))
    table.add_row("finished before", str(report.survey.finished))
    table.add_row("left alone", str(len(report.survey.left)))
    if report.outcomes:
        table.add_section()
        images: Counter[str] = Counter()
        for outcome in report.outcomes:
            for part in parts_in(workspace.samples_of(outcome.model_name)):
                images.update(records.read_table(part, Sample, ["status"]).column("status").to_pylist())
        for status in ("ok", "nsfw", "blank", "nan"):
            table.add_row(f"images {status}", str(images[status]))
        table.add_section()
        seconds: Counter[str] = Counter()
        for outcome in report.outcomes:
            seconds.update(outcome.seconds)
        for phase, value in seconds.items():
            table.add_row(f"seconds {phase}", f"{value:.1f}")
    console.print(table)
    for outcome in report.outcomes:
        if outcome.failed:
            console.print(
                f"{outcome.model_name}: {outcome.end}: {outcome.detail}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    for model_name, why in report.survey.left.items():
        console.print(f"left alone: {model_name}: {why}", markup=False, highlight=False, soft_wrap=True)
