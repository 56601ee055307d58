"""What a run would cost before it starts: GPU hours, disk, files and download, of all shards and of each.

Hours are those of the nominal device (`cost`), turned into those of a real one by what is known of it, in this order:
`--device-speed`; generators of this workspace that are finished, and the last `--calibrate`; else nothing, and then the
device is the nominal one. What is left of this shard is read from its rows, of other shards from their outcomes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crawler.catalog import CatalogEntry
from samplers.calibrating import calibrate as measure
from samplers.disk_use import Work, bytes_left, files_left
from samplers.measurements import measurements_of
from samplers.options import SampleOptions
from samplers.outcomes import TRANSIENT, Outcome, read_outcome
from samplers.pace import Pace, Range
from samplers.pending import PendingWork, find_pending
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
    if calibrate and device_speed is not None:
        raise UsageError("--calibrate measures this device, and --device-speed names another one: give one of them")
    pending = find_pending(workspace, options, dry_run=True)
    failed = measure(workspace, options, pending).failed if calibrate else {}
    outcomes = {name: _outcome(workspace, entry) for name, entry in pending.entries.items()}
    known = measurements_of(workspace, pending, outcomes, device_speed)
    pace = known.pace
    shards = [_work_of_shard(number, pending, outcomes, options) for number in range(len(pending.assignment.names))]
    own = Shard.parse(options.shard)
    everything = [one for work in shards for one in work]
    fewest, most = files_left(everything, options)
    return Forecast(
        shard=str(own),
        finished=pending.finished,
        skipped=pending.skipped,
        generators=tuple(
            GeneratorForecast(
                generator=one.entry.generator,
                images=one.missing_images(pending.recipe),
                tries_left=pending.recipe.max_tries - one.progress.next_index,
                download_bytes=one.entry.download_bytes,
                seconds=pace.seconds([(one.cost, one.missing_images(pending.recipe))]),
            )
            for one in pending.generators
        ),
        images=sum(one.missing_images(pending.recipe) for one in pending.generators),
        total_generators=len(everything),
        total_images=sum(one.images for one in everything),
        seconds=_seconds(pace, pending, everything),
        stored_bytes=bytes_left(everything, options, known.pixel_bytes),
        files=fewest,
        most_files=most,
        download_bytes=_download(everything),
        shards=tuple(
            ShardForecast(
                shard=f"{number}/{own.count}",
                generators=len(work),
                images=sum(one.images for one in work),
                seconds=_seconds(pace, pending, work),
                whole_seconds=_whole(pace, pending, number, options),
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


def _work_of_shard(
    number: int, pending: PendingWork, outcomes: Mapping[str, Outcome | None], options: SampleOptions
) -> list[Work]:
    """What is left of the shard with that number, from 0."""
    if number == Shard.parse(options.shard).index - 1:
        return [
            Work(one.entry, one.missing_images(pending.recipe), one.progress.next_index) for one in pending.generators
        ]
    found = []
    for name in pending.assignment.names[number]:
        outcome = outcomes[name]
        if outcome is None:
            found.append(Work(pending.entries[name], options.images))
        elif outcome.failed and (outcome.status in TRANSIENT or options.retry_failed):
            found.append(Work(pending.entries[name], options.images - outcome.kept, outcome.tries))
    return found


def _seconds(pace: Pace, pending: PendingWork, work: Iterable[Work]) -> Range:
    return pace.seconds((pending.costs[one.entry.generator], one.images) for one in work)


def _whole(pace: Pace, pending: PendingWork, number: int, options: SampleOptions) -> float:
    names = pending.assignment.names[number - 1]
    return pace.seconds((pending.costs[name], options.images) for name in names).middle


def _download(work: Iterable[Work]) -> int:
    """Bytes of these generators' files, each content once."""
    return sum({file.sha256 or file.git_oid: file.size for one in work for file in one.entry.all_files}.values())
