"""The manifest that is published: a copy, so that one built meanwhile changes nothing of what readers get.

Publishing may take days. Everything of it is planned, packed and described from this copy, never from `manifest/`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from manifests.manifest import WORK, existing_manifest, manifest_path
from manifests.tables.generators import generators_path
from manifests.tables.withheld import existing_list, withheld_path
from workspace.exclusive import alone
from workspace.layout import Workspace


@dataclass(frozen=True)
class PinnedWorkspace(Workspace):
    """A workspace whose `manifest` is the folder `copy`."""

    copy: Path

    @property
    def manifest(self) -> Path:
        """The folder of the copy."""
        return self.copy


def pin_manifest(workspace: Workspace, folder: Path) -> PinnedWorkspace:
    """Copy the manifest and the tables beside it to `folder`, which is created.

    Raises `UsageError` without a manifest of this version, `CommunityForensicsError` while another process builds.
    """
    pinned = PinnedWorkspace(workspace.root, folder)
    with alone(workspace, WORK):
        existing_manifest(workspace)
        existing_list(workspace)
        folder.mkdir()
        table = generators_path(workspace)
        for path in (manifest_path(workspace), withheld_path(workspace), table, table.with_suffix(".csv")):
            if path.exists():
                shutil.copyfile(path, folder / path.name)
    return pinned
