"""The building stage: all records -> `manifest/` and `report/`, a function from files to files.

One process of a workspace builds at a time, the report included, which is that of the manifest just built.
"""

from pathlib import Path

from manifests.building import Built, build
from manifests.manifest import WORK
from manifests.options import BuildOptions
from manifests.report import write_report
from workspace.exclusive import alone
from workspace.layout import Workspace


def build_manifest(workspace: Workspace, options: BuildOptions = BuildOptions()) -> tuple[Built, Path]:
    """Build the manifest and write the report; returns what was built, and the report's page.

    Errors as `building.build`; also `CommunityForensicsError` while another process builds.
    """
    with alone(workspace, WORK) as held:
        built = build(workspace, options, held.check)
        return built, write_report(workspace, options.hub)
