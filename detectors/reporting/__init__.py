"""The page of the detectors, `report/detect.html`: one file that opens in any browser without a network.

`overview` has a row for each detector and protocol, `generators` a bar for each generator, `curves` draws what scores
show, `pictures` shrinks the images that were judged best and worst, `sections` are the figures of studies, robustness
and attribution. All but the pictures come from the results and the scores. The page's size is bounded: of many
generators it shows the worst; `detect/results.parquet` has all. The same files give the same page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors.data.index import Index
from detectors.options import ReportOptions
from detectors.reporting.curves import curve_figures
from detectors.reporting.generators import generator_tables
from detectors.reporting.overview import overview, periods
from detectors.reporting.pictures import Pictures
from detectors.reporting.sections import sections
from detectors.results.auditing import read_audits, read_matched
from detectors.results.table import update_results
from detectors.run import runs
from manifests.audit.record import WARNED
from workspace.atomic import write_bytes
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace
from workspace.pages import page_templates, policy_hash, source, style


@dataclass(frozen=True)
class Report:
    """The page that was written, and what is missing in it."""

    path: Path
    remarks: Sequence[str]


def report_path(workspace: Workspace) -> Path:
    """The page's file."""
    return workspace.report / "detect.html"


def write_report(workspace: Workspace, options: ReportOptions = ReportOptions()) -> Report:
    """Compute the results of all runs, and write the page.

    Raises `UsageError` where no detector was evaluated and no data audited.
    """
    results = update_results(workspace, read_matched(workspace))
    audits = read_audits(workspace)
    found = sections(workspace, results)
    if not len(results) and not audits and not found:
        raise UsageError(f"{workspace.root} has no scores yet: run `cf-detect evaluate` or `cf-detect audit` first")
    remarks: list[str] = []
    made = runs(workspace)
    pictures = Pictures(_index(workspace, options, remarks) if options.pictures else None)
    templates = page_templates(__name__)
    templates.filters |= {"share": share, "count": count}
    script = source(templates, "script.js")
    page = templates.get_template("page.html").render(
        overview=overview(results, audits),
        periods=periods(results),
        audits=audits,
        warned=WARNED,
        tables=generator_tables(results, made, pictures),
        curves=curve_figures(made, results),
        sections=found,
        runs=made,
        style=style(templates),
        script=script,
        script_hash=policy_hash(script),
    )
    write_bytes(report_path(workspace), page.encode())
    return Report(report_path(workspace), remarks)


def share(value: float | None, digits: int = 3) -> str:
    """A share of one as it is shown: .972; – where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def count(number: int) -> str:
    """A count as it is shown: narrow spaces between thousands, at which no line breaks."""
    return f"{number:,}".replace(",", "\u202f")


def _index(workspace: Workspace, options: ReportOptions, remarks: list[str]) -> Index | None:
    """The images of which there are pictures; None where they cannot be read, which the page does not need."""
    try:
        return Index.open(options.data, workspace, options.hub)
    except CommunityForensicsError as error:
        remarks.append(f"the page has no pictures: {error}")
        return None
