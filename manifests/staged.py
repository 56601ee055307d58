"""A workspace whose manifest is in another folder: where it is made before it is put in place, or a copy of it."""

from dataclasses import dataclass
from pathlib import Path

from workspace.layout import Workspace


@dataclass(frozen=True)
class StagedWorkspace(Workspace):
    """A workspace whose `manifest` is the folder `staging`; all else is where it is."""

    staging: Path

    @property
    def manifest(self) -> Path:
        """The other folder."""
        return self.staging
