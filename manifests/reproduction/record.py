"""What was found when random rows were made again, and its file, `manifest/reproduced.json`.

The file names the sha256 of the manifest that it belongs to, so that of another manifest is never shown.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manifests.manifest import manifest_path
from workspace.atomic import write_json
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.number_text import form


@dataclass(frozen=True)
class Reproduction:
    """The images of one manifest that were made again."""

    manifest: str
    """sha256 of manifest.parquet."""
    seed: int
    """Random seed by which they were chosen."""
    rows: tuple[str, ...]
    """The images, as ORG/NAME@REVISION#INDEX; all of them are equal, or there is no such manifest."""
    made_with: tuple[str, ...]
    """Devices and library versions that made them, such as `cpu, diffusers=..., torch=...`."""

    def text(self) -> str:
        """What was found, in words."""
        number = len(self.rows)
        return (
            f"{number} of {number} random {form(number, 'image', 'images')} (seed {self.seed}) made again bit-equal on "
            f"{'; '.join(self.made_with)}"
        )


def reproduction_path(workspace: Workspace) -> Path:
    """The file."""
    return workspace.manifest / "reproduced.json"


def write_reproduction(workspace: Workspace, reproduction: Reproduction) -> None:
    """Write the file."""
    write_json(reproduction_path(workspace), asdict(reproduction))


def read_reproduction(workspace: Workspace) -> Reproduction | None:
    """That of the manifest as it is; None: there is none, or it is of another manifest, or damaged."""
    try:
        written: Any = json.loads(reproduction_path(workspace).read_bytes())
        found = Reproduction(
            str(written["manifest"]), int(written["seed"]), (*map(str, written["rows"]),), (*written["made_with"],)
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if found.manifest == sha256_of_file(manifest_path(workspace)) else None


def reproduction_lines(workspace: Workspace) -> Iterator[str]:
    """What is known of the manifest as it is, for the terminal and the card; nothing where nothing was made again."""
    found = read_reproduction(workspace)
    if found is not None:
        yield found.text()
