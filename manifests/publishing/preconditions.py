"""What must hold before anything is sent: the manifest is as it was built, and the Hub may have it and can."""

from collections.abc import Sequence

from manifests.checks import check_manifest, check_removed_rows, raise_failures
from manifests.manifest import existing_manifest
from manifests.options import PublishOptions
from manifests.publishing.planning import PlannedShard
from manifests.publishing.published import Counts
from manifests.publishing.repository import DatasetOnHub
from manifests.tables.generators import read_generators
from manifests.tables.withheld import existing_list
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.number_text import counted, form
from workspace.progress import task
from workspace.size import text_of

#: Files that the Hub takes in one folder.
MAX_FILES = 10_000


def check_once_more(workspace: Workspace) -> None:
    """Check the manifest once more, because it may have been changed since it was built."""
    with task("checking the manifest"):
        failures = check_manifest(
            workspace, existing_manifest(workspace), existing_list(workspace), read_generators(workspace)
        )
    raise_failures(failures, "nothing was published, because manifest/ is damaged: run `cf-build-manifest` again")
    raise_failures(check_removed_rows(workspace), "nothing was published, because manifest/ shows what was removed")


def check_visibility(hub: DatasetOnHub, options: PublishOptions, counts: Counts) -> None:
    """Raise `UsageError` where images that may not be passed on would be public."""
    if counts.not_redistributable and (options.public or hub.is_public()):
        images = counted(counts.not_redistributable, "real image")
        they = form(counts.not_redistributable, "it", "they")
        raise UsageError(
            f"{hub.repo_id} {'would be' if options.public else 'is'} public, but {images} of the manifest may not be "
            f"passed on, or it is unknown whether {they} may: run `cf-build-manifest --edition public` first"
        )


def check_shards(workspace: Workspace, shards: Sequence[PlannedShard], options: PublishOptions) -> None:
    """Raise `UsageError` for a plan without shards, or with more than the Hub takes in one folder."""
    if not shards:
        raise UsageError(
            f"{workspace.root}: the manifest has no row in a split: sample more generators, or use other --holdout "
            "options, then run `cf-build-manifest`"
        )
    if len(shards) > MAX_FILES:
        larger = text_of(options.shard_bytes * len(shards) * 5 // (MAX_FILES * 4)).replace(" ", "")
        raise UsageError(
            f"the dataset would have {len(shards)} shards in one folder, where the Hub takes {MAX_FILES}: run again "
            f"with --max-shard-size {larger} and a --max-staging that is not smaller"
        )
