"""What must hold before a manifest is called finished.

First the records it is made from (`parts`; `rows`, while they are joined; `outcomes`); then the manifest's own rows
(`manifest`), which are looked at once more before they are published; then the files it names (`files`, `pictures`).
Each check names the rows that fail it.
"""

from manifests.checks.failures import Failure, refuse, refuse_workspace
from manifests.checks.files import check_files
from manifests.checks.manifest import check_manifest
from manifests.checks.outcomes import check_outcomes
from manifests.checks.record_files import check_parts
from manifests.checks.rows import RowChecks

__all__ = [
    "Failure",
    "RowChecks",
    "check_files",
    "check_manifest",
    "check_outcomes",
    "check_parts",
    "refuse",
    "refuse_workspace",
]
