"""The exit code of cf-sample says whether generators failed, and --fail-above how many may."""

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from samplers.cli import sample
from samplers.failed_share import FailedShare
from samplers.outcomes import Outcome, Status, write_outcome
from samplers.status.run import Watcher
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from workspace.layout import Workspace
from workspace.share import share_of


def failing(workspace: Workspace, *statuses: Status) -> list[Outcome]:
    """A workspace in which every generator has failed before, so that a run has nothing to sample."""
    entries = [catalog_entry(f"org/model-{number}", task="unconditional") for number in range(len(statuses))]
    write_catalog(workspace, entries)
    outcomes = [
        Outcome(model_name=entry.model_name, revision=entry.revision, status=status)
        for entry, status in zip(entries, statuses, strict=True)
    ]
    for outcome in outcomes:
        write_outcome(workspace, outcome)
    return outcomes


def run(workspace: Workspace, *options: str) -> Result:
    app = typer.Typer()
    app.command()(sample)
    command = ["--workspace", str(workspace.root), "--weights-dir", str(workspace.root / "weights"), *options]
    return CliRunner().invoke(app, command)


def test_a_run_in_which_generators_failed_ends_with_exit_code_3_unless_so_many_may(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    failing(workspace, "load-failed", "sample-failed")
    ended = run(workspace)
    assert ended.exit_code == 3
    assert "2 of 2 generators failed: `cf-status` names each" in ended.stderr
    assert "--fail-above 100% accepts as many" in ended.stderr
    assert run(workspace, "--fail-above", "99%").exit_code == 3
    assert run(workspace, "--fail-above", "100%").exit_code == 0


def test_a_run_in_which_nothing_failed_ends_with_exit_code_0(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, [])
    ended = run(workspace)
    assert (ended.exit_code, ended.stderr) == (0, "")
    # Nor has it never started, because it had nothing to do.
    (shard,) = Watcher(workspace).look(time.time()).shards
    assert (shard.shard, shard.state, shard.left) == ("1/1", "finished", 0)


def share(
    outcomes: Sequence[Outcome], workspace: Workspace, finished: int = 0, others: Sequence[str] = ()
) -> FailedShare:
    """Of a run that sampled generators with these outcomes, and left `others` to another process."""
    names = [*(outcome.generator for outcome in outcomes), *others]
    generators = [SimpleNamespace(entry=SimpleNamespace(generator=name)) for name in names]
    pending = SimpleNamespace(finished=finished, skipped={}, generators=generators)
    report: Any = SimpleNamespace(outcomes=outcomes, others=list(others), pending=pending)
    return FailedShare.of(workspace, report)


def test_what_another_process_recorded_as_failed_counts_and_exhausted_does_not(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    outcomes = failing(workspace, "done", "exhausted", "crashed", "hung", "done")
    found = share(outcomes[:3], workspace, finished=95, others=[one.generator for one in outcomes[3:]])
    assert (found.failed, found.generators) == ({"org/model-2", "org/model-3"}, 100)
    assert [found.is_above(Fraction(percent, 100)) for percent in (0, 1, 2, 3)] == [True, True, False, False]


@pytest.mark.parametrize(("failed", "of", "percent"), [(1, 3, 34), (1, 1000, 1), (5, 100, 5), (2, 2, 100)])
def test_the_share_that_the_message_names_is_enough(failed: int, of: int, percent: int, tmp_path: Path) -> None:
    found = FailedShare({f"org/{number}" for number in range(failed)}, of)
    assert f"--fail-above {percent}% " in found.message()
    assert not found.is_above(share_of(f"{percent}%", "--fail-above"))
    assert found.is_above(Fraction(0))
