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
from crawler.options import AddOptions, CrawlOptions
from manifests.options import BuildOptions, ExportOptions, PublishOptions
from samplers.fetch.options import FetchOptions
from samplers.importing.options import ImportOptions
from samplers.options import RemakeOptions, SampleOptions
from samplers.provider.options import RemoteOptions
from workspace.errors import UsageError
from workspace.layout import Needs, Workspace
from workspace.opening import opened

if TYPE_CHECKING:
    import pandas as pd

    from captioning.stage import SourceSummary
    from crawler.adding import Added
    from crawler.crawl import Crawled
    from manifests.building import Built
    from manifests.exporting.export import Exported
    from manifests.publishing.publish import Published
    from manifests.restoring.restore import Restored
    from samplers.fetch.fetch import FetchReport
    from samplers.forecasting.forecast import Forecast
    from samplers.importing.account import Account
    from samplers.provider.forecast import RemoteForecasts
    from samplers.provider.run import RemoteReport
    from samplers.remaking.results import Remade
    from samplers.running.supervisor import Report
    from samplers.status.run import RunStatus

WorkspaceLike: TypeAlias = Workspace | str | Path
"""A workspace, the path of its folder, or its address on an object store (`s3://BUCKET/NAME`)."""


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

    with opened(workspace) as space:
        return run(space, options)


def add(workspace: WorkspaceLike, file: str | Path, options: AddOptions = AddOptions()) -> "Added":
    """Add generators that are no diffusers pipelines to the catalogue, from a TOML file: programs.

    `file` may be the name of a file in `generators/manual`, such as "adm". The programs' files are hashed and not run:
    that is done in the child process of `sample`. A module is code that its user trusts. Returns the rows, and the
    names of those that are new.

    Raises `UsageError` for a file that cannot be read or describes no program, for files that are not there, and for a
    workspace that was sampled unless `options.update`.

    Examples:
        >>> import community_forensics as cf
        >>> cf.add("workspace", "faces.toml").new
        ('me/faces',)
    """
    from crawler.programs.adding import add_programs
    from crawler.programs.shipped import shipped

    with opened(workspace) as space:
        return add_programs(space, shipped(str(file)), options)


def import_images(
    workspace: WorkspaceLike, name: str, path: str | Path | None = None, options: ImportOptions = ImportOptions()
) -> "Account":
    """Import images that others made, with their bytes as they are: rows of generators that nobody here samples.

    `name` is the generator (ORG/NAME), an organization where several are found by a column or by folders, or a TOML
    file with a table for each; `path` a folder, a zip, tar or Parquet file, or a data set of the Hub. Each image is
    decoded and checked by the safety checker. Returns what became of each file. The same call continues after an
    interruption.

    Raises `UsageError` for a path or a description that does not fit, and for a workspace that was sampled unless
    `options.update`; `HubError`; `CommunityForensicsError` without a working safety checker.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.ImportOptions(architecture="GAN", license="cc0-1.0", real_source="photos", device="cpu")
        >>> account = cf.import_images("imported", "others/gan", "gan-images", options)
        >>> print([one.results["ok"] for one in account.generators])
        [2]
    """
    from samplers.importing.command import described_by
    from samplers.importing.stage import import_images as import_all

    with opened(workspace) as space:
        return import_all(space, described_by(name, None if path is None else str(path), options), options)


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

    with opened(workspace) as space:
        return run(space, sources, options)


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
    from samplers.stage import sample as run

    with opened(workspace, Needs(images=options.verify == "full")) as space:
        return run(space, options)


def sample_remote(
    workspace: WorkspaceLike, remote: RemoteOptions, options: SampleOptions = SampleOptions()
) -> "list[RemoteReport]":
    """Request images of commercial generators from their providers, by the same plan as of all generators.

    The key is read from the variable of the environment that the generator's TOML file names. What is paid for is
    limited by `remote`, and in the ledger before and after each request. Returns, for each generator, what it has and
    what it cost; a provider that fails is in its report.

    Raises `UsageError` without a key, a limit or prompts, and for options that do not fit the workspace;
    `CommunityForensicsError` when the safety checker does not work.

    Examples:
        >>> import community_forensics as cf
        >>> remote = cf.RemoteOptions(remote=("painter.toml",), max_cost=20.0)
        >>> reports = cf.sample_remote("workspace", remote, cf.SampleOptions(images=4))
    """
    from samplers.provider.run import sample_remote as run

    with opened(workspace) as space:
        return run(space, remote, options)


def forecast_remote(
    workspace: WorkspaceLike, remote: RemoteOptions, options: SampleOptions = SampleOptions()
) -> "RemoteForecasts":
    """What `sample_remote` would request and cost. Nothing is requested or written, and no key is needed.

    Raises `UsageError` as `sample_remote`.

    Examples:
        >>> import community_forensics as cf
        >>> remote = cf.RemoteOptions(remote=("painter.toml",), max_cost=20.0)
        >>> dollars = [one.cost for one in cf.forecast_remote("workspace", remote).generators]
    """
    from samplers.provider.forecast import forecast_remote as run

    with opened(workspace, Needs(writes=False)) as space:
        return run(space, remote, options)


def fetch(workspace: WorkspaceLike, options: FetchOptions) -> "FetchReport":
    """Download the files of the generators that are left to sample, for nodes without internet.

    Fills `options.weights_dir`, which the nodes share, ahead of `sample` with `SampleOptions(offline=True)`; waits for
    space until generators are done, whose files it removes. Returns when all files are there, or were until they were
    sampled, with those that could not be downloaded.

    Raises `UsageError` without a catalogue or a folder, `HubError` when the safety checker cannot be downloaded, and
    `CommunityForensicsError` where the disk is full or cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> import community_forensics as cf
        >>> report = cf.fetch("workspace", cf.FetchOptions(weights_dir=Path("weights")))
        >>> report.failed
        {}
    """
    from samplers.fetch.fetch import fetch as run

    return run(existing(workspace), options)


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
    from samplers.forecasting.forecast import forecast as run

    speed = None if device_speed is None else str(device_speed)
    with opened(workspace, Needs(writes=calibrate), create=False) as space:
        return run(space, options, speed, calibrate=calibrate)


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

    with opened(workspace, Needs(writes=False, images=True, manifest=True), create=False) as space:
        return run(space, rows, Path(into), options)


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

    with opened(workspace, Needs(writes=False, logs=True), create=False) as space:
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

    with opened(workspace, Needs(images=True, manifest=True), create=False) as space:
        return run(space, options)[0]


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

    with opened(workspace, Needs(images=True, manifest=True), create=False) as space:
        return publish_dataset(space, repo_id, options)


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

    with opened(workspace, Needs(writes=False, images=True, manifest=True), create=False) as space:
        return run(space, Path(folder), options)


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


def existing(workspace: WorkspaceLike, *, create: bool = False) -> Workspace:
    """A workspace that exists, or with `create` is made; raises `UsageError` for a folder that does not."""
    if isinstance(workspace, Workspace):
        return workspace
    folder = Path(workspace)
    if create:
        return Workspace.open(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist: name the folder of a workspace")
    return Workspace(folder.resolve())
