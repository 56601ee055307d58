"""Taking something out of a workspace, and making one of several, as functions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from community_forensics.stages import WorkspaceLike, existing
from upkeep.options import MergeOptions, RemoveOptions
from workspace.layout import Workspace

if TYPE_CHECKING:
    from upkeep.merging import Merged
    from upkeep.removal_report import RemovalReport


def remove(workspace: WorkspaceLike, models: Sequence[str], options: RemoveOptions) -> "RemovalReport":
    """Take generators (`models`: ORG/NAME, or ORG/NAME@COMMIT), and the real images of the options, out of a workspace.

    They are in no file any more, and no later run makes them again; what other generators made stays as it is. The
    manifest and the report are removed: build them again. Returns what was removed; `lines()` says it in words.

    Raises `UsageError` for what the workspace does not have, `CommunityForensicsError` while a stage is at work.

    Examples:
        >>> import community_forensics as cf
        >>> options = cf.RemoveOptions(reason="author-request", dry_run=True)
        >>> removed = cf.remove("workspace", ["inkwell/if-digits"], options)
        >>> list(removed.generators)
        ['inkwell/if-digits']
    """
    from upkeep.removal import remove as run

    return run(existing(workspace), models, options)


def merge(workspaces: Sequence[WorkspaceLike], options: MergeOptions = MergeOptions()) -> "Merged":
    """Make one workspace of several that were made with one catalogue and recipe: `options.into`, or the first of them.

    Of a generator in several the more complete one counts, with all its files. Returns what was taken from where;
    `lines()` says it in words, with what is damaged or differs.

    Raises `UsageError` for workspaces of other recipes, catalogues or prompts, with the differences, and
    `CommunityForensicsError` while a stage is at work in one of them.

    Examples:
        >>> import shutil
        >>> import community_forensics as cf
        >>> copy = shutil.copytree("workspace", "workspace-2")  # where other shards would be sampled
        >>> merged = cf.merge(["workspace", "workspace-2"], cf.MergeOptions(into="merged", dry_run=True))
        >>> len(merged.generators)
        1
    """
    from upkeep.merging import merge as run

    paths: list[Path | str] = [one.root if isinstance(one, Workspace) else one for one in workspaces]
    return run(paths, options)
