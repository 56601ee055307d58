"""The stages as functions: files in a workspace -> files in the same workspace.

What a stage needs is imported when it is called, so that `import community_forensics` takes no time and reading a
dataset needs neither torch nor diffusers.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from captioning.options import CaptionOptions
from crawler.options import CrawlOptions
from manifests.options import BuildOptions, ExportOptions, PublishOptions
from samplers.options import RemakeOptions, SampleOptions
from workspace.errors import UsageError
from workspace.layout import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from captioning.stage import SourceSummary
    from crawler.crawl import Crawled
    from manifests.building import Built
    from manifests.exporting.export import Exported
    from manifests.publishing.publish import Published
    from manifests.restoring.restore import Restored
    from samplers.forecast import Forecast
    from samplers.remaking.results import Remade
    from samplers.status.run import RunStatus
    from samplers.supervisor import Report

WorkspaceLike: TypeAlias = Workspace | str | Path
"""A workspace, or the path of its folder."""


def crawl(workspace: WorkspaceLike, options: CrawlOptions = CrawlOptions()) -> "Crawled":
    """Rank the Hub's diffusers repositories by downloads, inspect each, and write `catalog.parquet`.

    The folder is created where it does not exist. Returns the catalogue's entries by rank, and the names of the
    generators that are new, changed or gone since the last crawl. A crawl that was interrupted continues.

    Raises `UsageError` for a workspace that was crawled with other options, `HubError` when the Hub cannot be reached.

    Examples:
        >>> import community_forensics as cf
        >>> crawled = cf.crawl("workspace", cf.CrawlOptions(limit=50))
        >>> compatible = [row for row in crawled.entries if row.status == "compatible"]
    """
    from crawler.crawl import crawl as run

    return run(_created(workspace), options)


def caption(
    workspace: WorkspaceLike,
    sources: Mapping[str, str | Path] = MappingProxyType({}),
    options: CaptionOptions = CaptionOptions(),
) -> "list[SourceSummary]":
    """Turn real images into prompts: each image's own caption where it has one, else the captioner's.

    Own prompts (`CaptionOptions(prompts=("prompts.txt",))`) need no real images. `CaptionOptions(roots=...)` alone says
    where the real images of a workspace are on this machine.

    `sources` maps the name of a real source to a folder of images, a tar archive, a Parquet file, or a data set of the
    Hub (`hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]`). Known names (coco, imagenet, ffhq, ...) are read in the layout
    that their makers publish. Writes `prompts/`. Returns, for each source, how many images gave a prompt and why others
    were skipped.

    Raises `UsageError` for a source that cannot be read or a workspace with other settings, `HubError` when the
    captioner cannot be downloaded.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.CaptionOptions(limit=100)
        >>> summaries = cf.caption("workspace", {"photos": "photos"}, options)
        >>> print([summary.name for summary in summaries])
        ['photos']
    """
    from captioning.stage import caption as run

    return run(_created(workspace), sources, options)


def sample(workspace: WorkspaceLike, options: SampleOptions = SampleOptions()) -> "Report":
    """Sample images of the catalogue's generators; writes `images/`, `samples/` and `outcomes/`.

    Each generator's files are downloaded, sampled in a child process without token and network, checked by the safety
    checker, and removed. An interrupted run continues. Returns how each generator of the shard ended.

    Raises `UsageError` for a workspace without catalogue or prompts or with other settings, `HubError` when the safety
    checker cannot be downloaded, and `CommunityForensicsError` when the device or the checker does not work. For a
    generator that fails nothing is raised: its outcome says why.

    Examples:
        >>> import community_forensics as cf
        >>> report = cf.sample("workspace", cf.SampleOptions(images=4))
        >>> failed = [end.model_name for end in report.outcomes if end.failed]
    """
    from samplers.supervisor import sample as run

    return run(_created(workspace), options)


def forecast(
    workspace: WorkspaceLike,
    options: SampleOptions = SampleOptions(),
    *,
    device_speed: str | float | None = None,
    calibrate: bool = False,
) -> "Forecast":
    """What `sample` with these options would cost: time of all shards and each, disk, files, download, with ranges.

    What `cf-sample --dry-run` shows. Captions are not needed yet. `device_speed` is the name of a device (docs/costs.md
    lists them), or how many times it is as fast as the nominal GPU; None: as measured, by finished generators and the
    last calibration. `calibrate` measures this device with a batch of three generators first, which are downloaded.
    Times are in seconds; `rests_on` says what they rest on.

    Raises `UsageError` without a catalogue, and for an unknown device; with `calibrate`, what `sample` raises.

    Examples:
        >>> import community_forensics as cf
        >>> cost = cf.forecast("workspace", cf.SampleOptions(images=4), device_speed="a100")
        >>> cost.seconds.low <= cost.seconds.middle <= cost.seconds.high
        True
    """
    from samplers.forecast import forecast as run

    speed = None if device_speed is None else str(device_speed)
    return run(existing(workspace), options, speed, calibrate=calibrate)


def remake(
    workspace: WorkspaceLike,
    rows: "str | Path | pd.DataFrame | Iterable[str | Path | Mapping[str, Any]]",
    into: str | Path,
    options: RemakeOptions = RemakeOptions(),
) -> "Remade":
    """Make images again into the folder `into`, as they were sampled, and say which are equal and where others differ.

    `rows` names them: ORG/NAME/00000162.png, ORG/NAME#162, a sha256, an image file, or a table, which is a CSV or
    Parquet file or a DataFrame with rows of the manifest or of a published dataset; or several of these. The workspace
    is the one that sampled them, and is not changed. Returns a row for each, with its result.

    Raises `UsageError` for rows that cannot be read, or where none of them can be made from this workspace, `HubError`
    when the safety checker cannot be downloaded. For a row that differs, or cannot be made, nothing is raised.

    Examples:
        >>> import community_forensics as cf
        >>> rows = cf.read_manifest("workspace")
        >>> some = rows[rows["label"] == 1].sample(2, random_state=0)
        >>> remade = cf.remake("workspace", some, "again")
        >>> [row.result for row in remade.rows]
        ['equal', 'equal']
    """
    from samplers.remaking.remake import remake as run

    return run(existing(workspace), rows, Path(into), options)


def status(workspace: WorkspaceLike, *, rounds: bool = False) -> "RunStatus":
    """How far sampling is: generators done, exhausted, failed and left, images, images per second, where the time goes.

    Reads files and changes nothing; may be called while shards are running, on any node. Times are in seconds. Every
    failed generator is named in `failures`, with its reason, what to do, and the log of its sampling process. `rounds`:
    also what each round of the recipe added.

    Raises `UsageError` when there is no workspace or no catalogue.

    Examples:
        >>> import community_forensics as cf
        >>> now = cf.status("workspace")
        >>> now.done + now.exhausted + now.failed + now.left == now.generators
        True
    """
    from samplers.status.rounds import rounds_of
    from samplers.status.run import Watcher

    space = existing(workspace)
    now = Watcher(space).look(time.time())
    return replace(now, rounds=rounds_of(space)) if rounds else now


def build_manifest(workspace: WorkspaceLike, options: BuildOptions = BuildOptions()) -> "Built":
    """Join samples, catalogue and prompts, check everything, and write `manifest/` and `report/`.

    Returns the number of rows and a row for each generator. Where a check fails, `manifest/` stays as it was.

    Raises `UsageError` when a stage before this one has not run, `CommunityForensicsError` when a check fails; the
    message names the rows.

    Examples:
        >>> import community_forensics as cf
        >>> built = cf.build_manifest("workspace")
        >>> built.rows == built.kept + built.real
        True
    """
    from manifests.stage import build_manifest as run

    return run(existing(workspace), options)[0]


def publish(workspace: WorkspaceLike, repo_id: str, options: PublishOptions = PublishOptions()) -> "Published":
    """Put the manifest's images on the Hub as the dataset `repo_id` (ORG/NAME); private unless `options.public`.

    Only what is not there yet is sent, and readers see the former version or the new one; each version has a tag
    (`options.tag`, else `round-N`). Returns what was sent.

    Raises `UsageError` without a manifest, for an invalid name, and for real images that must not be made public;
    `HubError` when the Hub refuses or fails; `CommunityForensicsError` for files that changed since the build.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.PublishOptions(dry_run=True)
        >>> published = cf.publish("workspace", "my-org/my-dataset", options)
        >>> len(published.shards)
        2
    """
    from manifests.publishing.publish import publish_dataset

    return publish_dataset(existing(workspace), repo_id, options)


def export(workspace: WorkspaceLike, folder: str | Path, options: ExportOptions) -> "Exported":
    """Put the manifest's images into `folder` as a tree that public detectors' code reads; `folder` is new or empty.

    Every generator has as many real images as generated ones. Files keep their bytes; with `jpeg` or `resize` there are
    more trees beside them, encoded anew. An export that was interrupted continues. Returns what the folder has.

    Raises `UsageError` without a manifest, without images to export, and for a folder with anything else in it;
    `CommunityForensicsError` for files that changed since the build.

    Examples:
        >>> import community_forensics as cf
        >>> exported = cf.export("workspace", "tree", cf.ExportOptions(layout="real-fake"))
        >>> exported.files == exported.added
        True
    """
    from manifests.exporting.export import export as run

    return run(existing(workspace), Path(folder), options)


def restore(folder: str | Path, copies: Sequence[str | Path]) -> "Restored":
    """Complete the public edition that was downloaded to `folder` with real images from your own copies of their data.

    `copies` are folders, tar archives or Parquet files; images are found by their sha256. Returns what was found and
    what is still missing.

    Raises `UsageError` for a folder that holds no edition of this version, `CommunityForensicsError` for damaged files.

    Examples:
        >>> import community_forensics as cf
        >>> restored = cf.restore("download", ["photos"])
        >>> missing = sum(source.listed - source.found for source in restored.sources)
    """
    from manifests.restoring.restore import restore as run

    return run(Path(folder), [Path(copy) for copy in copies])


def existing(workspace: WorkspaceLike) -> Workspace:
    """A workspace that exists; raises `UsageError` for a folder that does not."""
    if isinstance(workspace, Workspace):
        return workspace
    folder = Path(workspace)
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist: name the folder of a workspace")
    return Workspace(folder.resolve())


def _created(workspace: WorkspaceLike) -> Workspace:
    return workspace if isinstance(workspace, Workspace) else Workspace.open(Path(workspace))
