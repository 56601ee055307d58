"""Sampling on several devices of this machine: a supervisor for each, as if each had its own job.

Each is a process with the memory's share of one device, and samples a part of the shard; with helping they end
together. They share the weights (`weights/pool.py`), and one table of prompts, which this process reads and they map.
What they cannot do for themselves is done here: to interrupt all of them once, and to say when one is lost.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from engines.devices import devices_of
from engines.local import LocalEngine
from samplers.assignment.pending import PendingWork
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.running import supervisor
from samplers.running.part_reports import PartReport, PartReports
from samplers.running.supervisor import OnDevice, Report, prepare
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from workspace.batch_system import has_others_on_node
from workspace.command_line import REQUEUE_SIGNALS
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace
from workspace.progress import one_of_many
from workspace.sandbox.limits import default_memory
from workspace.shard import Shard
from workspace.terminal import say

#: Seconds between two looks of a supervisor at whether the process that started it is there.
_LOOK_SECONDS = 1.0


def sample_on_devices(workspace: Workspace, options: SampleOptions, named: str) -> Report:
    """Sample the shard `options.shard` on the devices that `named` names.

    Raises as `supervisor.sample`, and `UsageError` for devices that do not exist. A supervisor that is lost is started
    again, and what is left of one that is lost again and again is an error when the others have ended.
    """
    if options.shard == "auto" and has_others_on_node():
        raise UsageError(
            "--devices is for one process a node, and the batch system started several: start one (srun "
            "--ntasks-per-node=1), or leave out --devices, and each takes the GPU of its number"
        )
    devices = devices_of(named)
    if len(devices) == 1:
        return supervisor.sample(workspace, replace(options, device=devices[0], devices=None))
    return _sample_on(workspace, options, devices)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one supervisor gets."""

    root: Path
    options: SampleOptions
    on: OnDevice
    processes: int
    """How many supervisors there are."""


def _sample_on(workspace: Workspace, options: SampleOptions, devices: tuple[str, ...]) -> Report:
    pending = prepare(workspace, options)
    if not pending.generators and not options.help_others:
        return Report(pending)
    for note in pending.notes:
        say(note, err=True)
    lost: dict[str, str] = {}
    errors: dict[str, CommunityForensicsError] = {}
    results = PartReports(pending)

    def tell(part: _Part, code: int | None, again: bool) -> None:
        how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        then = "it is started again" if again else "it is not started again; the others go on"
        say(f"{part.on.label}: its process {how}: {then}", err=True)
        if not again:
            lost[part.on.label] = how

    with ProcessFolder(options.weights_dir or default_weights_dir(), is_shared=options.offline) as folder:
        prompts = _saved_prompts(pending, folder.home / "prompts.arrow")
        parts = _parts(workspace, options, devices, prompts)
        for part, result in LocalEngine(len(parts), lost=tell).run(_sample_part, parts):
            if result.error is not None:
                errors[part.on.label] = result.error
                say(f"{part.on.label}: {result.error}", err=True)
            results.add(result)
    report = results.report()
    unfinished = [name for name in report.others if _is_unfinished(workspace, pending, name)]
    if unfinished and errors:
        raise next(iter(errors.values()))
    if unfinished and lost:
        raise CommunityForensicsError(
            f"{len(unfinished):,} generators are left, because processes were lost ("
            f"{'; '.join(f'{label} {how}' for label, how in lost.items())}): run the same command again; where memory "
            "is short, with fewer --devices"
        )
    return report


def _parts(workspace: Workspace, options: SampleOptions, devices: tuple[str, ...], prompts: Path | None) -> list[_Part]:
    """The part of each device: of the shard, of the memory."""
    count, shard = len(devices), Shard.parse(options.shard)
    memory = default_memory() if options.memory_bytes is None else options.memory_bytes
    share = None if memory is None else memory / count / 1e9
    labels = [f"{device}, process {number}" if device == "cpu" else device for number, device in enumerate(devices, 1)]
    return [
        _Part(
            root=workspace.root,
            options=replace(
                options, device=device, devices=None, shard=str(shard.part(number, count)), max_memory=share
            ),
            on=OnDevice(label=labels[number - 1], prompts=prompts),
            processes=count,
        )
        for number, device in enumerate(devices, 1)
    ]


def _saved_prompts(pending: PendingWork, path: Path) -> Path | None:
    """The file with all prompts; None: there are none."""
    table = pending.prompts[pending.recipe.round].table
    if not len(table):
        return None
    table.saved(path)
    return path


def _is_unfinished(workspace: Workspace, pending: PendingWork, name: str) -> bool:
    outcome = read_outcome(workspace, name)
    return outcome is None or outcome.round < pending.segments[name][-1].recipe.round


def _sample_part(part: _Part) -> PartReport:
    """One supervisor, in a process of its own. An error of it is a result: the others go on."""
    _take_signals()
    _end_without(os.getppid())
    try:
        with one_of_many(part.processes):
            return PartReport.of(supervisor.sample(Workspace(part.root), part.options, part.on))
    except CommunityForensicsError as error:
        return PartReport(statuses={}, error=error)


def _take_signals() -> None:
    """Interrupt this process once, whichever signals come: a batch system may send its own to every process, and the
    process that started this one passes on what it gets."""
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, *REQUEUE_SIGNALS):
        signal.signal(number, interrupt)


def _end_without(parent: int) -> None:
    """Interrupt this process when the one that started it has ended, which may have been killed."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()
