"""What a run would cost before it starts: GPU hours, disk, files and download, of all shards and of each.

Hours are those of the nominal device (`cost`), turned into those of a real one by what is known of it, in this order:
`--device-speed`; generators of this workspace that are finished, and the last `--calibrate`; else nothing, and then the
device is the nominal one. What is left is read from the rows, of other shards where no outcome says that it is nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from crawler.catalog import CatalogEntry
from samplers.assignment.pending import PendingWork, find_pending
from samplers.forecasting.calibrating import calibrate as measure
from samplers.forecasting.disk_use import Work, bytes_left, files_left
from samplers.forecasting.measurements import measurements_of
from samplers.forecasting.pace import Pace, Range
from samplers.options import SampleOptions
from samplers.outcomes import TRANSIENT, Outcome, read_outcome
from samplers.planning.segments import images_owed
from samplers.storage.progress import GeneratorProgress, progress_of
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.shard import Shard


@dataclass(frozen=True, kw_only=True)
class ShardForecast:
    """What is left of one shard."""

    shard: str
    generators: int
    images: int
    seconds: Range
    """To load and sample."""
    whole_seconds: float
    """Of its whole share, finished or not."""
    download_bytes: int
    """Each content once."""


@dataclass(frozen=True, kw_only=True)
class GeneratorForecast:
    """What is left of one generator."""

    generator: str
    images: int
    tries_left: int
    download_bytes: int
    seconds: Range


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is left to sample and what it costs; where no shard is named, of all shards."""

    shard: str
    finished: int
    """Generators of this shard."""
    skipped: Mapping[str, str]
    """Generators of this shard that need images and would not be sampled, and why."""
    generators: tuple[GeneratorForecast, ...]
    """Of this shard, in the order of sampling."""
    images: int
    """Of this shard, to sample and keep."""
    total_generators: int
    total_images: int
    seconds: Range
    """To load and sample: one device for so long, or several together."""
    stored_bytes: Range
    """PNG files and their rows."""
    files: int
    """New ones, where no image is rejected."""
    most_files: int
    """New ones, where all tries are used."""
    download_bytes: int
    """Each content once; a node downloads what its shards need."""
    shards: tuple[ShardForecast, ...]
    device: str
    """Whose seconds these are."""
    rests_on: tuple[str, ...]
    notes: tuple[str, ...]
    """What the user should know before it is sampled."""


def forecast(
    workspace: Workspace,
    options: SampleOptions = SampleOptions(),
    device_speed: str | None = None,
    *,
    calibrate: bool = False,
) -> Forecast:
    """What the workspace, sampled with these options, would cost. Prompts are not needed.

    `device_speed`: a name of `device_speed.DEVICES` or a number of nominal devices. `calibrate`: measure this device
    first. Without it, nothing is changed and nobody is asked. Raises `UsageError` as `find_pending` and `speed_of` do,
    and what `calibrating.calibrate` raises.
    """
    if calibrate and options.devices is not None:
        raise UsageError("--calibrate measures one device: name it with --device, without --devices")
    if calibrate and device_speed is not None:
        raise UsageError("--calibrate measures this device, and --device-speed names another one: give one of them")
    own = Shard.parse(options.shard)
    own = own.within or own
    options = replace(options, shard=str(own))
    pending = find_pending(workspace, options, dry_run=True)
    failed = measure(workspace, options, pending).failed if calibrate else {}
    outcomes = {
        name: _outcome(workspace, entry) if name in pending.begun else None for name, entry in pending.entries.items()
    }
    known = measurements_of(workspace, pending, outcomes, device_speed)
    pace = known.pace
    mine = [Work.of(one.entry, one.segments, one.progress) for one in pending.generators]
    shards = [
        mine if number == own.index else _work_of_others(workspace, names, pending, outcomes, options)
        for number, names in enumerate(pending.assignment.names, 1)
    ]
    everything = [one for work in shards for one in work]
    fewest, most = files_left(everything, pending.recipe.store)
    return Forecast(
        shard=str(own),
        finished=pending.finished,
        skipped=pending.skipped,
        generators=tuple(
            GeneratorForecast(
                generator=one.entry.generator,
                images=one.missing_images,
                tries_left=sum(segment.stop - segment.first for segment in one.segments) - one.progress.tries,
                download_bytes=one.entry.download_bytes,
                seconds=pace.seconds([(one.cost, one.missing_images)]),
            )
            for one in pending.generators
        ),
        images=sum(one.missing_images for one in pending.generators),
        total_generators=len(everything),
        total_images=sum(one.images for one in everything),
        seconds=_seconds(pace, pending, everything),
        stored_bytes=bytes_left(everything, known.pixel_bytes),
        files=fewest,
        most_files=most,
        download_bytes=_download(everything),
        shards=tuple(
            ShardForecast(
                shard=f"{number}/{own.count}",
                generators=len(work),
                images=sum(one.images for one in work),
                seconds=_seconds(pace, pending, work),
                whole_seconds=_whole(pace, pending, number),
                download_bytes=_download(work),
            )
            for number, work in enumerate(shards, 1)
        ),
        device=known.device,
        rests_on=known.rests_on,
        notes=(*pending.notes, *(f"--calibrate: {name} gave no batch: {why}" for name, why in failed.items())),
    )


def _outcome(workspace: Workspace, entry: CatalogEntry) -> Outcome | None:
    outcome = read_outcome(workspace, entry.generator)
    return outcome if outcome is not None and outcome.revision == entry.revision else None


def _work_of_others(
    workspace: Workspace,
    names: Iterable[str],
    pending: PendingWork,
    outcomes: Mapping[str, Outcome | None],
    options: SampleOptions,
) -> list[Work]:
    """What is left of another shard's generators."""
    found = []
    for name in names:
        outcome, segments = outcomes[name], pending.segments[name]
        if outcome is not None and outcome.failed:
            nothing = outcome.status not in TRANSIENT and not options.retry_failed
        else:
            nothing = outcome is not None and outcome.round >= segments[-1].recipe.round
        if not nothing:
            progress = progress_of(workspace, name) if name in pending.begun else GeneratorProgress()
            found.append(Work.of(pending.entries[name], segments, progress))
    return [one for one in found if one.images]


def _seconds(pace: Pace, pending: PendingWork, work: Iterable[Work]) -> Range:
    return pace.seconds((pending.costs[one.entry.generator], one.images) for one in work)


def _whole(pace: Pace, pending: PendingWork, number: int) -> float:
    names = pending.assignment.names[number - 1]
    return pace.seconds((pending.costs[name], images_owed(pending.segments[name])) for name in names).middle


def _download(work: Iterable[Work]) -> int:
    """Bytes of these generators' files, each content once."""
    return sum({file.sha256 or file.git_oid: file.size for one in work for file in one.entry.all_files}.values())
