"""The report: what the workspace contains, on one page that opens in any browser without a network.

`about` says which dataset it is, `figures`, `composition`, `comparison`, `sampled_with` and `skipped` count, `charts`
draws, `contact_sheet` chooses the pictures and `thumbnails` shrinks them, `table` has a row for each generator, and
`page.html` shows them with `style.css`, and `script.js` for searching and paging. The page's size is bounded: of many
generators the contact sheet shows some; the table has all. The same manifest gives the same page.
"""

from pathlib import Path

from manifests.audit.record import read_audit
from manifests.pictures.readers import PictureReaders
from manifests.report.about import about
from manifests.report.charts import count, drawing, percent
from manifests.report.comparison import WARNED, compare
from manifests.report.composition import composition
from manifests.report.contact_sheet import generator_sheets, real_sheets
from manifests.report.figures import count_figures, ending
from manifests.report.rows import opened_rows
from manifests.report.sampled_with import sampled_with
from manifests.report.skipped import skipped_images
from manifests.report.table import COLUMNS, table_rows
from manifests.tables.generators import read_generators
from workspace.atomic import write_bytes
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.pages import page_templates, policy_hash, source, style

#: Rows of the table that are shown at a time; without the script the first ones are shown.
PAGE_ROWS = 50

#: Generators whose pictures one process decodes in less time than another one takes to start.
FEW = 8


def report_path(workspace: Workspace) -> Path:
    """The page's file."""
    return workspace.report / "index.html"


def write_report(workspace: Workspace, hub: HubAccess = HubAccess()) -> Path:
    """Write report/index.html from the manifest and the tables beside it; returns its path. `hub`: where real
    images are read whose locators begin with hf://.

    Raises `UsageError` when there is no manifest yet.
    """
    templates = page_templates("manifests.report")
    templates.filters |= {"count": count, "percent": percent, "ending": ending}
    script = source(templates, "script.js")
    with opened_rows(workspace) as rows, drawing():
        generators = read_generators(workspace)
        sampled = [row for row in generators if row.kept]
        settings = sampled_with(rows)
        with PictureReaders(1 if len(sampled) <= FEW else None) as readers:
            page = templates.get_template("page.html").render(
                about=about(workspace),
                figures=count_figures(rows, generators, settings),
                composition=composition(rows),
                comparison=compare(rows),
                audit=read_audit(workspace),
                skipped=skipped_images(workspace),
                sheets=generator_sheets(workspace, rows, readers, sampled, settings),
                real_sheets=real_sheets(workspace, rows, readers, hub),
                warned=WARNED,
                columns=COLUMNS,
                pages={row.generator: row.link for row in generators if row.is_local},
                table=table_rows(rows, generators, settings),
                page_rows=PAGE_ROWS,
                style=style(templates),
                script=script,
                script_hash=policy_hash(script),
            )
    write_bytes(report_path(workspace), page.encode())
    return report_path(workspace)
