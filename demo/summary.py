"""The table at the end of the demo, counted from the files of the stages."""

from collections import Counter
from collections.abc import Mapping

from rich.table import Table

from crawler.catalog import read_catalog
from manifests.audit.record import read_audit
from samplers.sample import read_samples
from workspace.layout import Workspace


def summarise(workspace: Workspace, published: Mapping[str, int]) -> Table:
    """Numbers of generators (found, compatible, sampled), images (kept, rejected), rows of each published split,
    and what the audit found."""
    catalog = read_catalog(workspace)
    samples = {entry.model_name: read_samples(workspace, entry.model_name) for entry in catalog}
    tries = Counter(sample.status for rows in samples.values() for sample in rows)
    incompatible = Counter(entry.reason for entry in catalog if entry.status == "incompatible")

    table = Table(title="Results of the demo", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("generators found", str(len(catalog)))
    table.add_row("  compatible", str(len(catalog) - incompatible.total()))
    table.add_row("  sampled", str(sum(any(row.status == "ok" for row in rows) for rows in samples.values())))
    for reason, count in incompatible.most_common():
        table.add_row(f"  incompatible: {reason}", str(count))
    table.add_row("images kept", str(tries["ok"]), end_section=False)
    for status in ("nsfw", "blank", "nan"):
        table.add_row(f"  rejected: {status}", str(tries[status]))
    for split, rows in published.items():
        table.add_row(f"rows published in {split}", str(rows))
    if audit := read_audit(workspace):
        audited = {"all images": audit.findings}
        if audit.matched:
            audited[f"{audit.matched.pairs} matched pairs"] = audit.matched.findings
        for name, findings in audited.items():
            score = findings.together
            table.add_row(f"AUROC of file facts, {name}", "too few" if score is None else f"{score.auroc:.2f}")
    return table
