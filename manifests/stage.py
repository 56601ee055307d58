"""The building stage: all records -> `manifest/`, with its audit where one is asked for, and `report/`.

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
from manifests.manifest import WORK, manifest_path
from manifests.options import BuildOptions
from manifests.report import write_report
from manifests.scratch import scratch_folder
from manifests.staged import StagedWorkspace
from manifests.tables.withheld import withheld_path
from workspace.atomic import remove_partial, sync_folder
from workspace.exclusive import alone
from workspace.extras import require_extra
from workspace.layout import Workspace

_OF_AUDIT = (audit_path, matched_path)


def build_manifest(workspace: Workspace, options: BuildOptions = BuildOptions()) -> tuple[Built, Path]:
    """Build the manifest and write the report; returns what was built, and the report's page.

    An audit of a former manifest is removed. Errors as `building.build`; also `UsageError` where an audit is asked for
    and its packages are not installed, and `CommunityForensicsError` while another process builds.
    """
    audited = options.audit or options.matched
    if audited:
        require_extra("audit", "cf-build-manifest --audit")
    with alone(workspace, WORK) as held, scratch_folder(workspace.manifest / ".new") as folder:
        remove_partial(workspace.manifest)
        staged = StagedWorkspace(workspace.root, folder)
        built = build(staged, options, held.check)
        _copy_audit(workspace, staged)
        if audited:
            audit_manifest(staged, options)
        page = write_report(staged, options.hub)
        held.check()
        _put_in_place(staged, workspace)
        return built, page


def _copy_audit(workspace: Workspace, staged: StagedWorkspace) -> None:
    """Keep the audit, where the manifest is the one that was audited."""
    for file_of in _OF_AUDIT:
        if file_of(workspace).exists():
            shutil.copyfile(file_of(workspace), file_of(staged))
    remove_stale(staged)


def _put_in_place(staged: StagedWorkspace, workspace: Workspace) -> None:
    """Give all files their names, the manifest last; those of a former manifest that this one does not have go."""
    for file_of in (withheld_path, *_OF_AUDIT):
        if not file_of(staged).exists():
            file_of(workspace).unlink(missing_ok=True)
    for path in sorted(staged.manifest.iterdir(), key=lambda path: path == manifest_path(staged)):
        path.replace(workspace.manifest / path.name)
    sync_folder(workspace.manifest)
