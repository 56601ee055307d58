"""The building stage: all records -> `manifest/`, with its audit where one is asked for, and `report/`; first, where
that is asked for, random images are made again.

One process of a workspace builds at a time, the report included, which is that of the manifest just built. All of it is
made in a folder of its own, and put in place when it is complete: a disk that fills, or whatever else fails, leaves the
former manifest and report as they were.
"""

import shutil
from pathlib import Path

from manifests.audit.audit import audit_manifest
from manifests.audit.matching import matched_path
from manifests.audit.record import audit_path, remove_stale
from manifests.building import Built, build
from manifests.evaluation_sets import evaluation_path
from manifests.manifest import WORK, manifest_path
from manifests.options import BuildOptions
from manifests.report import write_report
from manifests.reproduction.check import reproduce
from manifests.reproduction.record import read_reproduction, reproduction_path
from manifests.scratch import scratch_folder
from manifests.staged import StagedWorkspace
from manifests.tables.withheld import withheld_path
from workspace.atomic import remove_partial, sync_path
from workspace.exclusive import alone
from workspace.extras import require_extra
from workspace.layout import Workspace

#: What was found in a manifest, beside it; kept as long as the manifest is the same.
_FOUND = (audit_path, matched_path, reproduction_path)


def build_manifest(workspace: Workspace, options: BuildOptions = BuildOptions()) -> tuple[Built, Path]:
    """Build the manifest and write the report; returns what was built, and the report's page.

    An audit of a former manifest is removed. An image that is made again and not equal is a check that fails. Errors as
    `building.build`; also `UsageError` where an audit, or making images again, is asked for and its packages are not
    installed, and `CommunityForensicsError` while another process builds.
    """
    audited = options.audit or options.matched
    if audited:
        require_extra("audit", "cf-build-manifest --audit")
    if options.reproduce:
        require_extra("sample", "cf-build-manifest --verify reproduce")
    with alone(workspace, WORK) as held, scratch_folder(workspace.manifest / ".new") as folder:
        remove_partial(workspace.manifest)
        staged = StagedWorkspace(workspace.root, folder)
        built = build(staged, options, held.check)
        if options.reproduce:
            reproduce(staged, options)
        _copy_found(workspace, staged)
        if audited:
            audit_manifest(staged, options)
        page = write_report(staged, options.hub)
        held.check()
        _put_in_place(staged, workspace)
        return built, page


def _copy_found(workspace: Workspace, staged: StagedWorkspace) -> None:
    """Keep the audit, and the images that were made again, where the manifest is the one of which they are."""
    for file_of in _FOUND:
        if file_of(workspace).exists() and not file_of(staged).exists():
            shutil.copyfile(file_of(workspace), file_of(staged))
    remove_stale(staged)
    if read_reproduction(staged) is None:
        reproduction_path(staged).unlink(missing_ok=True)


def _put_in_place(staged: StagedWorkspace, workspace: Workspace) -> None:
    """Give all files their names, the manifest last; those of a former manifest that this one does not have go."""
    for file_of in (withheld_path, evaluation_path, *_FOUND):
        if not file_of(staged).exists():
            file_of(workspace).unlink(missing_ok=True)
    for path in sorted(staged.manifest.iterdir(), key=lambda path: path == manifest_path(staged)):
        path.replace(workspace.manifest / path.name)
    sync_path(workspace.manifest)
