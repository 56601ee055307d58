"""What a run will do, and what it came to, as small tables for the person at the terminal."""

from collections import Counter

from rich.console import Console
from rich.table import Table

from samplers.sample import Sample
from samplers.supervisor import Report
from samplers.survey import Survey
from workspace import records
from workspace.layout import Workspace


def show_survey(survey: Survey) -> None:
    """Print the generators that owe images, what they owe at most, and what is downloaded for it."""
    table = Table("generator", "images", "tries left", "download")
    for owed in survey.owed:
        images = survey.recipe.images - len(owed.standing.kept)
        tries = survey.recipe.max_tries - owed.standing.next_index
        table.add_row(owed.entry.model_name, str(images), str(tries), _bytes(owed.entry.download_bytes))
    console = Console()
    console.print(table)
    total = sum(owed.entry.download_bytes for owed in survey.owed)
    images = sum(survey.recipe.images - len(owed.standing.kept) for owed in survey.owed)
    console.print(
        f"{len(survey.owed)} generators to sample, {images} images, {_bytes(total)} to download; "
        f"{survey.finished} finished, {len(survey.left)} left alone"
    )
    _show_left(console, survey)


def show_report(workspace: Workspace, report: Report) -> None:
    """Print how the generators ended, and what became of the images tried for them."""
    console = Console()
    table = Table("generators", "")
    ends = Counter(outcome.status for outcome in report.outcomes)
    for end in sorted(ends):
        table.add_row(end, str(ends[end]))
    table.add_row("finished before", str(report.survey.finished))
    table.add_row("left alone", str(len(report.survey.left)))
    if report.outcomes:
        table.add_section()
        images: Counter[str] = Counter()
        for outcome in report.outcomes:
            for part in workspace.samples_of(outcome.model_name).glob("part-*.parquet"):
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
                f"{outcome.model_name}: {outcome.status}: {outcome.detail}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    _show_left(console, report.survey)


def _show_left(console: Console, survey: Survey) -> None:
    for model_name, why in survey.left.items():
        console.print(f"left alone: {model_name}: {why}", markup=False, highlight=False, soft_wrap=True)


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 10**8 else f"{count / 1e6:.1f} MB"
