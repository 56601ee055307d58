"""Which source a text names: what exists on this disk, else a dataset of the Hub."""

from pathlib import Path

from detectors.data.sources.hub_listing import hub_files
from detectors.data.sources.published import PublishedSource
from detectors.data.sources.source import Source
from detectors.data.sources.table import table_source
from detectors.data.sources.tree import tree_source
from detectors.data.sources.workspace_source import WorkspaceSource
from manifests.exporting.destination import is_of_export
from manifests.manifest import manifest_path
from workspace.containers import HUB
from workspace.errors import UsageError
from workspace.folder_tree import paths_below
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.repo_id import is_repo_id


def parse_source(text: str, workspace: Workspace, hub: HubAccess = HubAccess()) -> Source:
    """The source that `--data` names: what exists on this disk, else a dataset of the Hub. What is read once to know a
    folder of images is kept in `workspace`.

    Raises `UsageError` for what is none, `HubError` where the Hub does not give it.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return _folder(path.resolve(), workspace, hub)
    if path.suffix.lower() == ".csv":
        if not path.is_file():
            raise UsageError(f"--data {text}: there is no such file")
        return table_source(path.resolve(), workspace)
    if not text.startswith((".", "/", "~")) and "/" in text and is_repo_id(text.partition("@")[0]):
        repo_id, commit, files = hub_files(text, hub)
        return PublishedSource(f"{repo_id}@{commit[:12]}", f"{HUB}datasets/{repo_id}@{commit}", files, hub)
    raise UsageError(
        f"--data {text}: is neither the folder of a workspace with a manifest, nor a published dataset, nor a folder "
        "of images, nor a .csv"
    )


def _folder(folder: Path, workspace: Workspace, hub: HubAccess) -> Source:
    if manifest_path(Workspace(folder)).exists():
        return WorkspaceSource(Workspace(folder), hub)
    # A folder that cannot be read is said where its images are listed.
    every = paths_below(folder, on_error=lambda _: None)
    shards = sorted(path for path in every if path.endswith(".parquet") and not is_of_export(folder / path))
    if any(not shard.startswith("metadata/") for shard in shards):
        return PublishedSource(folder.name, str(folder), shards, hub)
    return tree_source(folder, workspace)
