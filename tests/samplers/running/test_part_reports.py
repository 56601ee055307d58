"""The reports of several supervisors as one."""

from pathlib import Path

from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from samplers.outcomes import Outcome
from samplers.running.part_reports import PartReport, PartReports
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from workspace.layout import Workspace


def _outcome(name: str, status: str = "done") -> Outcome:
    return Outcome(model_name=name, revision="0" * 40, status=status)  # type: ignore[arg-type]


def test_a_generator_that_failed_in_one_process_and_was_done_in_another_is_done(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    names = ["org/a", "org/b", "org/c"]
    write_catalog(workspace, [catalog_entry(name, task="unconditional") for name in names])
    parts = PartReports(find_pending(workspace, SampleOptions(images=1)))
    parts.add(PartReport(outcomes=[_outcome("org/a", "crashed")], statuses={"ok": 2}))
    parts.add(PartReport(outcomes=[_outcome("org/a"), _outcome("other/x")], statuses={"ok": 1}, helped=["other/x"]))
    parts.add(PartReport(outcomes=[_outcome("org/a", "crashed")], statuses={"nsfw": 1}, helped=["org/b"]))
    report = parts.report()
    assert {one.generator: one.status for one in report.outcomes} == {"org/a": "done", "other/x": "done"}
    assert dict(report.statuses) == {"ok": 3, "nsfw": 1}
    assert (report.others, report.helped) == (["org/b", "org/c"], ["other/x"])
