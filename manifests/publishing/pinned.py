"""The manifest that is published: a copy, so that one built meanwhile changes nothing of what readers get.

Publishing may take days. Everything of it is planned, packed and described from this copy, never from `manifest/`. The
copy is read once with its checksums, because DuckDB does not compare them.
"""

import shutil
from pathlib import Path

from manifests.audit.matching import MatchedRow, matched_path
from manifests.audit.record import audit_path
from manifests.evaluation_sets import EvaluationRow, evaluation_path
from manifests.manifest import WORK, ManifestRow, existing_manifest, manifest_path
from manifests.reproduction.record import reproduction_path
from manifests.staged import StagedWorkspace
from manifests.tables.generators import GeneratorRow, generators_path
from manifests.tables.withheld import WithheldRow, existing_list, withheld_path
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.exclusive import alone
from workspace.layout import Workspace


def pin_manifest(workspace: Workspace, folder: Path) -> StagedWorkspace:
    """Copy the manifest and the tables beside it to `folder`, which is created.

    Raises `UsageError` without a manifest of this version, `CommunityForensicsError` where it is damaged, and while
    another process builds.
    """
    pinned = StagedWorkspace(workspace.root, folder)
    with alone(workspace, WORK):
        existing_manifest(workspace)
        existing_list(workspace)
        folder.mkdir()
        table = generators_path(workspace)
        beside = [
            file_of(workspace)
            for file_of in (withheld_path, evaluation_path, audit_path, matched_path, reproduction_path)
        ]
        for path in (manifest_path(workspace), *beside, table, table.with_suffix(".csv")):
            if path.exists():
                shutil.copyfile(path, folder / path.name)
    for path, record in (
        (manifest_path(pinned), ManifestRow),
        (withheld_path(pinned), WithheldRow),
        (evaluation_path(pinned), EvaluationRow),
        (generators_path(pinned), GeneratorRow),
        (matched_path(pinned), MatchedRow),
    ):
        if path.exists():
            _verify(workspace.manifest / path.name, path, record)
    return pinned


def _verify(original: Path, copy: Path, record: type) -> None:
    try:
        records.verify(copy, record)
    except records.DamagedFileError as error:
        raise CommunityForensicsError(f"{original} is damaged: run `cf-build-manifest` again") from error
