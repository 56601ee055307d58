"""The sampling stage: the supervisor in this process, one for each device of this machine, or one in each process of an
engine.

The items of the engine are shares of the generators. Each of its processes runs the ordinary supervisor: with claims,
with the files of the next generators downloaded ahead, and with helping, which takes what is longest by what was
measured. So a process that is lost costs its last batch, and the engine holds nothing: whatever is left when all of it
is killed is sampled by the same command, or by `--shard`.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from engines.engine import Engine
from samplers.assignment.pending import PendingWork, find_pending
from samplers.options import SampleOptions
from samplers.running.node_run import sample_on_devices
from samplers.running.part_reports import PartReport, PartReports
from samplers.running.supervisor import Report
from samplers.running.supervisor import sample as sample_shard
from workspace.errors import UsageError
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.progress import one_of_many, task


def sample(workspace: Workspace, options: SampleOptions = SampleOptions()) -> Report:
    """Sample what is not finished of the shard's generators; with an engine, of all generators.

    Errors as `samplers.running.supervisor.sample` and `samplers.running.node_run.sample_on_devices`; `UsageError` where
    no engine of that name answers, and for options that an engine decides itself.
    """
    several = options.devices is not None or options.engine != "local" or options.processes is not None
    if several and workspace.remote is not None:
        raise UsageError(
            "--devices, --engine and --processes are for a workspace on a disk: for one in an object store, start a "
            "cf-sample for each GPU (--device cuda:0, cuda:1, ...), which share the work"
        )
    if options.devices is not None:
        if options.engine != "local" or options.processes is not None:
            raise UsageError("--devices names the processes of this machine: leave out --engine and --processes")
        return sample_on_devices(workspace, options, options.devices)
    if options.engine == "local" and options.processes is None:
        return sample_shard(workspace, options)
    if options.shard != SampleOptions.shard:
        raise UsageError(f"--shard {options.shard}: an engine divides the work itself: leave out --shard")
    if options.device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {options.device}: an engine gives each process its own GPU: leave out --device")
    require_extra("sample", "cf-sample")
    pending = find_pending(workspace, options)
    engine = options.open_engine()
    assert engine is not None
    return _sample_on(engine, workspace, options, pending)


def _sample_on(engine: Engine, workspace: Workspace, options: SampleOptions, pending: PendingWork) -> Report:
    """Sample all generators in the processes of an engine, each of which has a GPU, or a machine where it has none."""
    gpus = 0 if options.device == "cpu" else 1
    count = options.processes or (engine.workers(gpus) if gpus else engine.machines())
    alone = replace(options, engine="local", address=None, processes=None)
    shares = [
        Share(workspace.root.resolve(), replace(alone, shard=f"{number}/{count}")) for number in range(1, count + 1)
    ]
    parts = PartReports(pending)
    with task("sampling in processes", count) as progress:
        progress.say(f"{count} processes on {engine}; `cf-status --watch` shows the generators")
        for share, done in engine.run(sample_share, shares, gpus=gpus):
            parts.add(done)
            progress.advance(note=f"share {share.options.shard} has ended")
    return parts.report()


@dataclass(frozen=True)
class Share:
    """What one process of an engine is told."""

    workspace: Path
    options: SampleOptions


def sample_share(share: Share) -> PartReport:
    """Sample a share, in a process of an engine: all of them print about a line each ten seconds together."""
    processes = int(share.options.shard.partition("/")[2])
    with one_of_many(processes):
        return PartReport.of(sample_shard(Workspace.open(share.workspace), share.options))
