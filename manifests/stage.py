"""The building stage: all records -> `manifest/`, with its audit where one is asked for, and `report/`.

One process of a workspace builds at a time, the report included, which is that of the manifest just built.
"""

from pathlib import Path

from manifests.audit.audit import audit_manifest
from manifests.audit.record import remove_stale
from manifests.building import Built, build
from manifests.manifest import WORK
from manifests.options import BuildOptions
from manifests.report import write_report
from workspace.exclusive import alone
from workspace.extras import require_extra
from workspace.layout import Workspace


def build_manifest(workspace: Workspace, options: BuildOptions = BuildOptions()) -> tuple[Built, Path]:
    """Build the manifest and write the report; returns what was built, and the report's page.

    An audit of a former manifest is removed. Errors as `building.build`; also `UsageError` where an audit is asked for
    and its packages are not installed, and `CommunityForensicsError` while another process builds.
    """
    audited = options.audit or options.matched
    if audited:
        require_extra("audit", "cf-build-manifest --audit")
    with alone(workspace, WORK) as held:
        built = build(workspace, options, held.check)
        remove_stale(workspace)
        if audited:
            audit_manifest(workspace, options)
        return built, write_report(workspace, options.hub)
