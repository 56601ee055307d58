"""The report: what was made, on one page that opens in any browser without a network.

`figures` counts, `contact` picks and shrinks the pictures, `page.html` shows both. The page's size is bounded: beyond
some generators it shows a sample and says where the rest is.
"""

from pathlib import Path

from manifests.report.contact import generator_sheets, real_images
from manifests.report.figures import count_figures
from workspace.atomic import write_bytes
from workspace.layout import Workspace


def report_path(workspace: Workspace) -> Path:
    """Where the page lies."""
    return workspace.report / "index.html"


def write_report(workspace: Workspace) -> Path:
    """Write report/index.html from the manifest and the tables beside it; returns its path.

    Raises `UsageError` when there is no manifest yet.
    """
    import jinja2

    # Names, captions and reasons were written by strangers: everything is escaped.
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("manifests.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counted = count_figures(workspace)
    page = templates.get_template("page.html").render(
        figures=counted, sheets=generator_sheets(workspace, counted.sampled), real_images=real_images(workspace)
    )
    write_bytes(report_path(workspace), page.encode())
    return report_path(workspace)
